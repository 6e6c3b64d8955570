"""The module that looks up the arguments of Neutron's controllers, with a stand-in for Pecan, which only nodes have."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from outlast.pipeline.bundles import trees
from outlast.pipeline.target import open_target
from outlast.services.neutron.service import ARGUMENTS

LAB = Path(__file__).parents[4] / "examples/lab.yaml"


class Controller:
    def index(self, name: str, *rest: str) -> None: ...

    def post(self, body: str) -> None: ...


@pytest.fixture
def pecan(monkeypatch: pytest.MonkeyPatch) -> tuple[Callable[[Any], Any], list[object]]:
    """`pecan.util._getargspec` after our module was imported, and for what the one before was asked."""
    package, util = ModuleType("pecan"), ModuleType("pecan.util")
    asked: list[object] = []

    def getargspec(function: Any) -> Any:
        asked.append(function)
        return inspect.getfullargspec(function)

    package.util = util  # type: ignore[attr-defined]
    util._getargspec = getargspec  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pecan", package)
    monkeypatch.setitem(sys.modules, "pecan.util", util)
    source = trees(open_target(LAB))["c1"].files[ARGUMENTS].text
    exec(compile(source, ARGUMENTS, "exec"), {})
    return util._getargspec, asked  # type: ignore[attr-defined]


def test_a_function_is_looked_up_once_whoever_it_is_bound_to(pecan: Any) -> None:
    getargspec, asked = pecan
    found = [getargspec(method) for method in (Controller().index, Controller().index, Controller.index)]
    assert found == [inspect.getfullargspec(Controller.index)] * 3
    assert asked == [Controller.index]


def test_each_function_has_its_own(pecan: Any) -> None:
    getargspec, _ = pecan
    assert getargspec(Controller().index).args == ["self", "name"]
    assert getargspec(Controller().post).args == ["self", "body"]
