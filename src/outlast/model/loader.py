"""A cluster file → Cluster, or every problem it has, with its line.

`examine` finds errors and warnings; `load` and `parse` refuse on the first kind and forget the second.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path as FilePath

from pydantic import ValidationError

from outlast.errors import ClusterFileError, Problem
from outlast.model.cluster import Cluster
from outlast.model.document import Data, Document, Path, read_document
from outlast.model.rules import ABSENCES, LOCAL, check
from outlast.model.spof import single_points
from outlast.model.translate import translate
from outlast.spec.service import ServiceSpec

Specs = Mapping[str, ServiceSpec]


@dataclass(frozen=True)
class Examination:
    """What a cluster file says, and everything worth telling about it in the order of its lines.

    `cluster` is None when there are errors.
    """

    cluster: Cluster | None
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity == "error")


def load(path: FilePath, specs: Specs) -> Cluster:
    """The cluster of a file. Raises ClusterFileError with all errors at once."""
    return parse(read_text(path), str(path), specs)


def parse(text: str, file_name: str, specs: Specs) -> Cluster:
    """The cluster of a file's text. Raises ClusterFileError with all errors at once."""
    seen = _examine(text, file_name, specs, advice=False)
    if seen.cluster is None:
        raise ClusterFileError(seen.errors)
    return seen.cluster


def examine(text: str, file_name: str, specs: Specs) -> Examination:
    """Errors, warnings and single points of failure of a file's text. Never raises."""
    return _examine(text, file_name, specs, advice=True)


def advise(path: FilePath, specs: Specs) -> tuple[Problem, ...]:
    """Warnings and single points of failure of a file, with lines. Raises ClusterFileError with all errors at once."""
    seen = examine(read_text(path), str(path), specs)
    if seen.cluster is None:
        raise ClusterFileError(seen.errors)
    return seen.problems


def read_text(path: FilePath) -> str:
    """Text of a cluster file. Raises ClusterFileError when it is missing, unreadable or not UTF-8."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise _refusal(path, "file.missing", "there is no such file", "`outlast init` writes one") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise _refusal(path, "file.unreadable", f"the file cannot be read: {reason}", "check path and mode") from None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        found = f"byte {raw[error.start]:#04x} is not UTF-8"
        raise _refusal(path, "file.encoding", found, "save the file as UTF-8", line) from None


def _refusal(path: FilePath, code: str, sentence: str, hint: str, line: int = 1) -> ClusterFileError:
    return ClusterFileError([Problem(code, sentence, str(path), line, hint)])


def _examine(text: str, file_name: str, specs: Specs, advice: bool) -> Examination:
    document = read_document(text)
    found: list[Problem] = list(document.problems)
    cluster: Cluster | None = None
    # Text that could not be understood is not judged further: what is missing from it would be judged wrongly.
    if not any(problem.code.startswith(("file.", "yaml.")) for problem in found):
        cluster, more = _judge(document.data, specs, advice, {problem.path for problem in found})
        found.extend(more)
    if any(problem.severity == "error" for problem in found):
        cluster = None
    return Examination(cluster, _placed(found, document, file_name))


def _placed(problems: Iterable[Problem], document: Document, file_name: str) -> tuple[Problem, ...]:
    placed = [replace(item, file=file_name, line=item.line or document.line(item.path)) for item in problems]
    return tuple(sorted(placed, key=lambda item: item.line))


def _judge(data: Data, specs: Specs, advice: bool, gaps: set[Path]) -> tuple[Cluster | None, tuple[Problem, ...]]:
    if not isinstance(data, dict):
        hint = "it begins with lines such as `cluster: lab` and `networks:`"
        return None, (Problem("file.not-mapping", "the file is not a mapping of keys to values", hint=hint),)
    # An empty section is an absent one: its content is often only commented out.
    data = {key: value for key, value in data.items() if value is not None}
    try:
        cluster = _validate(data)
    except ValidationError as error:
        found = translate(error, data)
        gaps = gaps | {problem.path for problem in found}
        return None, (*found, *_despite(gaps, _remainder(data, gaps), specs))
    if gaps:
        return None, _despite(gaps, cluster, specs)
    return cluster, (*check(cluster, specs), *(single_points(cluster, specs) if advice else ()))


def _validate(data: Data) -> Cluster:
    # By alias only: what Python calls control_data is `control-data` in a file, and nothing else.
    return Cluster.model_validate(data, by_alias=True, by_name=False)


def _despite(gaps: set[Path], cluster: Cluster | None, specs: Specs) -> tuple[Problem, ...]:
    """Errors of the rules in what remains without the refused values, so that one look shows all problems.

    Left out is what the gaps themselves may have caused: absences, anything about the entries with gaps, and all that
    compares addresses or holders once networks or nodes have gaps.
    """
    if cluster is None:
        return ()
    entries = {path[:2] for path in gaps}
    incomplete = any(path[:1] in ((), ("networks",), ("nodes",)) for path in entries)
    return tuple(
        problem
        for problem in check(cluster, specs)
        if problem.severity == "error"
        and problem.path[:2] not in entries
        and (problem.code in LOCAL if incomplete else problem.code not in ABSENCES)
    )


def _remainder(data: dict[str, Data], gaps: set[Path]) -> Cluster | None:
    """The cluster without the values at `gaps` (grows: an entry without what it requires goes too), if one is left."""
    while all(gaps):
        remaining = _without(data, gaps)
        if ("cluster",) in gaps and isinstance(remaining, dict):
            remaining["cluster"] = "unnamed"
        try:
            return _validate(remaining)
        except ValidationError as error:
            problems = translate(error, remaining)
        more = {item.path[:-1] if item.code == "key.missing" else item.path for item in problems}
        if more <= gaps:
            return None
        gaps |= more
    return None


def _without(data: Data, gaps: set[Path], here: Path = ()) -> Data:
    """A copy of the data that lacks the values at the given paths."""
    if isinstance(data, dict):
        kept = {key: value for key, value in data.items() if (*here, key) not in gaps}
        return {key: _without(value, gaps, (*here, key)) for key, value in kept.items()}
    if isinstance(data, list):
        items = enumerate(data)
        return [_without(value, gaps, (*here, at)) for at, value in items if (*here, at) not in gaps]
    return data
