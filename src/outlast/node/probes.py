"""Asking: one function per kind of probe. Returns a sentence for a good answer, raises Bad or Unsure for others."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from outlast.node import ask_daemon, ask_login, ask_plain, pulse, rpc, uplink
from outlast.node.answers import Answer, Bad, Unsure
from outlast.spec.probe import Probe
from outlast.spec.snapshot import ProgramState

BOOTED = Path("/run/outlast/supervisord.pid")
"""Written when supervisord starts."""

LATE = 1.0
"""Seconds after a time-out. Who is woken later than that was kept from looking: perhaps the answer has been there."""

OWN_TIME = {"rpc": 2.0, "pulse": 2.0}
"""Kinds that keep the time-out themselves, and the seconds that they may need to find out what a silence means."""


async def ask(probe: Probe, programs: Mapping[str, ProgramState]) -> Answer:
    """Asks once, never longer than the probe's time-out (and OWN_TIME). `programs`: supervisord's word about each."""
    begun = time.monotonic()
    limit = probe.timeout + OWN_TIME.get(probe.kind, 0.0)
    good, sure = False, True
    try:
        if probe.kind == "process":
            sentence, good = _process(probe, programs)
        elif probe.kind == "loaded":
            sentence, good = _loaded(probe, programs)
        elif probe.kind == "pulse":
            sentence = await asyncio.wait_for(pulse.wakes(probe, programs.get(probe.program)), limit)
            good = True
        else:
            sentence = await asyncio.wait_for(_KINDS[probe.kind](probe), limit)
            good = True
    except TimeoutError:
        sentence = f"no answer within {probe.timeout:g} s from {_place(probe)}"
        sure = time.monotonic() - begun <= limit + LATE
    except Unsure as error:
        sentence, sure = f"{_place(probe)}: {error}", False
    except (Bad, OSError, ValueError, EOFError) as error:
        sentence = f"{_place(probe)}: {error or type(error).__name__}"
    now = time.monotonic()
    if not sure:
        sentence = f"nothing learned: {sentence}"
    return Answer(good, sentence, now, now - begun, sure)


def _place(probe: Probe) -> str:
    if probe.kind == "command":
        return " ".join(probe.argv)[:60]
    if probe.kind == "pulse":
        return f"pulse of {probe.program}"
    if probe.kind == "rpc":
        return f"rpc {probe.path}"
    where = f"{probe.address}:{probe.port}" if probe.port else probe.address or probe.path
    return f"{probe.kind} {where}"


def _process(probe: Probe, programs: Mapping[str, ProgramState]) -> tuple[str, bool]:
    state = programs[probe.path].state if probe.path in programs else "ABSENT"
    return f"{probe.path} is {state}", state == "RUNNING"


def _loaded(probe: Probe, programs: Mapping[str, ProgramState]) -> tuple[str, bool]:
    """Only loading is waited for, and not for ever: without a fork server programs start as well, only slower.

    One that was never started counts as loading since supervisord came up: at a boot it is about to be.
    """
    state = programs.get(probe.program) or ProgramState(probe.program, "ABSENT")
    begun = state.started if state.state == "RUNNING" else 0.0
    if not state.started:
        with contextlib.suppress(OSError):
            begun = BOOTED.stat().st_mtime
    age = time.time() - begun
    waits = 0 <= age < probe.timeout and not Path(probe.path).exists()
    return f"{probe.program}, which has loaded for {age:.0f} s" if waits else "nothing to wait for", not waits


_THREADS = ThreadPoolExecutor(max_workers=16, thread_name_prefix="probe")
"""Of their own: behind questions to a hung server, the agent's work in asyncio's few threads would wait for seconds."""


def _blocking(call: Callable[[Probe], str]) -> Callable[[Probe], Awaitable[str]]:
    async def asked(probe: Probe) -> str:
        return await asyncio.get_running_loop().run_in_executor(_THREADS, call, probe)

    return asked


_KINDS: Mapping[str, Callable[[Probe], Awaitable[str]]] = {
    "http": ask_plain.http,
    "tcp": ask_plain.tcp,
    "zookeeper": ask_plain.zookeeper,
    "memcached": ask_plain.memcached,
    "ovsdb": ask_plain.ovsdb,
    "command": ask_plain.command,
    "guard": ask_daemon.guard,
    "carrier": uplink.lit,
    "unixctl": ask_daemon.unixctl,
    "libvirt": ask_daemon.libvirt,
    "sql": _blocking(ask_login.sql),
    "token": _blocking(ask_login.token),
    "wsrep": _blocking(ask_login.wsrep),
    "amqp": _blocking(ask_login.amqp_login),
    "rpc": rpc.ping,
}
