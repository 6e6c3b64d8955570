"""Questions to daemons in their own language: OVS and OVN by their control socket, libvirt by its RPC."""

from __future__ import annotations

import asyncio
import json
import struct

from outlast.node.answers import Bad
from outlast.spec.probe import Probe


async def unixctl(probe: Probe) -> str:
    """One JSON-RPC call, which the daemon's main loop answers between its other work (ovs/lib/unixctl.c)."""
    reader, writer = await asyncio.open_unix_connection(probe.path)
    try:
        command, *words = probe.argv
        writer.write(json.dumps({"id": 1, "method": command, "params": words}).encode())
        answer = await _json(reader)
        if answer.get("error"):
            raise Bad(f"{command}: {str(answer['error'])[:80]}")
        result = str(answer.get("result") or "").strip()
        if probe.contains not in result:
            raise Bad(f"{command} without {probe.contains!r}: {result[:80]}")
        return result.partition("\n")[0][:80] or "answered"
    finally:
        writer.close()


async def _json(reader: asyncio.StreamReader) -> dict[str, object]:
    """The one object that comes: nothing marks its end but that it is whole."""
    heard = b""
    while more := await reader.read(4096):
        heard += more
        try:
            answer = json.loads(heard)
        except ValueError:
            continue
        if isinstance(answer, dict):
            return answer
        break
    raise Bad(f"answered {heard[:60]!r}")


LIBVIRT = 0x20008086
OPEN, CLOSE, AUTH_LIST = 1, 2, 66
CALL, REPLY = 0, 1
"""Program, procedures and message types of libvirt's protocol (libvirt/src/remote/remote_protocol.x)."""


async def libvirt(probe: Probe) -> str:
    """Opens the driver and closes it again, as virsh does, without the cost of a process."""
    reader, writer = await asyncio.open_connection(probe.address, probe.port)
    try:
        await _call(reader, writer, AUTH_LIST)
        name = b"qemu:///system"
        padded = name.ljust(-(-len(name) // 4) * 4, b"\0")
        read_only = struct.pack(">I", 1)
        await _call(reader, writer, OPEN, struct.pack(">II", 1, len(name)) + padded + read_only)
        await _call(reader, writer, CLOSE)
        return "opened qemu:///system"
    except asyncio.IncompleteReadError as error:
        raise Bad("hung up") from error
    finally:
        writer.close()


async def _call(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, what: int, words: bytes = b"") -> None:
    """Length, program, version, procedure, type, serial, status; then the procedure's own words."""
    writer.write(struct.pack(">IIIIIII", 28 + len(words), LIBVIRT, 1, what, CALL, what, 0) + words)
    length, program, _, procedure, kind, _, status = struct.unpack(">IIIIIII", await reader.readexactly(28))
    if (program, procedure, kind) != (LIBVIRT, what, REPLY) or not 28 <= length <= 65536:
        raise Bad("does not speak libvirt's protocol")
    said = await reader.readexactly(length - 28)
    if status:
        raise Bad(f"refused: {said[12:100].decode(errors='replace')!r}")


async def guard(probe: Probe) -> str:
    """What Keepalived's guard last wrote into its state: whether it gave up the VIPs of a network."""
    with open(probe.path, encoding="utf-8") as stream:
        networks = json.load(stream).get("networks", {})
    if cut := [str(found.get("sentence")) for found in networks.values() if found.get("cut")]:
        raise Bad("; ".join(cut))
    return f"not fenced on {', '.join(networks)}" if networks else "fences nothing"
