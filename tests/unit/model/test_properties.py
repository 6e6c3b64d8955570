"""Properties of the loader: what is valid loads, what is damaged is refused in words, and big files are quick."""

from __future__ import annotations

import json
import sys
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from model_samples import GOOD, SPECS

from outlast.errors import ClusterFileError
from outlast.model.loader import examine, parse

NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,30}", fullmatch=True)


@st.composite
def clusters(draw: st.DrawFn) -> str:
    """Valid cluster files: 3 or 5 controllers, any computes, networks, domains and layout of the text."""
    controllers = draw(st.sampled_from([3, 5]))
    names = draw(st.lists(NAMES, min_size=controllers, max_size=controllers + 12, unique=True))
    second = draw(st.integers(0, 250))
    networks = ["management", "control-data", "tunnel", "external"]
    chosen = [name for name in networks if name in ("management", "tunnel") or draw(st.booleans())]
    lines = [f"cluster: {draw(NAMES)!r}", "networks:"]
    lines += [f"  {name}: {{cidr: 10.{second + networks.index(name)}.0.0/20}}" for name in chosen]
    lines += ["vips:", f"  external: {{address: 10.{second}.15.1}}"]
    internal = second + 1 if "control-data" in chosen else second
    lines += [f"  internal: {{address: 10.{internal}.15.2}}", "nodes:"]
    for position, name in enumerate(names):
        roles = (
            ["controller"] if position < controllers else draw(st.sampled_from([["compute"], ["network"], ["client"]]))
        )
        domain = f", domain: {draw(NAMES)!r}" if draw(st.booleans()) else ""
        lines.append(f"  {name!r}: {{roles: {roles}{domain}}}")
    return "\n".join(lines)


@given(clusters())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_valid_cluster_loads(text: str) -> None:
    assert parse(text, "lab.yaml", SPECS).nodes


@given(
    st.integers(0, len(GOOD) - 1),
    st.one_of(st.sampled_from("\t\n\0{}[]:,&*!|>'\"%@`#-?<=~ 0a\\\x85\ufeff"), st.characters()),
)
@settings(max_examples=400, deadline=None)
def test_a_damaged_character_never_raises_anything_but_our_error(position: int, character: str) -> None:
    text = GOOD[:position] + character + GOOD[position + 1 :]
    lines = text.count("\n") + 1
    try:
        parse(text, "lab.yaml", SPECS)
    except ClusterFileError as error:
        assert all(0 < item.line <= lines and item.sentence for item in error.problems)


@given(st.integers(0, len(GOOD)), st.integers(0, len(GOOD)))
@settings(max_examples=150, deadline=None)
def test_a_file_with_a_hole_never_raises(start: int, end: int) -> None:
    examine(GOOD[: min(start, end)] + GOOD[max(start, end) :], "lab.yaml", SPECS)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
        max_leaves=6,
    ),
    st.sampled_from(["cluster", "networks", "vips", "nodes", "services", "options", "overrides", "lab", "recovery"]),
)
@settings(max_examples=200, deadline=None)
def test_any_value_under_any_key_never_raises(value: object, key: str) -> None:
    kept = [line for line in GOOD.splitlines() if not line.startswith(f"{key}:")]
    examine("\n".join([*kept, f"{key}: {json.dumps(value)}"]), "lab.yaml", SPECS)


def test_a_thousand_nodes(capsys: pytest.CaptureFixture[str]) -> None:
    """A benchmark to look at, not a limit: machines differ."""
    text = GOOD.replace("0.0/24", "0.0/16").replace("10.20.0.250", "10.20.200.1").replace("10.21.0.250", "10.21.200.1")
    text += "".join(f"  n{number}: {{roles: [compute], domain: rack-{number % 40}}}\n" for number in range(994))
    begun = time.perf_counter()
    found = parse(text, "lab.yaml", SPECS)
    took = time.perf_counter() - begun
    assert len(found.nodes) == 1000
    with capsys.disabled():
        sys.stdout.write(f"\nbenchmark: a cluster file of 1000 nodes loads in {took:.2f} s\n")
