"""How Outlast reaches a node: one Protocol, many ways.

Every backend keeps the same contract, proved by tests/contract/test_connector.py.
"""

from __future__ import annotations

from asyncio import StreamReader, StreamWriter
from collections.abc import Sequence
from typing import Protocol

from outlast.errors import RemoteError
from outlast.spec.command import Output

__all__ = ["Connector", "RemoteError", "RemoteFiles", "Runner"]

FILE_SECONDS = 30.0
"""Time allowed to `put` and `get` one file."""

_NOT_FOUND, _NOT_ALLOWED, _NO_FOLDER = 90, 91, 92

# Runs inside the node, in any POSIX shell. mktemp makes the draft with mode 0600: content is never readable too early.
_PUT = f"""
set -e
folder=$(dirname -- "$1")
[ -d "$folder" ] || exit {_NO_FOLDER}
[ -w "$folder" ] || exit {_NOT_ALLOWED}
draft=$(mktemp "$folder/.outlast.XXXXXX")
trap 'rm -f -- "$draft"' EXIT
cat > "$draft"
[ "$(wc -c < "$draft")" -eq "$4" ]
[ "$3" = "$(id -un)" ] || chown -- "$3" "$draft"
chmod -- "$2" "$draft"
sync "$draft"
mv -f -- "$draft" "$1"
sync "$folder"
"""

_GET = f"""
[ -e "$1" ] || exit {_NOT_FOUND}
[ -r "$1" ] && [ ! -d "$1" ] || exit {_NOT_ALLOWED}
exec cat -- "$1"
"""


class Runner(Protocol):
    async def run(self, argv: Sequence[str], *, timeout: float, input: bytes | None = None) -> Output: ...


class Connector(Runner, Protocol):
    """A way to one node. Safe for concurrent use.

    Every method raises RemoteError with one of these codes, and nothing else:

    - `remote.unreachable`: the node cannot be reached now; nothing was done.
    - `remote.refused`: it answered but does not let us in (key, host key); nothing was done.
    - `remote.timeout`: no end in time. The command was killed if that was possible; what it did until then is done.
    - `remote.lost`: the connection broke meanwhile. Whether the command took effect is *unknown*; it is never repeated.
    - `remote.closed`: this connector has been closed.
    - `remote.no-command`: the program does not exist or cannot be executed.
    - `remote.not-found`: `get`: no such file; `put`: no such folder; `stream`: no such socket.
    - `remote.not-allowed`: `get`, `put`, `stream`: the node's user may not.
    - `remote.failed`: `put` could not finish (disk full, no such owner); the old file is untouched.
    """

    async def run(self, argv: Sequence[str], *, timeout: float, input: bytes | None = None) -> Output:
        """Run a command to its end. A status other than zero is an answer, not an error.

        No shell sees `argv`. Without `input` the command's standard input is empty. The environment is the node's.
        """
        ...

    async def put(self, path: str, content: bytes, *, mode: int, owner: str = "root") -> None:
        """Write a file so that readers see the old or the new content whole, also after a power cut.

        On return content and name are synced to disk. The folder must exist; a link at `path` is replaced. `owner` is
        a user, or "user:group".
        """
        ...

    async def get(self, path: str) -> bytes: ...

    async def stream(self, unix_path: str) -> tuple[StreamReader, StreamWriter]:
        """Connect to a unix socket inside the node. The caller closes the writer."""
        ...

    async def close(self) -> None:
        """End the connection. Safe to repeat; every later call raises `remote.closed`."""
        ...


class RemoteFiles:
    """`put` and `get` for every backend that can run a command: both happen wholly inside the node."""

    async def put(self: Runner, path: str, content: bytes, *, mode: int, owner: str = "root") -> None:
        argv = ["/bin/sh", "-c", _PUT, "put", path, f"{mode:04o}", owner, str(len(content))]
        _check_file(path, await self.run(argv, timeout=FILE_SECONDS, input=content))

    async def get(self: Runner, path: str) -> bytes:
        output = await self.run(["/bin/sh", "-c", _GET, "get", path], timeout=FILE_SECONDS)
        _check_file(path, output)
        return output.stdout


def _check_file(path: str, output: Output) -> None:
    if output.status == 0:
        return
    reason = output.stderr.decode(errors="replace").strip() or f"status {output.status}"
    code, sentence = {
        _NOT_FOUND: ("remote.not-found", f"{path}: no such file"),
        _NO_FOLDER: ("remote.not-found", f"{path}: its folder does not exist"),
        _NOT_ALLOWED: ("remote.not-allowed", f"{path}: not allowed"),
    }.get(output.status, ("remote.failed", f"{path}: {reason}"))
    raise RemoteError(code, sentence)
