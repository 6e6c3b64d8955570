"""What the commands of several modules share: options, running a coroutine, JSON."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

File = Annotated[
    Path | None,
    typer.Option("-f", "--file", help="Cluster file. Default: $OUTLAST_CLUSTER, ./cluster.yaml, or the only lab's."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def say_json(value: object) -> None:
    print(json.dumps(value, indent=2, default=str))
