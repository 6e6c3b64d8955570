"""The only place where the agent changes its node."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import signal
import subprocess
import time
from pathlib import Path

from outlast.node import disk, leaving
from outlast.node.supervisor import CONF_DIR, Supervisor, section
from outlast.node.view import DOWN, MemberView
from outlast.spec.bundle import BundleMember
from outlast.spec.program import STACKS, Program, Step

RELOAD_SECONDS = 20.0
WORDS = 0.1
"""Seconds for a hung program to write down what its threads do: a few kilobytes, by a signal handler."""


class StepFailed(Exception):
    """A step ended badly; the message holds its last words."""


def stale_sections(member: BundleMember) -> bool:
    """Whether supervisord's section files differ from the member's programs."""
    return any(_written(program) != section(program) for program in member.programs)


def _section_path(program: Program) -> Path:
    return Path(CONF_DIR) / f"{program.name}.conf"


def _written(program: Program) -> str:
    try:
        return _section_path(program).read_text()
    except FileNotFoundError:
        return ""


def write_files(member: BundleMember, paths: tuple[str, ...]) -> None:
    """Writes the named files of the member."""
    for file in member.files:
        if file.path in paths:
            disk.write(Path(file.path), file.text.encode(), file.mode, file.owner, file.group, durable=file.once)


def write_sections(member: BundleMember) -> None:
    """The programs' section files; supervisord reads them at the next start of the member."""
    for program in member.programs:
        disk.write(_section_path(program), section(program).encode(), mode=0o600, durable=False)


def start(view: MemberView, supervisor: Supervisor) -> None:
    """Directories, then every program that does not run, in order of priority."""
    leaving.withdraw(view.member)
    for directory in view.member.directories:
        disk.ensure(directory)
    ordered = sorted(view.member.programs, key=lambda item: item.priority)
    waiting = [program.name for program in ordered if view.state(program.name) in DOWN]
    # Only a changed member needs its sections read again; a crash between writing and reading is thereby healed too.
    changed = view.started != view.member.restart_digest
    unread = [name for name in waiting if changed or view.state(name) == "ABSENT"]
    if unread:
        supervisor.renew(unread)
    for name in waiting:
        supervisor.start(name)


def stop(view: MemberView, supervisor: Supervisor) -> None:
    """Asks every program to end, the last that started first; who would not hear it is killed."""
    for program in sorted(view.member.programs, key=lambda item: -item.priority):
        if view.state(program.name) not in DOWN:
            supervisor.stop(program.name)
            if program.deaf_start and not view.deaf.get(program.name, True):
                kill(view.programs[program.name].pid)


def end(pid: int) -> None:
    """TERM to a program's process group, where supervisord takes no orders any more because it shuts down."""
    _tell_group(pid, signal.SIGTERM)


def kill(pid: int, stacks: bool = False) -> None:
    """SIGKILL to a program's process group: who is hung takes no other word. A guard's child has a group of its own.

    stacks: it can still say what its threads do (spec.program.Program.stacks), and has WORDS to write it down.
    """
    if stacks:
        _tell_group(pid, signal.Signals[f"SIG{STACKS}"])
        time.sleep(WORDS)
    _tell_group(pid, signal.SIGKILL)


def _tell_group(pid: int, number: signal.Signals) -> None:
    if pid > 1:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, number)


def reload(member: BundleMember) -> None:
    """Raises OSError where the programs did not take their files: they may run with the old ones, so it is repeated."""
    try:
        done = subprocess.run(member.reload, check=False, timeout=RELOAD_SECONDS, capture_output=True)
    except subprocess.TimeoutExpired as error:
        raise OSError(f"{member.reload[0]} did not end within {RELOAD_SECONDS:g} s") from error
    if done.returncode:
        words = (done.stdout + done.stderr).decode(errors="replace").strip().splitlines()
        raise OSError(f"exit {done.returncode}: {words[-1][:300] if words else ''}")


def forget(program: str, supervisor: Supervisor) -> None:
    """Stops and removes a program that no bundle names any more."""
    (Path(CONF_DIR) / f"{program}.conf").unlink(missing_ok=True)
    supervisor.stop(program)
    with contextlib.suppress(Exception):  # still stopping: the next cycle finds it again
        supervisor.forget(program)


async def run(
    argv: tuple[str, ...],
    *,
    env: tuple[tuple[str, str], ...] = (),
    user: str = "root",
    stdin: str = "",
    timeout: float = 60.0,
) -> str:
    """Runs a command to its end; its output. Raises StepFailed with its last words."""
    environment = {**os.environ, "HOME": pwd.getpwnam(user).pw_dir, **dict(env)}
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=environment,
            user=None if user == "root" else user,
            group=None if user == "root" else pwd.getpwnam(user).pw_gid,
            extra_groups=None if user == "root" else [],
            start_new_session=True,
        )
    except OSError as error:
        raise StepFailed(str(error)) from error
    try:
        output, _ = await asyncio.wait_for(process.communicate(stdin.encode()), timeout)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        await process.wait()
        raise StepFailed(f"not finished within {timeout:g} s") from None
    text = output.decode(errors="replace")
    if process.returncode:
        words = " ⏎ ".join(text.strip().splitlines()[-3:])[-400:]
        raise StepFailed(f"exit {process.returncode}: {words}")
    return text


async def run_step(step: Step, member: BundleMember) -> None:
    """Runs a step unless its `unless` says that there is nothing to do. Raises StepFailed."""
    for directory in member.directories:
        disk.ensure(directory)
    if step.unless:
        try:
            await run(step.unless, env=step.env, user=step.user, timeout=step.timeout)
            return
        except StepFailed:
            pass
    await run(step.argv, env=step.env, user=step.user, stdin=step.stdin, timeout=step.timeout)
