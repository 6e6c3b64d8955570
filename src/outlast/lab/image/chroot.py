"""Runs commands for the build: logged, in namespaces of their own, inside the image's root directory."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

# Mounts live in a namespace of this one command: whatever happens, nothing stays mounted in the image, and a later
# removal can never reach through a bind mount. $1 is the root, then come pairs of source and target up to "--".
ENTER = r"""
set -e
root=$1; shift
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sys "$root/sys"
mount -t tmpfs -o mode=755 tmp "$root/dev"
for node in null zero full random urandom tty; do
    touch "$root/dev/$node"
    mount --bind "/dev/$node" "$root/dev/$node"
done
ln -s /proc/self/fd "$root/dev/fd"
mkdir "$root/dev/shm"; mount -t tmpfs shm "$root/dev/shm"
mount -t tmpfs -o mode=1777 tmp "$root/tmp"
mount -t tmpfs -o mode=755 run "$root/run"
while [ "$1" != -- ]; do
    if [ -d "$1" ]; then mkdir -p "$root$2"; else mkdir -p "$(dirname "$root$2")"; [ -e "$root$2" ] || : >"$root$2"; fi
    # The machine itself is only ever shown, never handed over.
    if [ "$1" = / ]; then
        mount --rbind / "$root$2"
        mount -o remount,bind,ro "$root$2"
    else
        mount --bind "$1" "$root$2"
    fi
    shift 2
done
shift
exec chroot "$root" "$@"
"""

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class CommandFailed(Exception):
    """A build command ended with a status other than zero; `tail` is the end of what it printed."""

    def __init__(self, status: int, tail: str) -> None:
        super().__init__(f"exit status {status}")
        self.status = status
        self.tail = tail


def isolated(command: Sequence[str]) -> list[str]:
    """The command in mount and process namespaces of its own; it dies, with all its children, when we do."""
    spaces = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--mount-proc", "--kill-child"]
    return ["setpriv", "--pdeathsig", "KILL", *spaces, *command]


def run_logged(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
    """Runs a command with its output appended to the log. Raises CommandFailed."""
    with log.open("ab") as out:
        # From "/": uv and apt would otherwise take settings from files in whatever directory we were called in.
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=dict(environment), cwd="/", check=False
        )
    if done.returncode:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        raise CommandFailed(done.returncode, "\n".join(lines[-15:]))


def run_inside(
    root: Path, command: Sequence[str], log: Path, *, binds: Mapping[Path, str], settings: Mapping[str, str]
) -> None:
    """Runs a command inside the root directory, with nothing of this machine but what `binds` and `settings` hand in.

    Raises CommandFailed.
    """
    pairs = [word for source, target in binds.items() for word in (str(source), target)]
    environment = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8", **settings}
    run_logged(isolated(["sh", "-c", ENTER, "enter", str(root), *pairs, "--", *command]), log, environment)
