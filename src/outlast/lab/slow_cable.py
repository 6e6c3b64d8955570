"""A cable on which every frame takes its time. A process of its own in the switch's namespace; standard library alone.

Words: delay and jitter in seconds, then for each cable PORT,TAP,BRIDGE. The switch's PORT leaves its BRIDGE, and TAP,
made here, takes its place; what comes out of one goes into the other, later. Says "ready" when that is done, and goes
on in the background. After SIGTERM the ports are where they were, what is under way still arrives, then it ends.
Killed, it leaves the ports cut off.
"""

from __future__ import annotations

import fcntl
import os
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

WAIT_SECONDS = 10.0
_TUNSETIFF, _TUNSETOFFLOAD = 0x400454CA, 0x400454D0
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
_OFFLOADS = 0x01 | 0x02 | 0x04  # checksums and large TCP segments pass as they are
_SOL_PACKET, _PACKET_VNET_HDR, _PACKET_IGNORE_OUTGOING = 263, 15, 23
_ETH_P_ALL, _SO_RCVBUFFORCE = 0x0003, 33
_LARGEST = 1 << 17
_BATCH = 64
_FORWARDING = "3"


class Lane:
    """Frames on their way in one direction; none overtakes another."""

    def __init__(self, take: Callable[[], bytes], give: Callable[[bytes], object], delay: float, jitter: float) -> None:
        self._take, self._give, self._delay, self._jitter = take, give, delay, jitter
        self._last = 0.0
        self.waiting: deque[tuple[float, bytes]] = deque()

    def receive(self, now: float) -> None:
        with suppress(OSError):
            for _ in range(_BATCH):
                frame = self._take()
                self._last = max(self._last, now + self._delay + self._jitter * random.random())
                self.waiting.append((self._last, frame))

    def deliver(self, now: float) -> None:
        while self.waiting and self.waiting[0][0] <= now:
            frame = self.waiting.popleft()[1]
            # A port that is down or gone takes nothing: so does a cable that is pulled.
            with suppress(OSError):
                self._give(frame)


class Cable:
    """One port with its double in the bridge."""

    def __init__(self, port: str, tap: str, bridge: str) -> None:
        self.port, self.tap, self.bridge = port, tap, bridge
        self.fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(self.fd, _TUNSETIFF, struct.pack("16sH", tap.encode(), _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR))
        fcntl.ioctl(self.fd, _TUNSETOFFLOAD, _OFFLOADS)
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.socket.setblocking(False)
        self.socket.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
        self.socket.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 23)
        self.socket.bind((port, _ETH_P_ALL))
        mtu = Path(f"/sys/class/net/{port}/mtu").read_text(encoding="ascii").strip()
        ip("link", "set", tap, "mtu", mtu, "master", bridge, "up")

    def forwards(self) -> bool:
        """A bridge lets a port in when it hears of its carrier, up to a second late."""
        return Path(f"/sys/class/net/{self.tap}/brport/state").read_text(encoding="ascii").strip() == _FORWARDING

    def begin(self) -> None:
        # In this order some frames arrive twice; in the other some would not arrive.
        self._forget()
        ip("link", "set", self.port, "nomaster")

    def end(self) -> None:
        ip("link", "set", self.port, "master", self.bridge)

    def lanes(self, delay: float, jitter: float) -> tuple[Lane, Lane]:
        """Out of the node, and into it."""
        out = Lane(lambda: self.socket.recv(_LARGEST), lambda frame: os.write(self.fd, frame), delay, jitter)
        into = Lane(lambda: os.read(self.fd, _LARGEST), self.socket.send, delay, jitter)
        return out, into

    def _forget(self) -> None:
        """What both took until now went through the bridge itself."""
        with suppress(OSError):
            while self.socket.recv(_LARGEST):
                pass
        with suppress(OSError):
            while os.read(self.fd, _LARGEST):
                pass


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, stdin=subprocess.DEVNULL)


def carry(cables: list[Cable], delay: float, jitter: float, stopped: Callable[[], bool]) -> None:
    """Until `stopped`, and then for as long as what is under way needs to arrive."""
    poll, by_fd = select.poll(), {}
    for cable in cables:
        for fd, lane in zip((cable.socket.fileno(), cable.fd), cable.lanes(delay, jitter), strict=True):
            by_fd[fd] = lane
            poll.register(fd, select.POLLIN)
    lanes, end = list(by_fd.values()), float("inf")
    while (now := time.monotonic()) < end:
        if stopped() and end == float("inf"):
            end = now + delay + jitter
            for cable in cables:
                cable.end()
                by_fd[cable.socket.fileno()].receive(now)
                poll.unregister(cable.socket.fileno())
        due = min((lane.waiting[0][0] for lane in lanes if lane.waiting), default=now + 0.2)
        ready = poll.poll(max(0.0, min(due, end) - now) * 1000)
        now = time.monotonic()
        for fd, _ in ready:
            by_fd[fd].receive(now)
        for lane in lanes:
            lane.deliver(now)


def main() -> None:
    delay, jitter = float(sys.argv[1]), float(sys.argv[2])
    told: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: told.append(number))
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    cables = [Cable(*words.split(",")) for words in sys.argv[3:]]
    end = time.monotonic() + WAIT_SECONDS
    while not all(cable.forwards() for cable in cables):
        if time.monotonic() > end:
            sys.exit("the switch does not let the slow ports in")
        time.sleep(0.01)
    for cable in cables:
        cable.begin()
    os.write(1, b"ready\n")
    if os.fork():
        os._exit(0)
    null = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    carry(cables, delay, jitter, lambda: bool(told))


if __name__ == "__main__":
    main()
