"""JSON Schema and Markdown reference: made from the models, so that they cannot say anything else."""

from __future__ import annotations

import json
from pathlib import Path

from model_samples import SPECS

from outlast.model.cluster import Cluster
from outlast.model.reference import reference
from outlast.model.schema import json_schema
from outlast.services.registry import SPECS as REAL

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "cluster-file.md"


def test_schema_knows_services_and_their_options() -> None:
    schema = json_schema(SPECS)
    assert json.loads(json.dumps(schema)) == schema
    options = schema["properties"]["options"]
    assert options["additionalProperties"] is False
    assert options["properties"]["galera"]["properties"]["timeout"] == {
        "description": "Seconds.",
        "default": 1.5,
        "type": "number",
        "minimum": 0.5,
        "maximum": 3,
    }
    assert options["properties"]["galera"]["properties"]["method"]["enum"] == ["backup", "rsync"]
    assert "galera" in schema["properties"]["services"]["anyOf"][0]["items"]["enum"]
    assert "control-data" in schema["$defs"]["Networks"]["properties"]


def test_reference_names_every_key_and_option() -> None:
    page = reference(SPECS)
    keys = [field.alias or name for name, field in Cluster.model_fields.items()]
    assert all(f"| `{key}` |" in page for key in (*keys, "control-data", "router_id", "timeout"))
    assert "| `timeout` | a number, 0.5 to 3 | `1.5` | Seconds. |" in page


def test_the_page_in_docs_is_fresh() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference(REAL), "run: python scripts/reference.py"
