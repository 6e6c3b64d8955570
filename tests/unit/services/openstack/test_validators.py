"""The module that makes an API's validators once, run with a stand-in for jsonschema, which is only on the nodes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from openstack_plan import files, sample

from outlast.render.tree import text
from outlast.services import oslo


class Checks:
    """As Nova's and Keystone's: its methods are bound to an object of each request."""

    def minimum(self) -> None: ...

    def maximum(self) -> None: ...


@pytest.fixture
def extend(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """`jsonschema.validators.extend` after our module was imported; the real one gives a new object for each call."""
    package, validators = ModuleType("jsonschema"), ModuleType("jsonschema.validators")
    validators.extend = lambda *args, **named: [args, named]  # type: ignore[attr-defined]
    package.validators = validators  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "jsonschema", package)
    monkeypatch.setitem(sys.modules, "jsonschema.validators", validators)
    source = text(files(sample(), "keystone")[oslo.VALIDATORS.path], {})
    exec(compile(source, oslo.VALIDATORS.path, "exec"), {})
    found: Callable[..., Any] = validators.extend  # type: ignore[attr-defined]
    return found


def test_the_same_functions_make_one_class(extend: Callable[..., Any]) -> None:
    first = extend("draft", {"minimum": Checks().minimum, "maximum": Checks().maximum})
    assert first is extend("draft", {"maximum": Checks().maximum, "minimum": Checks().minimum})


@pytest.mark.parametrize(
    "other",
    [
        ("another draft", {"minimum": Checks().minimum}),
        ("draft", {"minimum": Checks().maximum}),
        ("draft", {"maximum": Checks().minimum}),
        ("draft", {"minimum": Checks().minimum, "maximum": Checks().maximum}),
        ("draft",),
    ],
)
def test_other_functions_make_another_class(extend: Callable[..., Any], other: tuple[Any, ...]) -> None:
    assert extend(*other) is not extend("draft", {"minimum": Checks().minimum})


def test_what_is_asked_beyond_functions_is_left_to_jsonschema(extend: Callable[..., Any]) -> None:
    first = extend("draft", {}, version="x")
    assert first == [("draft", {}), {"version": "x"}]
    assert first is not extend("draft", {}, version="x")
