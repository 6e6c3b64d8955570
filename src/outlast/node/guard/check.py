"""Asking the real program whether it would accept its configuration. A warning is an error."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from outlast.node.guard.settings import BalancerSettings, RouterSettings
from outlast.node.guard.writers import roles

SECONDS = 10.0
HARMLESS = (
    "[NOTICE]",
    "Configuration file is valid",
    "Warnings were found",
    "SECURITY VIOLATION - scripts are being executed",
)


def check_balancer(settings: BalancerSettings, file: str = "") -> list[str]:
    """Complaints of `haproxy -c`, warnings included; empty when it has none."""
    with ExitStack() as stack:
        env, numbers = {**os.environ, **roles(settings.singles, {})}, []
        for listener in settings.listeners:
            # `fd@` wants sockets already at configuration time: bound ones, on any free port, that nobody listens on.
            stand_in = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            stand_in.bind(("127.0.0.1", 0))
            env[listener.variable] = str(stand_in.fileno())
            numbers.append(stand_in.fileno())
        return _complaints((settings.binary, "-c", "-f", file or settings.file), env, numbers)


def check_router(settings: RouterSettings, file: str = "") -> list[str]:
    """Complaints of `keepalived --config-test`, warnings included; empty when it has none."""
    return _complaints((settings.binary, "--config-test", "-f", file or settings.file), dict(os.environ), [])


def _complaints(argv: Sequence[str], env: Mapping[str, str], numbers: Sequence[int]) -> list[str]:
    try:
        done = subprocess.run(
            argv, env=env, pass_fds=numbers, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=SECONDS, check=False, text=True,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return [f"{argv[0]}: {error}"]
    lines = [line.strip() for line in done.stdout.splitlines()]
    found = [line for line in lines if line and not any(words in line for words in HARMLESS)]
    if done.returncode and not found:
        found = [f"{argv[0]} refused its configuration with exit status {done.returncode}"]
    return found
