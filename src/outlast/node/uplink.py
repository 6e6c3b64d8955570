"""Gives a gateway's place to another node while this node's external network has no carrier.

OVN moves a gateway when its *tunnels* fail (BFD); without its way out of the cluster it stays where it is, and every
floating address on it is away for as long as that lasts. The chassis withdraws its offer to be one
(`enable-chassis-as-gw` among its ovn-cms-options), which Neutron answers by scheduling its routers elsewhere, and
offers itself again later. Were it the last one, Neutron would leave the routers where they are.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from outlast.node.answers import Bad
from outlast.spec.bundle import BundleMember
from outlast.spec.probe import Probe

UPLINK, OFFER = "uplink", "offer"
"""Facts of a gateway's switch: its external interface, and its ovn-cms-options while it offers itself."""
STEADY, LONGEST = 5.0, 60.0
"""Seconds for which a carrier must be back before the node offers itself again, doubled with every loss up to LONGEST:
each move costs the floating addresses about a second, and a port that flaps is none to rely on."""
FORGET = 300.0
"""Seconds of carrier after which its losses are forgotten."""
LOOK = 1.0
"""Seconds between two looks where the kernel tells nothing."""
AGAIN = 15.0
"""Seconds after which a withdrawal is repeated: the switch declares the node anew when it is restarted."""
NETWORK = Path("/sys/class/net")
_GROUP_LINK = 1


@dataclass(frozen=True)
class Standing:
    """`carrier` since when (monotonic seconds); whether the node is withdrawn; how often it was lost lately."""

    carrier: bool
    since: float
    out: bool
    losses: int = 0


def first(carrier: bool, now: float) -> Standing:
    """What is so when the agent starts. Whoever has a carrier then offers itself at once."""
    return Standing(carrier, now, out=not carrier, losses=int(not carrier))


def advance(standing: Standing, carrier: bool, now: float) -> Standing:
    """Out at once where the carrier is lost, in again when it has been back for long enough."""
    if not carrier:
        if standing.carrier:
            return Standing(carrier, now, out=True, losses=standing.losses + 1)
        return standing
    if not standing.carrier:
        return replace(standing, carrier=True, since=now)
    held = now - standing.since
    if standing.out:
        return replace(standing, out=held < pause(standing.losses))
    return replace(standing, losses=0) if standing.losses and held >= FORGET else standing


def pause(losses: int) -> float:
    """Seconds of carrier that are asked for after so many losses."""
    return min(LONGEST, STEADY * 2.0 ** max(0, losses - 1))


class Uplink:
    """One per agent. `tell(service, code, sentence)` for every change."""

    def __init__(self, tell: Callable[[str, str, str], None]) -> None:
        self._tell = tell
        self.interface = self.offer = ""
        self.standing: Standing | None = None
        self._declared: tuple[bool, float] | None = None

    def adopt(self, members: Iterable[BundleMember]) -> None:
        """Of a node that is no gateway nothing is watched."""
        found = (dict(member.facts) for member in members)
        facts = next((one for one in found if UPLINK in one), {UPLINK: "", OFFER: ""})
        if (facts[UPLINK], facts[OFFER]) != (self.interface, self.offer):
            self.interface, self.offer = facts[UPLINK], facts[OFFER]
            self.standing, self._declared = None, None

    async def watch(self) -> None:
        """Until cancelled. The kernel says at once when a link changes."""
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE) as link:
            link.bind((0, _GROUP_LINK))
            while True:
                await self.turn(asyncio.get_running_loop().time())
                with contextlib.suppress(TimeoutError, OSError):
                    await asyncio.wait_for(asyncio.get_running_loop().sock_recv(link, 65536), LOOK)

    async def turn(self, now: float) -> None:
        """One look, and what it asks for. A declaration that fails is made again at the next one."""
        seen = carrier(self.interface) if self.interface else None
        if seen is None:
            return
        before = self.standing
        standing = self.standing = advance(before, seen, now) if before else first(seen, now)
        if standing.out != (before.out if before else False):
            self._say(standing)
        stale = self._declared is None or self._declared[0] != standing.out
        due = stale or (standing.out and self._declared and now - self._declared[1] >= AGAIN)
        if due and await declare("" if standing.out else self.offer):
            self._declared = (standing.out, now)

    async def leave(self) -> None:
        """The node is shut down in order: its routers move now, not when its tunnels have been silent for a while."""
        if self.interface and not (self.standing and self.standing.out):
            await declare("")

    def _say(self, standing: Standing) -> None:
        if standing.out:
            words = f"{self.interface} has no carrier: offers itself as a gateway no more, its routers go to others"
            self._tell("openvswitch", "uplink.lost", words)
        else:
            held = f"{self.interface} has had a carrier for {pause(standing.losses):g} s"
            words = f"{held}: offers itself as a gateway again"
            self._tell("openvswitch", "uplink.back", words)


def carrier(interface: str) -> bool | None:
    """Whether the interface has one; None where there is no such interface. One that is set down has none."""
    try:
        return (NETWORK / interface / "carrier").read_text().strip() == "1"
    except FileNotFoundError:
        return None
    except OSError:
        return False


async def lit(probe: Probe) -> str:
    """The probe of kind "carrier". Raises Bad where the interface `path` has none."""
    if not carrier(probe.path):
        raise Bad(f"{probe.path} has no carrier")
    return f"{probe.path} has a carrier"


async def declare(offer: str) -> bool:
    """Tell the node's own ovn-controller, which tells the others. False where its switch's database did not take it."""
    key, value = "ovn-cms-options", f'"{offer}"'
    change: tuple[str, ...] = ("set", "Open_vSwitch", ".", f"external-ids:{key}={value}")
    if not offer:
        change = ("remove", "Open_vSwitch", ".", "external-ids", key)
    try:
        process = await asyncio.create_subprocess_exec(
            "ovs-vsctl", "--no-wait", "--timeout=2", *change,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
    except OSError:
        return False
    return await process.wait() == 0
