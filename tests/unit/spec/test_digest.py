"""A release that teaches Program a new field must not restart every program of every cluster."""

from __future__ import annotations

from dataclasses import dataclass

from outlast.spec.digest import digest
from outlast.spec.program import Program


@dataclass(frozen=True)
class Before:
    name: str
    user: str = "root"


@dataclass(frozen=True)
class After:
    name: str
    user: str = "root"
    nice: int = 0


def test_a_new_field_with_its_default_changes_nothing() -> None:
    assert digest(Before("x")) == digest(After("x"))
    assert digest((Before("x"), Before("y", "mysql"))) == digest((After("x"), After("y", "mysql")))


def test_what_was_said_counts() -> None:
    assert digest(After("x", nice=1)) != digest(After("x"))
    assert digest(After("x", "a")) != digest(After("x", "b"))
    assert digest(Program("a", ("/bin/a", "b"))) != digest(Program("a", ("/bin/a b",)))


def test_order_counts() -> None:
    assert digest(("a", "b")) != digest(("b", "a"))
