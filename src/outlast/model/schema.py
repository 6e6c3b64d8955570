"""JSON Schema of the cluster file, for editors: the models' own, and what the services add to it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from outlast.model.cluster import NAME_PATTERN
from outlast.model.shape import cluster_shape
from outlast.spec.service import Option, ServiceSpec

_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}


def json_schema(specs: Mapping[str, ServiceSpec]) -> dict[str, Any]:
    """JSON Schema (2020-12) that knows the services by name and their options."""
    schema = copy.deepcopy(cluster_shape())
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Outlast cluster file"
    properties = schema["properties"]
    services = sorted(specs)
    frontends = sorted(frontend.name for spec in specs.values() for frontend in spec.frontends)
    for shape in properties["services"]["anyOf"]:
        if shape.get("type") == "array":
            shape["items"]["enum"] = services
    properties["overrides"]["propertyNames"] = {"enum": services}
    properties["options"] = _options(properties["options"], specs)
    schema["$defs"]["Vip"]["properties"]["frontends"]["items"]["enum"] = frontends
    for section in ("nodes", "vips"):
        properties[section]["propertyNames"] = {"pattern": NAME_PATTERN}
    return schema


def _options(base: Mapping[str, Any], specs: Mapping[str, ServiceSpec]) -> dict[str, Any]:
    services = {
        name: {
            "type": "object",
            "description": spec.title,
            "properties": {option.name: _option(option) for option in spec.options},
            "additionalProperties": False,
        }
        for name, spec in specs.items()
    }
    kept = {key: value for key, value in base.items() if key != "additionalProperties"}
    return {**kept, "properties": services, "additionalProperties": False}


def _option(option: Option) -> dict[str, Any]:
    shape: dict[str, Any] = {"description": option.help, "default": option.default}
    kind = _TYPES.get(type(option.default))
    limits = {"type": kind, "minimum": option.minimum, "maximum": option.maximum, "enum": list(option.choices) or None}
    return {**shape, **{key: value for key, value in limits.items() if value is not None}}
