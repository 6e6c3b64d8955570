"""Kills an API's worker on its own node and sends the first requests to the next in four threads; the answers, as JSON.

Run on the node by OpenStack's own Python, with the words of `outlast openrc` in the environment.
argv: the worker's pid, the API's address, the collection's path, one item's JSON. What was made is removed again.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time

import openstack
import requests

pid, base, path, body = sys.argv[1:]
headers = {"X-Auth-Token": openstack.connect().auth_token, "Content-Type": "application/json"}

os.kill(int(pid), 9)
end = time.monotonic() + 60
while os.path.exists(f"/proc/{pid}"):
    time.sleep(0.05)
while time.monotonic() < end:
    try:
        if requests.get(base, timeout=5).status_code < 500:
            break
    except requests.RequestException:
        pass
    time.sleep(0.1)

together = threading.Barrier(4)
answers: list[tuple[int, str]] = []


def ask(number: int) -> None:
    together.wait()
    # Not all in the same instant: the first is to be in the middle of its work.
    time.sleep(number * 0.03)
    answer = requests.post(base + path, data=body, headers=headers, timeout=60)
    answers.append((answer.status_code, answer.text[:200]))
    if answer.status_code == 201:
        made = next(iter(answer.json().values()))["id"]
        requests.delete(f"{base}{path}/{made}", headers=headers, timeout=60).raise_for_status()


threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps(answers))
