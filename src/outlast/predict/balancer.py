"""What HAProxy and its guard notice, and when: APIs, dead nodes, the database's writer, the balancer itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from outlast.node.responder import QUERY_SECONDS
from outlast.plan.plan import Plan
from outlast.predict.addresses import skews
from outlast.predict.files import Described
from outlast.predict.haproxy_checks import Check, Range, checks
from outlast.predict.prediction import NEVER, Prediction, number
from outlast.services.haproxy.service import CONFIG, GUARD_CONFIG

CHECKS = "HAProxy manual: inter, fastinter, fall, timeout check"
OBSERVED = "HAProxy manual: observe, on-error, fastinter"
GUARD = "outlast.node.guard.decide"
CHANGE = "lower the check's interval, fast interval, fall or timeout (profile, or overrides of haproxy.cfg)"
REQUESTS = "under load"
QUIET = "idle"


@dataclass(frozen=True)
class _Fault:
    """A fault behind the balancer: what a check costs, and how long a client's request takes to fail."""

    name: str
    scenario: str
    budget: str
    cost: Callable[[Check], float]
    first: Callable[[Check], float]
    measures: tuple[str, ...] = ("mask", "detect")


def _nothing(check: Check) -> float:
    return 0.0


def _connect(check: Check) -> float:
    return check.connect


KILLED = _Fault("api killed", "kill-keystone", "api-killed", _nothing, _nothing)
WRONG = _Fault("api answers 500", "wrong-500-nova-api", "api-wrong", _nothing, _nothing)
LOST = _Fault("node power loss: API out of the balancer", "power-other", "node", _connect, _connect)
MOVED = _Fault("database writer killed: balancer moves", "kill-galera", "database", _nothing, _nothing)
OFF = _Fault("database writer power loss: balancer moves", "power-writer", "database", _connect, _connect)


def balancer(plan: Plan) -> Iterator[Prediction]:
    """Nothing where the plan has no balancer."""
    if not plan.has("haproxy"):
        return
    described = Described(plan, "haproxy")
    found = checks(described.text(CONFIG.rsplit("/", 1)[-1]))
    single = {item.frontend.name for item in plan.frontends if item.frontend.single}
    apis = {name: check for name, check in found.items() if name not in single}
    writers = {name: check for name, check in found.items() if name in single}
    if apis:
        yield from _both(KILLED, apis)
        yield _hung(apis)
        yield from _wrong(apis)
        yield from _both(LOST, apis)
    if writers:
        yield from _both(MOVED, writers)
        yield from _both(OFF, writers)
        yield _writer_hung(writers)
    yield from _guarded(plan, described.json(GUARD_CONFIG.rsplit("/", 1)[-1]))


def _slowest(found: Mapping[str, Check], seconds: Callable[[Check], Range]) -> tuple[str, Check, Range]:
    """The backend with the longest worst case, and the range over all of them."""
    ranges = {name: seconds(check) for name, check in found.items()}
    name = max(ranges, key=lambda item: ranges[item][1])
    return name, found[name], (min(best for best, _ in ranges.values()), ranges[name][1])


def _where(found: Mapping[str, Check], name: str) -> str:
    """Which backend the formula is about, if that matters."""
    return "" if len(set(found.values())) == 1 else f"formula of backend {name}, the slowest"


def _both(fault: _Fault, found: Mapping[str, Check]) -> Iterator[Prediction]:
    """Under load, where clients' failed requests help, and idle, where nobody is hurt meanwhile."""

    def loaded(check: Check) -> Range:
        return check.loaded(fault.cost(check), fault.first(check))

    def idle(check: Check) -> Range:
        return check.idle(fault.cost(check))

    cases = ((REQUESTS, loaded), (QUIET, idle)) if _slowest(found, loaded) != _slowest(found, idle) else (("", idle),)
    for words, seconds in cases:
        name, check, (best, worst) = _slowest(found, seconds)
        counts = words == REQUESTS and check.failed is not None
        yield Prediction(
            fault=f"{fault.name} ({words})" if words else fault.name,
            best=best,
            worst=worst,
            formula=_loaded_formula(check, fault) if counts else _idle_formula(check, fault.cost(check)),
            source=OBSERVED if counts else CHECKS,
            scenario="" if words == QUIET else fault.scenario,
            measures=fault.measures,
            budget="" if words == QUIET else fault.budget,
            change=CHANGE,
            note=_where(found, name),
        )


