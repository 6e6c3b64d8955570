"""Everything the agent knows at one moment, as one frozen value: what `decide` decides on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from outlast.spec.bundle import BundleMember
from outlast.spec.digest import digest
from outlast.spec.probe import Health
from outlast.spec.program import Step
from outlast.spec.snapshot import ProgramState


@dataclass(frozen=True)
class Attempt:
    """When something was last tried and how often it failed since it last worked. Seconds of the monotonic clock."""

    at: float
    failures: int
    reason: str = ""


@dataclass(frozen=True)
class Asked:
    """A probe's last answer; `at` 0 means that it was never asked."""

    good: bool
    sentence: str
    at: float = 0.0


@dataclass(frozen=True)
class Sickness:
    """A program whose answers stay bad. Monotonic seconds.

    since     when the first of the bad answers in a row was asked for
    answers   how many there are
    silent    it did not answer at all; False: it answers wrongly, or refuses
    was_well  it answered well since it was started; False: it has not come up yet
    strain    idle, busy, or starved (node/strain.py): who is at work, or would be, is slow and not hung
    waits     the kernel holds a request for it that it has not read (node/unread.py); only told of disposable programs
    """

    program: str
    since: float
    answers: int
    sentence: str
    silent: bool
    was_well: bool = True
    strain: str = "idle"
    waits: bool = False


@dataclass(frozen=True)
class Shortage:
    """Since when (monotonic seconds) a member has too little space on its disk, and what is to be said of it."""

    since: float
    sentence: str


@dataclass(frozen=True)
class Others:
    """The other members of a service as their agents see them: how many are well, of how many there are.

    `since`: monotonic seconds from which on they were a majority at every look.
    """

    well: int = 0
    of: int = 0
    since: float = 0.0

    @property
    def majority(self) -> bool:
        """Whether those that are well are one of all members, without this one."""
        return 2 * self.well > self.of + 1


@dataclass(frozen=True)
class MemberView:
    """One member: what the bundle wants and what is.

    stale_files       paths whose content on disk differs from the bundle
    started           restart digest that the running programs were started with, "" when not known
    reloaded          reload digest that they last read
    needs             answers to the member's `needs`, in their order
    step_needs        answers to the needs of the next step not yet done
    running           name of the step or action that is under way for this member, or ""
    attempts          by step name, or "start"
    repair_after      seconds of bad answers after which a program is restarted; 0: never
    sick              programs whose answers stay bad, the longest first
    deaf              of running programs that hear no stop signal while they start: whether they have come up, None
                      where that is not known yet
    leaving           one of its programs is on the way out of the balancers
    left              the balancers send it nothing any more, and what it had is done
    shortage          it has too little space on its file system
    others            of a member that needs a majority, while something of it is sick or short
    direction         for members with a recovery rule: what the rule says now, else None
    """

    member: BundleMember
    stale_files: tuple[str, ...]
    programs: Mapping[str, ProgramState]
    stale_sections: bool
    started: str
    reloaded: str
    needs: tuple[Asked, ...]
    step_needs: tuple[Asked, ...]
    health: Health
    steps_done: frozenset[str]
    running: str = ""
    attempts: Mapping[str, Attempt] = field(default_factory=dict)
    direction: Direction | None = None
    repair_after: float = 0.0
    sick: tuple[Sickness, ...] = ()
    deaf: Mapping[str, bool | None] = field(default_factory=dict)
    shortage: Shortage | None = None
    others: Others = Others()
    leaving: bool = False
    left: bool = False

    @property
    def up(self) -> bool:
        """All programs run (a starting one counts: supervisord says RUNNING at once)."""
        return all(self.state(program.name) in UP for program in self.member.programs)

    @property
    def down(self) -> bool:
        return all(self.state(program.name) in DOWN for program in self.member.programs)

    def state(self, program: str) -> str:
        found = self.programs.get(program)
        return found.state if found else "ABSENT"


UP = frozenset({"RUNNING", "STARTING"})
DOWN = frozenset({"STOPPED", "EXITED", "FATAL", "ABSENT", "UNKNOWN"})


@dataclass(frozen=True)
class Direction:
    """What a recovery rule (Galera's) says: kind start, bootstrap, pc-bootstrap, position, restart or wait."""

    kind: str
    code: str
    sentence: str


@dataclass(frozen=True)
class View:
    """The node at `now` (monotonic seconds)."""

    now: float
    node: str
    members: tuple[MemberView, ...]
    strangers: tuple[str, ...] = ()
    paused: str = ""


@lru_cache(maxsize=256)
def step_digest(step: Step) -> str:
    """What makes a step the same step: all that was said of it. Asked for in every cycle of the agent."""
    return digest(step)
