"""Talking to this node's supervisord, and the text of a program's section."""

from __future__ import annotations

import shlex
import xmlrpc.client
from collections.abc import Iterable, Mapping
from typing import Any, cast

from outlast.spec.program import Program
from outlast.spec.snapshot import ProgramState

SOCKET = "unix:///run/outlast/supervisor.sock"
CONF_DIR = "/etc/outlast/supervisor.d"
OUR_OWN = frozenset({"outlast-agent"})
_RUNNING, _SHUTDOWN_STATE = 1, 6


def section(program: Program) -> str:
    """The supervisord section. The agent alone starts programs (autostart=false); supervisord only restarts them.

    startsecs=0: whether a program is well is for probes to say, not for the time it stayed up.
    """
    given = (*program.env, ("OUTLAST_FORK", program.fork)) if program.fork else program.env
    env = ",".join(f'{key}="{_percent(value)}"' for key, value in given)
    # nice(1) becomes the program itself, so signals and the process id stay supervisord's.
    argv = ("/usr/bin/nice", "-n", str(program.nice), *program.argv) if program.nice else program.argv
    lines = [
        f"[program:{program.name}]",
        f"command={_percent(shlex.join(argv))}",
        f"user={program.user}",
        f"directory={program.directory}",
        *([f"environment={env}"] if env else []),
        "autostart=false",
        f"autorestart={'true' if program.respawn else 'false'}",
        "startsecs=0",
        f"stopsignal={program.stop_signal}",
        f"stopwaitsecs={program.stop_seconds}",
        "stopasgroup=true",
        "killasgroup=true",
        "redirect_stderr=true",
        f"stdout_logfile=/var/log/outlast/{program.name}.log",
        "stdout_logfile_maxbytes=16MB",
        "stdout_logfile_backups=1",
        f"priority={program.priority}",
    ]
    return "\n".join(lines) + "\n"


def _percent(text: str) -> str:
    # supervisord expands %(…)s in values.
    return text.replace("%", "%%")


class Supervisor:
    """XML-RPC over the unix socket. Every call may raise OSError or xmlrpc.client.Error; none takes long."""

    def __init__(self, socket: str = SOCKET) -> None:
        from supervisor.xmlrpc import SupervisorTransport

        # One connection per call: a kept one breaks with the first supervisord restart.
        self._transport = lambda: SupervisorTransport(None, None, serverurl=socket)

    def _call(self, method: str, *arguments: Any) -> Any:
        transport = self._transport()  # type: ignore[no-untyped-call]
        try:
            proxy = xmlrpc.client.ServerProxy("http://localhost", transport=transport)
            return getattr(proxy.supervisor, method)(*arguments)
        finally:
            transport.close()

    def states(self) -> Mapping[str, ProgramState]:
        """All programs by name."""
        rows = cast(list[dict[str, Any]], self._call("getAllProcessInfo"))
        return {
            row["name"]: ProgramState(row["name"], row["statename"], int(row["pid"]), float(row["start"]))
            for row in rows
            if row["name"] not in OUR_OWN
        }

    def shutting_down(self) -> bool:
        """Whether it is stopping everything, or about to start anew. It stops the agent first and waits for it."""
        try:
            return int(self._call("getState")["statecode"]) != _RUNNING
        except xmlrpc.client.Fault as fault:
            return fault.faultCode == _SHUTDOWN_STATE

    def renew(self, programs: Iterable[str]) -> None:
        """Makes supervisord read the programs' sections again. They must be stopped or unknown."""
        self._call("reloadConfig")
        for program in programs:
            try:
                self._call("addProcessGroup", program)
            except xmlrpc.client.Fault:  # it is there already, perhaps with an older section
                self._call("removeProcessGroup", program)
                self._call("addProcessGroup", program)

    def forget(self, program: str) -> None:
        """Drops a stopped program whose section file is gone."""
        self._call("reloadConfig")
        self._call("removeProcessGroup", program)

    def start(self, program: str) -> None:
        """Starts without waiting; a program that runs already is left alone."""
        try:
            self._call("startProcess", program, False)
        except xmlrpc.client.Fault as fault:
            if "ALREADY_STARTED" not in fault.faultString:
                raise

    def stop(self, program: str) -> None:
        """Begins to stop without waiting; one that is not running is left alone."""
        try:
            self._call("stopProcess", program, False)
        except xmlrpc.client.Fault as fault:
            if "NOT_RUNNING" not in fault.faultString:
                raise
