"""Our own package as it travels to the nodes: a zip with fixed times and order; equal code has an equal digest."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

from outlast.render.bundle import Code

SHIPPED = ("errors.py", "__init__.py", "py.typed", "spec", "record", "node", "coord", "plan", "services")
"""Parts of the package a node needs: the agent, what it imports, and the services' recovery rules."""


def pack(package: Path) -> Code:
    """The zip of what a node needs. `package` is the folder of the `outlast` package."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(_files(package)):
            entry = zipfile.ZipInfo(str(Path("outlast") / path.relative_to(package)), (2020, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())
    data = buffer.getvalue()
    return Code(hashlib.sha256(data).hexdigest()[:16], data)


def _files(package: Path) -> list[Path]:
    found: list[Path] = []
    for name in SHIPPED:
        part = package / name
        candidates = part.rglob("*.py") if part.is_dir() else [part] if part.exists() else []
        found.extend(path for path in candidates if "__pycache__" not in path.parts)
    return found
