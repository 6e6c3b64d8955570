"""What the cluster file may hold at a path, read from the JSON Schema of the models: for sentences and reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from outlast.model.cluster import Cluster
from outlast.model.document import Path

Shape = Mapping[str, Any]

_FORMATS = {
    "ipv4": "an IPv4 address such as 10.20.0.11",
    "ipv4network": "an IPv4 network such as 10.20.0.0/24",
}
_TYPES = {"string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false"}


@cache
def cluster_shape() -> dict[str, Any]:
    """JSON Schema of the cluster file without what services add. Shared: do not change it."""
    return Cluster.model_json_schema(by_alias=True)


def resolve(shape: Shape) -> Shape:
    """The shape behind references and behind "or nothing"; its own description wins."""
    while True:
        if "$ref" in shape:
            target: Shape = cluster_shape()["$defs"][str(shape["$ref"]).rpartition("/")[2]]
        else:
            choices = [item for item in shape.get("anyOf", ()) if item.get("type") != "null"]
            if len(choices) != 1:
                return shape
            target = choices[0]
        rest = {key: value for key, value in shape.items() if key not in ("$ref", "anyOf")}
        shape = {**target, **rest}


def shape_at(path: Path) -> Shape:
    """Shape of the value at a path; empty when nothing may be there."""
    shape = resolve(cluster_shape())
    for part in path:
        if part in shape.get("properties", {}):
            inner = shape["properties"][part]
        elif isinstance(part, int) and "prefixItems" in shape:
            inner = shape["prefixItems"][min(part, len(shape["prefixItems"]) - 1)]
        elif isinstance(part, int):
            inner = shape.get("items", {})
        else:
            inner = shape.get("additionalProperties") or {}
        shape = resolve(inner)
    return shape


def expected(shape: Shape) -> str:
    """What may stand there, in words."""
    if "enum" in shape:
        return f"one of {listed(shape['enum'])}"
    if "anyOf" in shape:
        return "text, a number, true or false"
    if shape.get("format") in _FORMATS:
        return _FORMATS[shape["format"]]
    kind = shape.get("type")
    if kind == "array":
        return _list(shape)
    if kind == "object":
        return "a mapping"
    words = _TYPES.get(str(kind), "a value")
    return f"{words}{_bounds(shape)}"


def _list(shape: Shape) -> str:
    if "prefixItems" in shape:
        return f"a list of {len(shape['prefixItems'])}, each {expected(resolve(shape['prefixItems'][0]))}"
    item = resolve(shape.get("items", {}))
    return f"a list of any of {listed(item['enum'])}" if "enum" in item else "a list of names"


def _bounds(shape: Shape) -> str:
    low, high = shape.get("minimum"), shape.get("maximum")
    if low is not None and high is not None:
        return f" from {low} to {high}"
    if low is not None:
        return f" of at least {low}"
    if high is not None:
        return f" of at most {high}"
    return ""


def listed(names: Sequence[object]) -> str:
    """Names in a row, cut where a reader would stop reading."""
    shown = [str(name) for name in names[:12]]
    return ", ".join(shown) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
