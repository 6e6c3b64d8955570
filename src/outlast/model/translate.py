"""pydantic's errors → Problems in the operator's words: what was found, what was expected, what to do."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from outlast.errors import Problem
from outlast.model.document import Path
from outlast.model.shape import Shape, expected, shape_at
from outlast.model.wording import dotted, meant, shown

_CODES = {
    "missing": "key.missing",
    "extra_forbidden": "key.unknown",
    "literal_error": "value.unknown",
    "greater_than_equal": "value.range",
    "less_than_equal": "value.range",
    "string_pattern_mismatch": "value.pattern",
    "too_long": "value.length",
    "too_short": "value.empty",
    "string_too_short": "value.empty",
}


def translate(error: ValidationError, data: object) -> tuple[Problem, ...]:
    """One Problem for every path that pydantic complains about (a union complains once for each of its members)."""
    found: dict[Path, Problem] = {}
    for item in error.errors(include_url=False, include_context=False):
        path = _path(item, data)
        found.setdefault(path, _problem(path, item))
    # A list of nothing but wrong values counts as empty for pydantic; the values have been told already.
    outer = {path[:-1] for path in found}
    return tuple(item for path, item in found.items() if not (item.code == "value.empty" and path in outer))


def _path(item: ErrorDetails, data: object) -> Path:
    """pydantic's location without the names of union members, which are no part of the file."""
    path: Path = ()
    for part in item["loc"]:
        inner = data.get(part) if isinstance(data, Mapping) else None
        if isinstance(data, list) and isinstance(part, int) and part < len(data):
            inner = data[part]
        elif not (isinstance(data, Mapping) and part in data):
            missing = item["type"] == "missing" and isinstance(data, Mapping)
            return (*path, part) if missing else path
        path, data = (*path, part), inner
    return path


def _problem(path: Path, item: ErrorDetails) -> Problem:
    code = _CODES.get(item["type"], "value.type")
    if code == "key.unknown":
        return _unknown_key(path)
    shape = shape_at(path)
    about = str(shape.get("description", "")).removesuffix(".")
    if code == "key.missing" and isinstance(item["loc"][-1], str):
        return Problem(code, f"{dotted(path)} is missing; expected {expected(shape)}", hint=about, path=path)
    value = item["input"]
    if code == "value.empty":
        return Problem(code, f"{dotted(path)} holds nothing; expected {expected(shape)}", hint=about, path=path)
    if code in ("key.missing", "value.length"):  # a list with a fixed number of values
        count = len(value) if isinstance(value, list) else 0
        return Problem("value.length", f"{dotted(path)} has {count} values; expected {expected(shape)}", path=path)
    wanted = f"the form {shape.get('pattern')}" if code == "value.pattern" else expected(shape)
    sentence = f"{dotted(path)} is {shown(value)}; expected {wanted}"
    return Problem(code, sentence, hint=_hint(shape, value) or about, path=path)


def _unknown_key(path: Path) -> Problem:
    known = shape_at(path[:-1]).get("properties", {})
    name = str(path[-1])
    where = dotted(path[:-1])
    return Problem("key.unknown", f"{where} has no key {name!r}", hint=meant(name, known, "keys here"), path=path)


def _hint(shape: Shape, value: object) -> str:
    if "enum" in shape and isinstance(value, str):
        return meant(value, shape["enum"], "values")
    if shape.get("type") == "array" and isinstance(value, str):
        return f"write it as a list: [{value}]"
    if shape.get("format") == "ipv4network" and isinstance(value, str):
        return _whole_network(value)
    if shape.get("type") == "string" and "format" not in shape and isinstance(value, int | float):
        return f'put it in quotes: "{value}"'
    return ""


def _whole_network(value: str) -> str:
    try:
        return f"the network of that address is {IPv4Network(value, strict=False)}"
    except ValueError:
        return ""
