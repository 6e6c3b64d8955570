"""Write docs/reference/cluster-file.md from the models and the services; a unit test fails while it is stale."""

from pathlib import Path

from outlast.model.reference import reference
from outlast.services.registry import SPECS

page = Path(__file__).parents[1] / "docs" / "reference" / "cluster-file.md"
page.parent.mkdir(parents=True, exist_ok=True)
page.write_text(reference(SPECS), encoding="utf-8")
