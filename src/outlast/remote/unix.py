"""Unix sockets of this machine: its own, and those of lab nodes, seen from here."""

from __future__ import annotations

import asyncio
from asyncio import StreamReader, StreamWriter

from outlast.errors import RemoteError


async def open_socket(path: str, shown: str) -> tuple[StreamReader, StreamWriter]:
    """Connect to a socket of this machine; errors speak of `shown`."""
    try:
        return await asyncio.open_unix_connection(path)
    except (FileNotFoundError, NotADirectoryError):
        raise RemoteError("remote.not-found", f"{shown}: no such socket") from None
    except PermissionError:
        raise RemoteError("remote.not-allowed", f"{shown}: not allowed") from None
    except OSError as error:
        raise RemoteError("remote.unreachable", f"{shown}: {error.strerror or error}") from None