def _idle_formula(check: Check, cost: float) -> str:
    first, again = number(check.interval), number(check.fast)
    more = f" + {number(cost)}" if cost else ""
    if check.fast == check.interval:
        return f"{check.fall} × ({first}{more}) s" if cost else f"{check.fall} × {first} s"
    repeated = f" + {check.fall - 1} × ({again}{more})" if cost else f" + {check.fall - 1} × {again}"
    return f"{first}{more}{repeated if check.fall > 1 else ''} s"


def _loaded_formula(check: Check, fault: _Fault) -> str:
    cost, first = fault.cost(check), fault.first(check)
    idle, soon = check.idle(cost)[1], check.loaded(cost, first)[1]
    if soon >= idle:
        return _idle_formula(check, cost)
    parts = [number(first)] if first else []
    if check.failed:
        parts.append(number(min(check.fast, check.interval)))
        parts += [number(cost)] if cost else []
        parts += [f"{check.failed - 1} × {number(check.fast + cost)}"] if check.failed > 1 else []
    return f"{' + '.join(parts) or '0'} s after a request failed"


def _hung(found: Mapping[str, Check]) -> Prediction:
    """A stopped process still accepts: its kernel does. Only an answer tells."""
    name, check, (best, worst) = _slowest(found, lambda item: item.idle(item.answer) if item.application else _NOBODY)
    return Prediction(
        fault="api hung",
        best=best,
        worst=worst,
        formula=_idle_formula(check, check.answer) if check.application else "the check only connects",
        source=CHECKS,
        scenario="hang-keystone",
        measures=("mask", "detect"),
        budget="api-hung",
        change=CHANGE if check.application else "check for an answer (profile outlast or kolla)",
        note=_where(found, name) or "observe does not help: a request that hangs has not failed yet",
    )


_NOBODY: Range = (NEVER, NEVER)


def _wrong(found: Mapping[str, Check]) -> Iterator[Prediction]:
    if all(check.application for check in found.values()):
        yield from _both(WRONG, found)
        return
    yield Prediction(
        fault="api answers 500",
        best=NEVER,
        worst=NEVER,
        formula="the check only connects",
        source=CHECKS,
        scenario=WRONG.scenario,
        budget=WRONG.budget,
        change="check for an answer (profile outlast or kolla)",
    )


def _writer_hung(found: Mapping[str, Check]) -> Prediction:
    """The responder beside the database says so as soon as its own question went unanswered."""

    def cost(check: Check) -> float:
        return min(check.answer, QUERY_SECONDS)

    _, check, (best, worst) = _slowest(found, lambda item: item.idle(cost(item)) if item.application else _NOBODY)
    return Prediction(
        fault="database writer hung: balancer moves",
        best=best,
        worst=worst,
        formula=_idle_formula(check, cost(check)) if check.application else "the check only connects",
        source=f"{CHECKS}; outlast.node.responder",
        scenario="hang-galera",
        measures=("mask", "stall"),
        budget="database",
        change=CHANGE if check.application else "check for an answer (profile outlast or kolla)",
    )


def _guarded(plan: Plan, settings: Mapping[str, Mapping[str, float]]) -> Iterator[Prediction]:
    limits = settings["limits"]
    interval, limit, unfit = limits["interval"], limits["limit"], limits["fault_after"]
    yield Prediction(
        fault="haproxy hung",
        best=limit,
        worst=interval + limit,
        formula=f"{number(interval)} + {number(limit)} s, then it is started again",
        source=GUARD,
        scenario="hang-haproxy",
        budget="haproxy",
        change="the guard's limits are fixed",
        note="up to five times the limit while the machine gives it no processor",
    )
    _, skew = skews(plan)
    yield Prediction(
        fault="haproxy killed",
        best=0.0,
        worst=unfit + skew,
        formula=f"started again at once; the VIP goes where that fails for {number(unfit)} + {number(skew)} s",
        source=GUARD,
        scenario="kill-haproxy",
        measures=("mask", "detect"),
        budget="haproxy",
        change="the guard's limits are fixed",
        note="no connection is refused meanwhile: the guard holds the sockets",
    )
