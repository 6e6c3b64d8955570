"""Digests of described things that stay the same when their class merely learns a new field with a default."""

from __future__ import annotations

import hashlib
from dataclasses import MISSING, fields, is_dataclass


def digest(*values: object) -> str:
    """16 hex digits over the values; fields that hold their default do not count.

    So a release that adds a field to Program or Step restarts nothing by itself.
    """
    return hashlib.sha256(repr([_plain(value) for value in values]).encode()).hexdigest()[:16]


def _plain(value: object) -> object:
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if not is_dataclass(value) or isinstance(value, type):
        return value
    told = {}
    for field in fields(value):
        found = getattr(value, field.name)
        default = field.default_factory() if field.default_factory is not MISSING else field.default
        if found != default:
            told[field.name] = _plain(found)
    return sorted(told.items(), key=lambda item: item[0])
