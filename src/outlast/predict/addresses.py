"""How long a virtual address is gone: VRRP's timers as Keepalived is given them.

RFC 5798 (VRRPv3) 6.1: a backup takes over when it heard nothing for Master_Down_Interval = 3 × Advertisement_Interval +
Skew_Time, Skew_Time = (256 − Priority) / 256 × Advertisement_Interval. RFC 3768 (VRRPv2) 6.1: the same with a
Skew_Time of (256 − Priority) / 256 seconds. The last advert came up to one interval before the fault.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from outlast.plan.plan import Plan
from outlast.predict.files import Described, as_number
from outlast.predict.prediction import NEVER, Prediction, number
from outlast.services.keepalived.service import CONFIG

RFC = {2: "RFC 3768, 6.1", 3: "RFC 5798, 6.1"}


@dataclass(frozen=True)
class Instance:
    """One node's part in a VIP: seconds between adverts, priority, version of the protocol."""

    advert: float
    priority: int
    version: int

    @property
    def skew(self) -> float:
        """Seconds added so that the backup with the highest priority comes first."""
        share = (256 - self.priority) / 256
        return share if self.version == 2 else share * self.advert


def instances(config: str) -> Mapping[str, Instance]:
    """VRRP instances of a keepalived.conf by name; the last of equal keys counts."""
    version, found = 2, {}
    stack: list[str] = []
    keys: dict[str, str] = {}
    for line in config.splitlines():
        words = line.split("#")[0].split()
        if not words:
            continue
        if words[-1] == "{":
            stack.append(" ".join(words[:-1]))
            keys = {} if len(stack) == 1 else keys
        elif words == ["}"]:
            ended = stack.pop()
            version = int(keys.get("vrrp_version", version)) if ended == "global_defs" else version
            if not stack and ended.startswith("vrrp_instance "):
                found[ended.removeprefix("vrrp_instance ")] = _instance(keys, version)
        elif len(stack) == 1 and len(words) > 1:
            keys[words[0]] = words[1]
    return found


def _instance(keys: Mapping[str, str], version: int) -> Instance:
    # Keepalived's own defaults: adverts every second, priority 100.
    return Instance(as_number(keys.get("advert_int"), 1.0), int(keys.get("priority", "100")), version)


def _by_vip(plan: Plan) -> Mapping[str, tuple[Instance, ...]]:
    """Every node's part, VIP by VIP."""
    if not plan.has("keepalived"):
        return {}
    name = re.sub(r".*/", "", CONFIG)
    nodes = [
        instances(Described(plan, "keepalived", member.node).text(name)) for member in plan.members_of("keepalived")
    ]
    return {vip: tuple(node[vip] for node in nodes if vip in node) for vip in plan.vips}


def skews(plan: Plan) -> tuple[float, float]:
    """Shortest and longest skew of a takeover over all VIPs and holders; 0 where nobody can take over."""
    found = [backup.skew for nodes in _by_vip(plan).values() for backup in _backups(nodes)]
    return (min(found), max(found)) if found else (0.0, 0.0)


def _backups(nodes: tuple[Instance, ...]) -> tuple[Instance, ...]:
    """Whoever takes over, for each possible holder (a VIP stays where it is, so any node may hold it)."""
    others = [nodes[:place] + nodes[place + 1 :] for place in range(len(nodes))]
    found = (max(rest, key=lambda item: item.priority) for rest in others if rest)
    return tuple(sorted(found, key=lambda item: (item.advert, item.priority)))


def addresses(plan: Plan) -> Iterator[Prediction]:
    """VIPs with the same timers are told together."""
    alike: dict[tuple[Instance, ...], list[str]] = {}
    for vip, nodes in _by_vip(plan).items():
        alike.setdefault(_backups(nodes), []).append(vip)
    for backups, vips in alike.items():
        suffix = "" if len(alike) == 1 else f" ({', '.join(vips)})"
        yield from _taken_over(backups, suffix)


def _taken_over(backups: tuple[Instance, ...], suffix: str) -> Iterator[Prediction]:
    slow = max(backups, key=lambda item: 3 * item.advert + item.skew, default=None)
    best = min((2 * item.advert + item.skew for item in backups), default=NEVER)
    worst = 3 * slow.advert + slow.skew if slow else NEVER
    formula, source = (_formula(slow), RFC.get(slow.version, RFC[3])) if slow else ("no other endpoint node", RFC[3])
    change = "lower the advert interval (profile, or overrides of keepalived.conf); VRRPv2 knows whole seconds only"
    for fault, scenario, note in (
        ("node power loss: VIP", "power-vip-holder", "a client whose SYN was lost sends it again after 1 s"),
        ("keepalived killed", "kill-keepalived", "its guard takes the address off the node at once"),
        ("keepalived hung", "hang-keepalived", "its guard takes the address off the node before the others take over"),
    ):
        yield Prediction(
            fault=f"{fault}{suffix}",
            best=best,
            worst=worst,
            formula=formula,
            source=source,
            scenario=scenario,
            measures=("mask", "stall", "detect"),
            budget="vip",
            change=change if slow else "give the VIP a second endpoint node",
            note=note,
        )


def _formula(backup: Instance) -> str:
    share = f"(256 − {backup.priority}) / 256"
    skew = share if backup.version == 2 else f"{share} × {number(backup.advert)}"
    return f"3 × {number(backup.advert)} + {skew} s"
