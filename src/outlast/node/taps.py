"""Sets a server's network device up again that was left down: nothing reaches such a server, not even an address.

Nova makes the device and sets it up; Open vSwitch, which waits for it, reads its flags and writes them back with one
more. Whoever sets it up between the two has done so in vain: one server of 129 (decision 0038). Nobody takes a device
down on purpose: Nova removes it, and an operator who wants a server without network says so to Neutron.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import Callable, Iterable
from pathlib import Path

from outlast.node import disk
from outlast.spec.bundle import BundleMember

TAPS = "taps"
"""Fact of a compute node's member: how its servers' devices are named."""
SETTLE = 0.3
"""Seconds for which a device must be down: it is so while it is made, and for a moment before it is removed."""
LOOK = 5.0
"""Seconds between two looks where the kernel tells nothing."""
AGAIN = 60.0
"""Seconds after which it is said again that a device stays down."""
NETWORK = Path("/sys/class/net")
_GROUP_LINK, _IFF_UP = 1, 1

Tell = Callable[[str, str, str], None]


def down(pattern: str) -> frozenset[str]:
    """Names of TAP devices like `pattern` (a regular expression for the whole name) that are set down."""
    return frozenset(path.name for path in NETWORK.iterdir() if re.fullmatch(pattern, path.name) and _is_down(path))


def _is_down(path: Path) -> bool:
    try:
        # Neutron's own devices for metadata have like names and are no TAP devices.
        return (path / "tun_flags").exists() and not int((path / "flags").read_text(), 16) & _IFF_UP
    except (OSError, ValueError):
        return False


class Taps:
    """One per agent. `tell(service, code, sentence)` for each device that was found down."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._service = self._pattern = ""
        self._said: dict[str, float] = {}

    def adopt(self, members: Iterable[BundleMember]) -> None:
        """Of a node without servers nothing is watched."""
        self._service, self._pattern = next(
            ((member.service, facts[TAPS]) for member in members if TAPS in (facts := dict(member.facts))), ("", "")
        )

    async def watch(self) -> None:
        """Until cancelled. The kernel says at once when a device is made or changed."""
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE) as link:
            link.bind((0, _GROUP_LINK))
            while True:
                await self.turn()
                # A queue that ran over is one more reason to look.
                with contextlib.suppress(TimeoutError, OSError):
                    await asyncio.wait_for(asyncio.get_running_loop().sock_recv(link, 65536), LOOK)

    async def turn(self) -> None:
        """One look, and a second one where something is down."""
        if not self._pattern or not (first := down(self._pattern)):
            return
        await asyncio.sleep(SETTLE)
        for name in sorted(first & down(self._pattern)):
            await self._raise(name)

    async def _raise(self, name: str) -> None:
        now = asyncio.get_running_loop().time()
        what = f"{name}, a server's network device, was left down: nothing reaches the server"
        reason = disk.paused()
        trouble = f"paused ({reason})" if reason else await raised(name)
        if not (NETWORK / name).exists():
            return
        if not trouble:
            self._tell(self._service, "tap.raised", f"{what}; set up again")
            self._said.pop(name, None)
        elif now - self._said.get(name, -AGAIN) >= AGAIN:
            self._said[name] = now
            self._tell(self._service, "tap.down", f"{what}; not set up: {trouble}")


async def raised(name: str) -> str:
    """Set it up, in one word to the kernel. Why that could not be done; nothing where it was."""
    process = await asyncio.create_subprocess_exec(
        "ip", "link", "set", "dev", name, "up",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, said = await process.communicate()
    if process.returncode == 0:
        return ""
    return said.decode(errors="replace").strip() or f"ip ended with {process.returncode}"
