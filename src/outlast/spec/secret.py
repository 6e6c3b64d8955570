"""Names of secrets. Values join when a node's bundle is made: plans, golden files and evidence never hold one."""

from __future__ import annotations

import re
from dataclasses import dataclass

PLACEHOLDER = re.compile(r"⟦secret:([a-z0-9/._-]+):([a-z0-9-]+)⟧")


@dataclass(frozen=True, order=True)
class SecretRef:
    """A secret by name; `kind` says how it is generated: password (32 letters and digits), hex, fernet, or uuid.

    Its text form is a placeholder that can stand inside any string (an URL, a template, a command).
    """

    name: str
    kind: str = "password"

    def __str__(self) -> str:
        return f"⟦secret:{self.name}:{self.kind}⟧"
