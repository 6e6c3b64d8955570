"""A session of drills: scenarios under one or several timing profiles, on one cluster, one after the other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from outlast.drill.scenario import Scenario
from outlast.pipeline import drill
from outlast.pipeline.profiles import under
from outlast.pipeline.progress import Silent
from outlast.pipeline.scorecard import is_done
from outlast.pipeline.target import Target
from outlast.pipeline.up import up
from outlast.record.verdict import Result, Verdict


@dataclass(frozen=True)
class Wish:
    """profiles empty: the cluster file's own. missing: only what was not run yet with the same inputs."""

    scenarios: tuple[Scenario, ...]
    profiles: tuple[str, ...] = ()
    missing: bool = False
    seed: int = 0


def session(target: Target, wish: Wish, tell: Callable[[str], None]) -> Iterator[drill.Outcome]:
    """Outcomes as they come. Afterwards the cluster is again as its file says, also after an error or Ctrl-C.

    An unknown outcome is tried once more (PROVING 13): the machine itself may have stood still. Raises as drill.run.
    """
    name = drill.session_id(time.time())
    moved = False
    try:
        for profile in wish.profiles or (target.cluster.profile,):
            mine = under(target, profile)
            scenarios = [one for one in wish.scenarios if not (wish.missing and is_done(mine, one))]
            if len(scenarios) < len(wish.scenarios):
                tell(
                    f"{len(wish.scenarios) - len(scenarios)} of {len(wish.scenarios)} were run before; nothing changed"
                )
            if not scenarios:
                continue
            if mine is not target or moved:
                tell(f"to profile {profile}")
                asyncio.run(up(mine, Silent()))
                moved = mine is not target
            yield from _judged(mine, scenarios, tell, name, wish.seed)
    finally:
        if moved:
            tell(f"back to profile {target.cluster.profile}")
            asyncio.run(up(target, Silent()))


def _judged(
    target: Target, scenarios: list[Scenario], tell: Callable[[str], None], name: str, seed: int
) -> Iterator[drill.Outcome]:
    again = []
    for outcome in drill.run(target, scenarios, tell, session=name, seed=seed):
        yield outcome
        if outcome.verdict.result == "unknown":
            again.append(next(one for one in scenarios if one.name == outcome.verdict.scenario))
    if again:
        tell(f"once more, for nothing could be said: {', '.join(one.name for one in again)}")
        yield from drill.run(target, again, tell, session=f"{name}b", seed=seed)


def last_words(verdicts: Iterable[Verdict]) -> list[Result]:
    """One result for each run that was wished for: where one could say nothing, the next of its kind speaks for it."""
    found: dict[tuple[str, str], list[Result]] = {}
    for verdict in verdicts:
        words = found.setdefault((verdict.scenario, verdict.profile), [])
        if "unknown" in words:
            words.remove("unknown")
        words.append(verdict.result)
    return [word for words in found.values() for word in words]
