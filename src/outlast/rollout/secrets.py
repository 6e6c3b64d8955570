"""Generated secrets beside the cluster file (mode 0600), never in it."""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import string
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path

from outlast.errors import InputError
from outlast.spec.secret import SecretRef

_ALPHABET = string.ascii_letters + string.digits
_SAFE = re.compile(r"[A-Za-z0-9_.=-]+")


def path_for(cluster_file: Path) -> Path:
    """lab.yaml → lab.secrets.json."""
    return cluster_file.with_name(f"{cluster_file.stem}.secrets.json")


def read(path: Path) -> dict[str, str]:
    """The stored secrets; empty where there is no file. Raises InputError for a damaged one, or an unfit value."""
    if not path.exists():
        return {}
    try:
        stored = json.loads(path.read_text())
    except ValueError as error:
        raise InputError("secrets.damaged", f"{path} is not JSON ({error}); restore it from your backup") from error
    if not isinstance(stored, dict) or not all(isinstance(value, str) for value in stored.values()):
        raise InputError("secrets.damaged", f"{path} must map names to strings; restore it from your backup")
    for name, value in stored.items():
        if not _SAFE.fullmatch(value):
            raise InputError(
                "secrets.unsafe",
                f"{path}: {name} must be letters, digits and -_.= only: it stands unquoted in URLs, SQL and JSON",
            )
    return stored


def complete(path: Path, wanted: Iterable[SecretRef], *, store: bool = True) -> Mapping[str, str]:
    """All wanted secrets: stored ones kept, missing ones made and stored at once (atomic, durable, 0600)."""
    stored = read(path)
    missing = [ref for ref in sorted(set(wanted)) if ref.name not in stored]
    if missing:
        stored.update({ref.name: generate(ref.kind) for ref in missing})
        if not store:
            return stored
        temporary = path.with_name(f".{path.name}.new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(stored, file, indent=1, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    return stored


def generate(kind: str) -> str:
    """A fresh value: password (32 letters and digits), hex (64 digits), fernet (32 bytes, URL-safe base64), uuid."""
    match kind:
        case "password":
            return "".join(secrets.choice(_ALPHABET) for _ in range(32))
        case "hex":
            return secrets.token_hex(32)
        case "fernet":
            return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        case "uuid":
            return str(uuid.uuid4())
    raise ValueError(f"unknown kind of secret: {kind}")
