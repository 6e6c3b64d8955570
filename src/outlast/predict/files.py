"""The files that programs will be given, as values: whatever decides a time is read where the program reads it.

So a raw setting (`overrides:` in the cluster file) counts exactly as it does on the node.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from outlast.plan.plan import Plan
from outlast.render.tree import merged, text
from outlast.services.registry import DESCRIBE
from outlast.spec.file import File, Ini, Scalar, Template
from outlast.spec.service import MemberSpec

Value = Scalar | tuple[str, ...]
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Described:
    """One member of a service with its files, raw settings merged in. The plan must have the service."""

    def __init__(self, plan: Plan, service: str, node: str = "") -> None:
        members = plan.members_of(service)
        self.member = next(item for item in members if node in ("", item.node))
        self.spec: MemberSpec = DESCRIBE[service](plan, self.member)
        self._overrides = plan.overrides.get(service, {})

    @cached_property
    def _files(self) -> Mapping[str, File]:
        return {file.path.rsplit("/", 1)[-1]: file for file in self.spec.files}

    def text(self, name: str) -> str:
        """A file as the node gets it. Raises PlanError for a template's mistake."""
        return text(self._files[name], self._overrides.get(name, {}))

    def json(self, name: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = json.loads(self.text(name))
        return found

    def ini(self, name: str) -> Mapping[str, Mapping[str, Value]]:
        """Sections of an INI file; the empty mapping where the member has no such file."""
        content = self._files[name].content if name in self._files else None
        if not isinstance(content, Ini):
            return {}
        return merged(content, self._overrides.get(name, {})).sections

    def oslo(self) -> Iterator[tuple[str, Mapping[str, Mapping[str, Value]]]]:
        """(name, sections) of each file that an OpenStack program reads."""
        for name, file in self._files.items():
            if isinstance(file.content, Ini) and file.content.oslo:
                yield name, self.ini(name)

    def variables(self, name: str) -> Mapping[str, object]:
        """What a template is filled with."""
        content = self._files[name].content
        return content.variables if isinstance(content, Template) else {}


def as_number(value: Value, default: float) -> float:
    """A setting as a number; the program's own default where it is not given or no number."""
    try:
        return default if value is None or isinstance(value, tuple) else float(value)
    except ValueError:
        return default


def duration(word: str, unit: str = "ms") -> float:
    """Seconds of HAProxy's way to write a time ("1500ms", "2s", a bare number of `unit`)."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(us|ms|s|m|h|d)?", word)
    return float(found[1]) * _UNITS[found[2] or unit] if found else 0.0


def period(word: str, default: float) -> float:
    """Seconds of Galera's way to write one (ISO 8601): "PT1.5S", "PT1M"."""
    found = re.fullmatch(r"PT(?:(\d+(?:\.\d+)?)H)?(?:(\d+(?:\.\d+)?)M)?(?:(\d+(?:\.\d+)?)S)?", word)
    if not found or not any(found.groups()):
        return default
    hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return 3600 * hours + 60 * minutes + seconds
