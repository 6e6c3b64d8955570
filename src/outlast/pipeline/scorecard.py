"""Saved drills → scorecard, comparison, and judgements made again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from outlast.drill.catalogue import everything
from outlast.drill.conclude import conclude
from outlast.drill.scenario import Scenario
from outlast.drill.vocabulary import CLASSES
from outlast.errors import InputError
from outlast.pipeline.drill import home
from outlast.pipeline.drill_record import inputs
from outlast.pipeline.profiles import under
from outlast.pipeline.target import Target
from outlast.record.run import RunFolder
from outlast.report import folders
from outlast.report.as_json import as_json
from outlast.report.compare import Comparison, compare
from outlast.report.html import page
from outlast.report.markdown import scorecard_markdown
from outlast.report.row import inputs_key
from outlast.report.scorecard import Scorecard, scorecard
from outlast.report.timeline import timeline
from outlast.spec.timing import PROFILES


@dataclass(frozen=True)
class Written:
    """Files of a report, and what could not be read for it."""

    card: Scorecard
    files: tuple[Path, ...]
    unreadable: tuple[str, ...]


def present_inputs(target: Target, scenarios: Sequence[Scenario]) -> Mapping[str, str]:
    """What each row depends on today, by scenario and profile."""
    found: dict[str, str] = {}
    for profile in PROFILES:
        mine = under(target, profile)
        found |= {inputs_key(one.name, profile): inputs(mine, one) for one in scenarios}
    return found


def report(target: Target, folder: Path, mine: Mapping[str, Scenario]) -> Written:
    """Writes scorecard.html, .md and .json into the folder. Raises InputError drill.nothing-run."""
    found = runs(target)
    card = scorecard(
        found.rows,
        present_inputs(target, everything(target.plan, mine)),
        classes={name: one.about for name, one in CLASSES.items()},
    )
    versus = compare(found.rows)
    folder.mkdir(parents=True, exist_ok=True)
    shown = (timeline(folders.seen(RunFolder(path))) for path in found.paths)
    texts = {
        "scorecard.html": page(card, shown, versus),
        "scorecard.md": scorecard_markdown(card, versus),
        "scorecard.json": as_json(card),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return Written(card, tuple(folder / name for name in texts), found.unreadable)


def comparison(target: Target) -> Comparison:
    """Raises InputError drill.nothing-run."""
    return compare(runs(target).rows)


def runs(target: Target) -> folders.Found:
    found = folders.find(home(target))
    if not found.rows:
        raise InputError("drill.nothing-run", "no drill was run yet; try: outlast drill run power-vip-holder")
    return found


def judge_again(target: Target) -> tuple[int, int]:
    """Every saved run judged anew by today's rules: how many there are, and how many verdicts changed."""
    changed = 0
    paths = runs(target).paths
    for path in paths:
        folder = RunFolder(path)
        before, now = folder.verdict(), conclude(folder)
        if now != before:
            folder.write("verdict.json", now)
            changed += 1
    return len(paths), changed


def is_done(target: Target, scenario: Scenario) -> bool:
    """Whether a judged run of the same inputs is there: nothing that its row depends on has changed since."""
    wanted = inputs(target, scenario)
    for path in home(target).glob(f"*-{scenario.name}-{target.plan.timing.name}/verdict.json"):
        folder = RunFolder(path.parent)
        verdict = folder.verdict()
        if folder.record().inputs == wanted and verdict is not None and verdict.result != "unknown":
            return True
    return False
