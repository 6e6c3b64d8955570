"""A run folder → its verdict. The same for a run that just ended and for one that was saved long ago."""

from __future__ import annotations

from outlast.drill.check.check import check, unproven
from outlast.drill.instrument.consumed import consumption
from outlast.drill.judge import Seen, judge
from outlast.drill.scenario_file import read
from outlast.record.run import RunFolder
from outlast.record.verdict import Verdict


def conclude(folder: RunFolder) -> Verdict:
    """Reads everything, checks and judges. Raises OSError or ValueError where a file is missing or broken."""
    record, operations = folder.record(), folder.history()
    scenario = read(record.text, f"{folder.path}/run.json")
    seen, views = (*operations, *consumption(folder)), folder.views()
    return judge(
        Seen(
            scenario=record.scenario,
            fault_class=record.fault_class,
            profile=record.profile,
            budgets=scenario.budgets,
            marks=folder.marks(),
            operations=operations,
            packets=folder.packets(),
            stalls=folder.stalls(),
            samples=folder.samples(),
            events=folder.events(),
            findings=check(seen, views),
            unproven=unproven(seen, views),
            meter=folder.meter(),
        )
    )
