"""Views of members for tests: a plain one, and a strategy that makes any."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from outlast.node.view import Asked, Attempt, Direction, MemberView, step_digest
from outlast.spec.bundle import BundleMember
from outlast.spec.probe import Health, Probe
from outlast.spec.program import Leave, Program, Step
from outlast.spec.snapshot import ProgramState

NOW = 1000.0
STATES = ("RUNNING", "STARTING", "STOPPING", "STOPPED", "EXITED", "FATAL", "BACKOFF", "ABSENT", "UNKNOWN")
PREPARE, SETUP = Step("prepare", ("true",)), Step("setup", ("true",))
MEMBER = BundleMember(
    service="thing",
    index=0,
    files=(),
    directories=(),
    programs=(Program("one", ("one",)), Program("two", ("two",))),
    prepare=(PREPARE,),
    setup=(SETUP,),
    needs=(Probe("tcp", "10.0.0.1", 3306),),
    probes=(Probe("process", path="one"),),
    start="plain",
    reload=("reload-thing",),
    restart_digest="new",
    reload_digest="fresh",
)
BALANCED = replace(
    MEMBER, programs=(Program("one", ("one",), leave=Leave("10.0.0.2", 80, 1.8)), Program("two", ("two",)))
)
"""The same, with a program behind the balancers."""
DONE = frozenset({step_digest(PREPARE), step_digest(SETUP)})
WELL = Health("ok", "member.ok", "thing is well")


def states(**given: str) -> dict[str, ProgramState]:
    return {name: ProgramState(name, state) for name, state in given.items()}


SETTLED = MemberView(
    member=MEMBER,
    stale_files=(),
    programs=states(one="RUNNING", two="RUNNING"),
    stale_sections=False,
    started="new",
    reloaded="fresh",
    needs=(),
    step_needs=(),
    health=WELL,
    steps_done=DONE,
)
STOPPED = replace(SETTLED, programs=states(one="STOPPED", two="STOPPED"), needs=(Asked(True, "yes", 1.0),))


def view(base: MemberView = SETTLED, **changes: Any) -> MemberView:
    return replace(base, **changes)


_members = st.sampled_from((MEMBER, BALANCED))
_asked = st.builds(Asked, st.booleans(), st.sampled_from(("", "no answer")), st.floats(0, NOW))
_attempt = st.builds(Attempt, st.floats(0, NOW), st.integers(0, 50), st.just("exit 1"))
_kinds = ("start", "bootstrap", "pc-bootstrap", "position", "restart", "wait", "permit")
_keys = ("start", "files", "sections", "stop", "reload", "prepare", "setup", *_kinds)


@st.composite
def any_view(draw: st.DrawFn) -> MemberView:
    """Whatever a node can look like, sensible or not."""
    return MemberView(
        member=replace(draw(_members), reload=draw(st.sampled_from(((), ("reload-thing",))))),
        stale_files=draw(st.sampled_from(((), ("/etc/a",), ("/a", "/b", "/c", "/d")))),
        programs=states(one=draw(st.sampled_from(STATES)), two=draw(st.sampled_from(STATES))),
        stale_sections=draw(st.booleans()),
        started=draw(st.sampled_from(("", "old", "new"))),
        reloaded=draw(st.sampled_from(("", "stale", "fresh"))),
        needs=(draw(_asked),),
        step_needs=draw(st.sampled_from(((), (Asked(False, "not yet"),), (Asked(True, "yes"),)))),
        health=Health(draw(st.sampled_from(("ok", "starting", "failed", "stopped", "unknown"))), "member.x", "so"),
        steps_done=draw(st.sampled_from((frozenset(), frozenset({step_digest(PREPARE)}), DONE))),
        running=draw(st.sampled_from(("", "", "", "prepare"))),
        attempts=draw(st.dictionaries(st.sampled_from(_keys), _attempt, max_size=4)),
        direction=draw(
            st.one_of(st.none(), st.builds(Direction, st.sampled_from(_kinds), st.just("rule.x"), st.just("so it is")))
        ),
        deaf=draw(st.dictionaries(st.sampled_from(("one", "two")), st.sampled_from((None, False, True)))),
        leaving=draw(st.booleans()),
        left=draw(st.booleans()),
    )
