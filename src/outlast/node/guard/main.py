"""`outlast-node guard haproxy|keepalived --config FILE [--check | --reload | --status]`.

Without a flag: guard until SIGTERM. --check: would the program accept its files (warnings count)? --reload: make the
running guard read them again and wait for the outcome. --status: exit 0 when the guarded program serves.
Exit status: 0 good, 1 the files were refused or the program does not serve, 2 wrong words or unreadable settings.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from outlast.errors import OutlastError
from outlast.node.guard.balancer import BalancerGuard
from outlast.node.guard.check import check_balancer, check_router
from outlast.node.guard.journal import Journal
from outlast.node.guard.router import RouterGuard
from outlast.node.guard.settings import read_balancer, read_router

RELOAD_SECONDS = 20.0
FRESH_SECONDS = 3.0


def main(argv: list[str]) -> int:
    """Run a guard or ask about it; see the module's words."""
    parser = argparse.ArgumentParser(prog="outlast-node guard", description=__doc__)
    parser.add_argument("program", choices=("haproxy", "keepalived"))
    parser.add_argument("--config", type=Path, required=True, help="the guard's settings (JSON)")
    verbs = parser.add_mutually_exclusive_group()
    verbs.add_argument("--check", action="store_true", help="ask the program whether it would accept its files")
    verbs.add_argument("--reload", action="store_true", help="make the running guard read its files again")
    verbs.add_argument("--status", action="store_true", help="say whether the guarded program serves")
    words = parser.parse_args(argv)
    try:
        if words.check:
            return _check(words.program, words.config)
        if words.reload:
            return _reload(_journal(words.program, words.config))
        if words.status:
            return _status(_journal(words.program, words.config))
        guard = BalancerGuard(words.config) if words.program == "haproxy" else RouterGuard(words.config)
        return guard.run()
    except OutlastError as error:
        _say(str(error))
        return error.exit_status


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


def _check(program: str, path: Path) -> int:
    complaints = check_balancer(read_balancer(path)) if program == "haproxy" else check_router(read_router(path))
    for line in complaints:
        _say(line)
    return 1 if complaints else 0


def _journal(program: str, path: Path) -> Journal:
    settings = read_balancer(path) if program == "haproxy" else read_router(path)
    return Journal(Path(settings.state), settings.name)


def _reload(journal: Journal) -> int:
    before = journal.last()
    try:
        os.kill(int(before["guard_pid"]), signal.SIGHUP)
    except (KeyError, ValueError, OSError) as error:
        _say(f"guard-absent: no guard of {journal.name} is running ({error})")
        return 1
    until = time.monotonic() + RELOAD_SECONDS
    while time.monotonic() < until:
        now: dict[str, Any] = journal.last()
        if now.get("reloads", 0) > before.get("reloads", 0):
            if not now["reload_ok"]:
                _say(f"guard-reload-refused: {now['reload_sentence']}")
            return 0 if now["reload_ok"] else 1
        time.sleep(0.05)
    _say(f"guard-silent: the guard of {journal.name} did not reload within {RELOAD_SECONDS:.0f} s")
    return 1


def _status(journal: Journal) -> int:
    state = journal.last()
    fresh = time.monotonic() - float(state.get("monotonic", 0.0)) < FRESH_SECONDS
    sys.stdout.write(json.dumps({**state, "fresh": fresh}) + "\n")
    return 0 if fresh and state.get("serving") else 1
