"""Which image a lab's nodes get: a lab that stands keeps its own, and builds none that nobody would use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from example_clusters import opened

from outlast.lab.image.recipe import digest, load_recipe
from outlast.lab.state import NodeRecord, place
from outlast.pipeline import target, up
from outlast.pipeline.progress import Silent
from outlast.pipeline.target import Target
from outlast.services.registry import SPECS


class Heard(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, sentence: str) -> None:
        self.said.append(sentence)


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Path]:
    """The images that were asked for, instead of building them."""
    asked: list[Path] = []

    def build(recipe: object, cache: Path, **_: Any) -> up.image_build.Image:
        asked.append(cache)
        return up.image_build.Image(tmp_path / "new/root", "new", tmp_path)

    monkeypatch.setattr(up.image_build, "build", build)
    monkeypatch.setattr(target, "LABS", tmp_path)
    return asked


def lab(tmp_path: Path, images: dict[str, Path]) -> Target:
    """examples/lab.yaml, whose nodes so named stand on these images."""
    found = opened("lab")
    for node, image in images.items():
        image.mkdir(parents=True, exist_ok=True)
        where = place(found.state_dir)
        where.node_dir(node).mkdir(parents=True)
        where.write_record(node, NodeRecord("on", str(image), ("/init",)))
    return found


def names() -> list[str]:
    return [node.name for node in opened("lab").plan.nodes]


def test_a_new_lab_gets_the_present_image(tmp_path: Path, built: list[Path]) -> None:
    assert up.node_image(lab(tmp_path, {}), Silent()) == tmp_path / "new/root"
    assert built


def test_a_lab_that_stands_keeps_its_own_and_is_told(tmp_path: Path, built: list[Path]) -> None:
    old, heard = tmp_path / "old/root", Heard()
    assert up.node_image(lab(tmp_path, dict.fromkeys(names(), old)), heard) == old
    assert not built
    (sentence,) = heard.said
    assert "outlast down" in sentence


def test_on_the_present_image_nothing_is_said(tmp_path: Path, built: list[Path]) -> None:
    present = digest(load_recipe([package for spec in SPECS.values() for package in spec.packages]))
    heard = Heard()
    assert up.node_image(lab(tmp_path, dict.fromkeys(names(), tmp_path / present / "root")), heard).is_dir()
    assert not built and not heard.said


def test_a_node_that_is_missing_needs_the_present_image(tmp_path: Path, built: list[Path]) -> None:
    some = dict.fromkeys(names()[1:], tmp_path / "old/root")
    assert up.node_image(lab(tmp_path, some), Silent()) == tmp_path / "new/root"
    assert built


def test_an_image_that_was_removed_is_built_again(tmp_path: Path, built: list[Path]) -> None:
    made = lab(tmp_path, dict.fromkeys(names(), tmp_path / "old/root"))
    (tmp_path / "old/root").rmdir()
    assert up.node_image(made, Silent()) == tmp_path / "new/root"
    assert built
