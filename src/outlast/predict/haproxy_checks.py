"""When HAProxy takes a server out: its configuration read back, and what its checks make of a fault.

HAProxy Configuration Manual, `inter`, `fastinter`, `fall`, `timeout check`, `observe`, `on-error`: a healthy server
is asked every `inter`, after a first failed check every `fastinter`, counted from the end of the check before; `fall`
failed checks in a row take it out. A check that has to connect gives up after min(`timeout connect`, `inter`), one that
waits for its answer after `timeout check`. With `observe` a failed request of a client brings the next check forward
to `fastinter` and counts as `on-error` says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from outlast.predict.files import duration

Range = tuple[float, float]
"""Best and worst seconds."""
_FAST, _FALL, _INTER, _CONNECT = "fastinter", "fall", "inter", "connect"


@dataclass(frozen=True)
class Check:
    """How one server is watched. Times in seconds.

    connect: longest time to connect; answer: longest time to the answer. application: it asks for an answer, not only
    for a connection. failed: how many more failed checks it takes after a failed request, None without `observe`.
    """

    interval: float
    fast: float
    fall: int
    connect: float
    answer: float
    application: bool
    failed: int | None = None

    def idle(self, cost: float) -> Range:
        """Nobody asks but the checks, each of which takes `cost` seconds to fail."""
        best = cost + (self.fall - 1) * (self.fast + cost)
        return best, self.interval + best

    def loaded(self, cost: float, first: float) -> Range:
        """A client's request comes at once and fails after `first` seconds."""
        best, worst = self.idle(cost)
        if self.failed is None:
            return best, worst
        if self.failed == 0:
            return min(first, best), min(first, worst)
        more = (self.failed - 1) * (self.fast + cost)
        soon = first + min(self.fast, self.interval) + cost + more
        return min(max(first, cost) + more, best), min(soon, worst)


@dataclass
class _Section:
    """What counts for a backend so far; later lines win."""

    settings: dict[str, str] = field(default_factory=dict)
    application: bool = False
    server: dict[str, str] = field(default_factory=dict)
    servers: list[dict[str, str]] = field(default_factory=list)


def checks(config: str) -> Mapping[str, Check]:
    """The check of every backend with servers, by the backend's name: that of its first server (all are alike)."""
    defaults, found = _Section(), {}
    for heading, lines in _sections(config):
        section = _Section(dict(defaults.settings), defaults.application, dict(defaults.server))
        for words in lines:
            _read(section, words)
        if heading == "defaults":
            defaults = section
        elif heading.startswith("backend ") and section.servers:
            found[heading.removeprefix("backend ")] = _check(section)
    return found


def _sections(config: str) -> Iterator[tuple[str, list[list[str]]]]:
    heading = ""
    lines: list[list[str]] = []
    for line in config.splitlines():
        words = line.split("#")[0].split()
        if not words:
            continue
        if re.match(r"\S", line):
            yield heading, lines
            heading, lines = " ".join(words[:2]), []
        else:
            lines.append(words)
    yield heading, lines


def _read(section: _Section, words: list[str]) -> None:
    if words[0] == "timeout" and len(words) > 2:
        section.settings[words[1]] = words[2]
    elif words[:2] == ["option", "httpchk"]:
        section.application = True
    elif words[:3] == ["no", "option", "httpchk"]:
        section.application = False
    elif words[0] == "default-server":
        section.server.update(_pairs(words[1:]))
    elif words[0] == "server":
        section.servers.append({**section.server, **_pairs(words[3:])})


def _pairs(words: list[str]) -> dict[str, str]:
    """Settings of a server's line that have a value; the rest (check, backup) does no harm among them."""
    return dict(zip(words, words[1:], strict=False))


def _check(section: _Section) -> Check:
    server = section.servers[0]
    # HAProxy's own defaults: inter 2000, fastinter as inter, fall 3.
    interval = duration(server.get(_INTER, "2000"))
    fast = duration(server[_FAST]) if _FAST in server else interval
    fall = int(server.get(_FALL, "3"))
    connect = duration(section.settings[_CONNECT]) if _CONNECT in section.settings else interval
    answer = duration(section.settings["check"]) if "check" in section.settings else interval
    return Check(
        interval=interval,
        fast=fast,
        fall=fall,
        connect=min(connect, interval),
        answer=answer,
        application=section.application,
        failed=_failed(server, fall),
    )


def _failed(server: Mapping[str, str], fall: int) -> int | None:
    """More than one failed request (`error-limit`) is only waited for by a server that gets few of them."""
    if "observe" not in server:
        return None
    mode = server.get("on-error", "fail-check")
    return {"mark-down": 0, "sudden-death": min(1, fall - 1), "fastinter": fall}.get(mode, fall - 1)


def keepalive(config: str) -> tuple[float, float, float]:
    """Idle and interval in seconds, and count, of the probes on connections to servers."""
    words = {found[0]: found[1] for found in re.findall(r"^\s+srvtcpka-(\w+)\s+(\S+)", config, re.MULTILINE)}
    idle, interval = (duration(words.get(key, "0"), "s") for key in ("idle", "intvl"))
    return idle, interval, float(words.get("cnt", "0"))


def user_timeout(config: str) -> float:
    """Seconds of TCP_USER_TIMEOUT on connections to servers (`tcp-ut`); 0: as the kernel does."""
    found = re.findall(r"^\s+default-server\s.*?\btcp-ut\s+(\S+)", config, re.MULTILINE)
    return duration(found[-1]) if found else 0.0
