"""One tree of exceptions; every one has a stable code and a sentence that says what to do.

OutlastError
├── InputError        the operator's file or words are wrong (exit 2)
│   └── ClusterFileError   one or more Problems in a cluster file
├── PlanError         the plan cannot be made or has gone stale
├── MachineError      this machine cannot do it (root, kernel, disk, memory)
├── ImageError        the node image could not be built
├── RemoteError       a node could not be reached or refused a command
├── RolloutError      a rollout stopped; the cluster is as it was left
└── CoordError        the coordination store is unreachable or suspended
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing wrong with the operator's input: stable code, place, sentence and what to do.

    `path` leads to the value inside a file's mapping (keys and list positions); who knows the file adds file and line.
    """

    code: str
    sentence: str
    file: str = ""
    line: int = 0
    hint: str = ""
    severity: str = "error"
    path: tuple[str | int, ...] = ()

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}: " if self.file else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}{self.code}: {self.sentence}{hint}"


class OutlastError(Exception):
    """Base of all errors that Outlast raises on purpose; `code` is stable, `exit_status` is the CLI's."""

    exit_status = 1

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class InputError(OutlastError):
    """What the operator typed or wrote cannot be used."""

    exit_status = 2


class ClusterFileError(InputError):
    """All problems of a cluster file at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("cluster-file", "\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return self.message


class PlanError(OutlastError):
    """The plan cannot be made."""


class MachineError(OutlastError):
    """This machine lacks something that the lab or the image needs."""

    exit_status = 3


class ImageError(OutlastError):
    """The node image could not be built."""


class RemoteError(OutlastError):
    """A node could not be reached, or a command on it failed."""


class RolloutError(OutlastError):
    """A rollout stopped before its end."""


class CoordError(OutlastError):
    """The coordination store did not answer, or the session is suspended."""
