"""Three clients that upload image after image through the VIP, each in small pieces over some seconds.

Run on the client by OpenStack's own Python, with the words of `outlast openrc` in the environment. argv: Glance's
address and a path; when something is there, no new upload begins and the script ends. Each upload that ends is a line
of JSON: its HTTP status or the exception's name, and when it began and ended (seconds since 1970). Last comes "end".
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator

import openstack
import requests

PIECES, PAUSE = 8, 0.5
"""An upload takes four seconds: more than a balancer needs to hear that a server leaves."""

FIRST = 65536
"""Bytes sent at once: a balancer asks no server before it has read 16 KiB, so nothing would be in danger until then."""

glance, stop = sys.argv[1:]
headers = {"X-Auth-Token": openstack.connect().auth_token}


def pieces() -> Iterator[bytes]:
    yield bytes(FIRST)
    for number in range(PIECES):
        time.sleep(PAUSE)
        yield bytes([number]) * 4096


def upload() -> str:
    new = {"name": "upload", "disk_format": "raw", "container_format": "bare"}
    answer = requests.post(f"{glance}/v2/images", json=new, headers=headers, timeout=60)
    if answer.status_code != 201:
        return f"create {answer.status_code}"
    image = f"{glance}/v2/images/{answer.json()['id']}"
    kind = {"Content-Type": "application/octet-stream"}
    status = requests.put(f"{image}/file", data=pieces(), headers=headers | kind, timeout=60).status_code
    requests.delete(image, headers=headers, timeout=60)
    return str(status)


def work(number: int) -> None:
    # One after the other, so that at any moment some are in the middle.
    time.sleep(number * PIECES * PAUSE / 3)
    while not os.path.exists(stop):
        begun = time.time()
        try:
            status = upload()
        except requests.RequestException as error:
            status = f"{type(error).__name__}: {error}"[:200]
        print(json.dumps([status, begun, time.time()]), flush=True)


threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("end", flush=True)
