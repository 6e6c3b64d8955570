"""All ways to break something, by name."""

from __future__ import annotations

from collections.abc import Mapping

from outlast.drill.faults.answers import AnswerWrong
from outlast.drill.faults.disks import Damage, Fill, StopDiskWrites
from outlast.drill.faults.networks import Flap, LinkDown, Lose, Partition, Silence, Slow
from outlast.drill.faults.nothing import Nothing
from outlast.drill.faults.overload import OverloadCpu, OverloadDisk
from outlast.drill.faults.power import PowerOff, Reboot, Shutdown
from outlast.drill.faults.programs import Kill, Pause, Restart, Stop
from outlast.drill.faults.verb import Verb
from outlast.errors import InputError

VERBS: Mapping[str, Verb] = {
    "kill": Kill(),
    "stop": Stop(),
    "pause": Pause(),
    "hang": Pause(),
    "answer-wrong": AnswerWrong(),
    "link-down": LinkDown(),
    "drop": Silence(),
    "flap": Flap(),
    "lose": Lose(),
    "slow": Slow(),
    "partition": Partition(),
    "poweroff": PowerOff(),
    "shutdown": Shutdown(),
    "reboot": Reboot(),
    "fill": Fill(),
    "stop-disk-writes": StopDiskWrites(),
    "damage": Damage(),
    "overload-cpu": OverloadCpu(),
    "overload-disk": OverloadDisk(),
    "restart": Restart(),
    "nothing": Nothing(),
}


def verb(name: str) -> Verb:
    """Raises InputError drill.verb for one that is not there."""
    try:
        return VERBS[name]
    except KeyError:
        raise InputError("drill.verb", f"no fault is called {name!r}; there are {', '.join(VERBS)}") from None


def check_options(name: str, options: Mapping[str, object]) -> None:
    """Raises InputError drill.verb or drill.option for a verb or an option that is not there."""
    known = verb(name).options
    for option in options:
        if option.replace("_", "-") not in known:
            words = "; ".join(f"{key}: {meaning}" for key, meaning in known.items()) or "none"
            raise InputError("drill.option", f"{name} takes no {option!r}; its options are {words}")
