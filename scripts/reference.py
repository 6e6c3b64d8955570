"""Write docs/reference/cluster-file.md and probes.md from the models and the services; unit tests fail while stale."""

from pathlib import Path

from outlast.model.reference import reference
from outlast.pipeline.bundles import trees
from outlast.pipeline.questions import page
from outlast.pipeline.target import open_target
from outlast.services.registry import SPECS

home = Path(__file__).parents[1]
folder = home / "docs" / "reference"
folder.mkdir(parents=True, exist_ok=True)
(folder / "cluster-file.md").write_text(reference(SPECS), encoding="utf-8")
(folder / "probes.md").write_text(page(trees(open_target(home / "examples" / "lab.yaml"))), encoding="utf-8")
