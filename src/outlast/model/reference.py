"""Markdown reference of the cluster file, made from the same models and specs that read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from outlast.model.service_rules import kind_of, limits
from outlast.model.shape import Shape, cluster_shape, expected, resolve
from outlast.spec.service import ServiceSpec

Row = tuple[str, str, str, str]

_INTRODUCTION = """\
# Reference: the cluster file

<!-- Generated from the models and the services. Do not edit: run python scripts/reference.py. -->

One YAML file (UTF-8, one document, no anchors and merge keys) says what the cluster is. Unknown keys are refused.
A top-level key without a value counts as absent. Secrets are never in it.
"""


def reference(specs: Mapping[str, ServiceSpec]) -> str:
    """The whole page."""
    return "\n".join((_INTRODUCTION, *_sections(), *_roles(specs), *_options(specs)))


def _sections() -> Iterator[str]:
    """A table for the file itself, then one for each kind of entry in it, in the order of their first mention."""
    waiting: list[tuple[str, Shape]] = [("The file", resolve(cluster_shape()))]
    seen = {"Cluster"}
    while waiting:
        heading, shape = waiting.pop(0)
        yield f"## {heading}\n"
        yield f"{shape['description'] if heading != 'The file' else 'Top-level keys.'}\n"
        required = shape.get("required", ())
        properties: Mapping[str, Any] = shape["properties"]
        yield _table(
            ("key", "value", "default", "meaning"),
            [_row(name, inner, name in required) for name, inner in properties.items()],
        )
        for name, inner in properties.items():
            entry = _entry(inner)
            if entry and entry not in seen:
                seen.add(entry)
                waiting.append((_heading(name, entry), cluster_shape()["$defs"][entry]))


def _entry(shape: Shape) -> str:
    """Name of the model behind a property, a mapping's values or an optional property; "" when there is none."""
    for candidate in (shape, *shape.get("anyOf", ()), shape.get("additionalProperties") or {}):
        if isinstance(candidate, Mapping) and "$ref" in candidate:
            return str(candidate["$ref"]).rpartition("/")[2]
    return ""


def _heading(name: str, entry: str) -> str:
    return {"Network": "networks: each one", "Vip": "vips: each one", "Node": "nodes: each one"}.get(entry, name)


def _row(name: str, shape: Shape, required: bool) -> Row:
    shape = resolve(shape)
    default = "**required**" if required else _default(shape.get("default"))
    return f"`{name}`", expected(shape), default, shape.get("description", "")


def _default(value: object) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return "" if value in (None, "", [], {}) or isinstance(value, dict | list) else f"`{value}`"


def _roles(specs: Mapping[str, ServiceSpec]) -> Iterator[str]:
    held: dict[str, list[str]] = {}
    for spec in specs.values():
        for role in spec.roles:
            held.setdefault(role, []).append(spec.name)
    yield "## Roles and services\n"
    yield "`controller` stands for `endpoint`, `service`, `sdn` and `storage`. A `client` runs no service.\n"
    yield _table(("role", "services"), [(f"`{role}`", ", ".join(found)) for role, found in held.items()])
    rows = [(f"`{item.name}`", item.title, item.kind, item.mode, ", ".join(item.requires)) for item in specs.values()]
    yield _table(("service", "what it is", "kind", "mode", "requires"), rows)


def _options(specs: Mapping[str, ServiceSpec]) -> Iterator[str]:
    yield "## Options\n"
    yield "Given as `options: {service: {option: value}}`.\n"
    for spec in specs.values():
        if spec.options:
            yield f"### {spec.name}\n"
            rows = [
                (
                    f"`{item.name}`",
                    ", ".join(filter(None, (kind_of(item), limits(item)))),
                    _shown(item.default),
                    item.help,
                )
                for item in spec.options
            ]
            yield _table(("option", "value", "default", "meaning"), rows)


def _shown(value: object) -> str:
    return _default(value) or '`""`'


def _table(head: tuple[str, ...], rows: list[Any]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)
