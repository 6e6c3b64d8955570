"""Fixtures of all unit tests: the examples, as targets and as rendered files."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from example_clusters import NAMES, opened, rendered
from hypothesis import settings

from outlast.pipeline.target import Target
from outlast.render.tree import NodeTree

# No deadlines: the machine may be busy with labs. Fewer examples than the default keep the ring short.
settings.register_profile("unit", max_examples=50, deadline=None)
settings.load_profile("unit")


@pytest.fixture(params=NAMES)
def example(request: pytest.FixtureRequest) -> Target:
    """Every example in turn."""
    return opened(request.param)


@pytest.fixture
def example_trees(example: Target) -> Mapping[str, NodeTree]:
    """The files of the same example, node by node."""
    return rendered(example.path.stem)


@pytest.fixture
def lab() -> Target:
    """examples/lab.yaml."""
    return opened("lab")


@pytest.fixture
def lab_trees() -> Mapping[str, NodeTree]:
    return rendered("lab")
