"""Runs on a node with the system's Python: a client that never retries, or a watcher of an address. One line per fact.

connect ADDRESS PORT RATE   a new connection at fixed times, whatever became of the earlier ones; good when the database
                            greets. Lines: number, outcome, begin and end on the monotonic clock (all nodes share it).
watch ADDRESS               lines "+ time" and "- time" when the address came to this node and left it.
"""

import asyncio
import sys
import time

SECONDS = 10.0
"""What a client waits for its answer."""


def say(*words: object) -> None:
    sys.stdout.write(" ".join(str(word) for word in words) + "\n")
    sys.stdout.flush()


async def greeted(address: str, port: int) -> str:
    reader, writer = await asyncio.open_connection(address, port)
    try:
        head = await reader.readexactly(5)
        # Fourth byte on: protocol version 10 greets, 255 is an error packet.
        return "ok" if head[4] == 10 else "error-packet"
    finally:
        writer.close()


async def one(number: int, address: str, port: int) -> None:
    begun = time.monotonic()
    try:
        outcome = await asyncio.wait_for(greeted(address, port), SECONDS)
    except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
        outcome = type(error).__name__
    say(number, outcome, begun, time.monotonic())


async def connect(address: str, port: str, rate: str) -> None:
    begun, tasks = time.monotonic(), set()
    for number in range(10**9):
        await asyncio.sleep(max(0.0, begun + number / float(rate) - time.monotonic()))
        tasks.add(asyncio.create_task(one(number, address, int(port))))
        tasks = {task for task in tasks if not task.done()}


def watch(address: str) -> None:
    mine = False
    while True:
        found = held(address)
        if found != mine:
            say("+" if found else "-", time.monotonic())
        mine = found
        time.sleep(0.005)


def held(address: str) -> bool:
    """Whether the kernel's table of local addresses has it (binding it would prove nothing: ip_nonlocal_bind)."""
    with open("/proc/net/fib_trie") as table:
        return any(line.endswith(f" {address}\n") for line in table)


if __name__ == "__main__":
    word, *rest = sys.argv[1:]
    if word == "connect":
        asyncio.run(connect(*rest))
    else:
        watch(*rest)
