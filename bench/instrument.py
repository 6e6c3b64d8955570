"""How punctual the load generator is on a busy machine: 200 requests/s for 20 s beside two processes that only compute.

.venv/bin/python bench/instrument.py [--seconds 20] [--rate 200] [--json]

The instrument itself runs, as in a drill, against a small HTTP server on the loopback interface that answers like the
APIs. Lateness: seconds from a request's scheduled time to its start.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

from aiohttp import web

from outlast.record.run import RunFolder

TARGET_P99 = 0.010
WORKLOADS = (
    "keystone-tokens",
    "keystone-projects",
    "keystone-read",
    "glance-read",
    "placement-read",
    "nova-read",
    "neutron-read",
)


def serve(told: Connection) -> None:
    """A cloud of a few dictionaries; tells its port."""
    projects: dict[str, str] = {}
    numbers = itertools.count(1)

    async def token(_request: web.Request) -> web.Response:
        user, project = {"id": "u1", "name": "admin"}, {"id": "p1", "name": "admin"}
        body = {"token": {"user": user, "project": project}}
        return web.json_response(body, status=201, headers={"X-Subject-Token": "t"})

    async def make(request: web.Request) -> web.Response:
        name = (await request.json())["project"]["name"]
        ident = f"id{next(numbers)}"
        projects[ident] = name
        return web.json_response({"project": {"id": ident, "name": name}}, status=201)

    async def drop(request: web.Request) -> web.Response:
        del projects[request.match_info["id"]]
        return web.Response(status=204)

    async def everything(_request: web.Request) -> web.Response:
        return web.json_response({"projects": [{"id": ident, "name": name} for ident, name in projects.items()]})

    async def anything(_request: web.Request) -> web.Response:
        lists = ("images", "resource_providers", "servers", "networks")
        return web.json_response({"user": {"id": "u1"}, **{name: [] for name in lists}})

    async def run() -> None:
        app = web.Application()
        app.router.add_post("/v3/auth/tokens", token)
        app.router.add_post("/v3/projects", make)
        app.router.add_get("/v3/projects", everything)
        app.router.add_delete("/v3/projects/{id}", drop)
        app.router.add_get("/{rest:.*}", anything)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        told.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(run())


def burn(seconds: float) -> None:
    """Nothing but computing, for a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(number * number for number in range(10_000))


def order(folder: str, port: int, rate: float, seconds: float) -> dict[str, object]:
    here = f"http://127.0.0.1:{port}"
    return {
        "folder": folder,
        "rate": rate,
        "seconds": seconds,
        "workloads": WORKLOADS,
        "prefix": "bench",
        "deadline": 5.0,
        "auth": {"OS_USERNAME": "admin", "OS_PASSWORD": "x", "OS_PROJECT_NAME": "admin"},
        "urls": {name: here for name in ("keystone", "glance", "placement", "nova", "neutron")},
    }


def measure(rate: float, seconds: float) -> dict[str, float]:
    """The instrument's meter, with the outcomes of what it sent."""
    own, theirs = multiprocessing.Pipe()
    spawn = multiprocessing.get_context("spawn")
    server = spawn.Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    port = own.recv()
    burners = [spawn.Process(target=burn, args=(seconds + 3.0,), daemon=True) for _ in range(2)]
    for burner in burners:
        burner.start()
    with tempfile.TemporaryDirectory() as folder:
        load = subprocess.Popen(
            (sys.executable, "-m", "outlast.drill.instrument"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert load.stdin is not None and load.stdout is not None
        load.stdin.write(json.dumps(order(folder, port, rate, seconds)) + "\n")
        load.stdin.flush()
        lines = [json.loads(line) for line in load.stdout]
        load.wait()
        history, stalls = RunFolder(Path(folder)).history(), RunFolder(Path(folder)).stalls()
    server.terminate()
    for process in (server, *burners):
        process.join()
    for line in lines:
        if "problem" in line:
            sys.stdout.write(f"problem: {line['problem']}\n")
    good = sum(operation.outcome == "ok" for operation in history)
    return {**lines[-1], "ok": good, "noted": len(history), "stalls": len(stalls)}


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(argv)
    measured = measure(asked.rate, asked.seconds)
    if asked.json:
        sys.stdout.write(json.dumps(measured) + "\n")
    else:
        cpu = measured["cpu_seconds"] / measured["seconds"]
        priority = "SCHED_RR" if measured["realtime"] else f"nice {measured['nice']:g}"
        sys.stdout.write(
            f"{os.cpu_count()} CPUs, two of them asked for by others; instrument at {priority}\n"
            f"requests {measured['requests']:g} in {asked.seconds:g} s, {measured['ok']:g} ok; "
            f"stalls of the machine {measured['stalls']:g}\n"
            f"lateness p50 {measured['lateness_p50'] * 1000:.2f} ms, p99 {measured['lateness_p99'] * 1000:.2f} ms, "
            f"max {measured['lateness_max'] * 1000:.2f} ms; CPU {cpu:.0%} of one core\n"
        )
    wanted = asked.rate * asked.seconds * 0.98
    good = measured["lateness_p99"] <= TARGET_P99 and measured["ok"] == measured["noted"] >= wanted
    sys.stdout.write("" if good else f"MISSED: target is p99 ≤ {TARGET_P99 * 1000:g} ms and every request ok\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
