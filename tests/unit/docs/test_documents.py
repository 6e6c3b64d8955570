"""What the documents say against what is there: packages, verbs, problem codes, make targets, links."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer

from outlast.cli.main import app
from outlast.lab import preflight

HOME = Path(__file__).parents[3]
SOURCE = HOME / "src" / "outlast"
CODE = re.compile(r"[a-z]+(-[a-z]+)*\.[a-z]+(-[a-z]+)*")
PAGES = sorted([*HOME.glob("*.md"), *(HOME / "docs").rglob("*.md")])


def _verbs(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[str]:
    inner: dict[str, click.Command] | None = getattr(command, "commands", None)
    if inner is None:
        yield " ".join(words)
        return
    for name, below in inner.items():
        yield from _verbs(below, (*words, name))


def _codes() -> tuple[set[str], set[str]]:
    """Codes that must be explained (first words of whatever is raised or reported, every code of the model), and
    everything in the source that looks like a code."""
    must = {f"lab.{ability.code}" for ability in preflight._ABILITIES}
    all_of_them = set(must)
    for path in SOURCE.rglob("*.py"):
        for item in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(item, ast.Call) and re.search(r"(Error|Problem)$", ast.unparse(item.func)):
                must.update(_code(argument) for argument in item.args[:1])
            elif isinstance(item, ast.Constant):
                all_of_them.add(_code(item))
                if path.parent == SOURCE / "model":
                    must.add(_code(item))
    return must - {""}, all_of_them


def _code(item: ast.expr) -> str:
    value = item.value if isinstance(item, ast.Constant) else ""
    return value if isinstance(value, str) and CODE.fullmatch(value) else ""


def test_every_package_is_named() -> None:
    text = (HOME / "docs/whats-here.md").read_text(encoding="utf-8")
    folders = {path.parent for path in SOURCE.rglob("*.py")}
    packages = {".".join(("outlast", *folder.relative_to(SOURCE).parts)) for folder in folders} - {"outlast"}
    assert {name for name in packages if f"`{name}`" not in text} == set()
    assert set(re.findall(r"^\| `(outlast[\w.]*)`", text, re.MULTILINE)) == packages


def test_every_verb_has_a_section_with_an_example() -> None:
    text = (HOME / "docs/operating.md").read_text(encoding="utf-8")
    verbs = set(_verbs(typer.main.get_command(app)))
    sections = dict(re.findall(r"^## (.+)\n\n((?:    .+\n)+)", text, re.MULTILINE))
    assert {verb for verb in verbs if f"outlast {verb}" not in sections.get(verb, "")} == set()


def test_every_problem_code_is_explained() -> None:
    text = (HOME / "docs/reference/problems.md").read_text(encoding="utf-8")
    told = {code for code in re.findall(r"`([^`]+)`", text) if CODE.fullmatch(code)}
    must, may = _codes()
    assert must - told == set(), "not explained in docs/reference/problems.md"
    assert told - may == set(), "explained, but nothing says it"


def test_commands_of_the_readme_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (HOME / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    verbs = set(_verbs(typer.main.get_command(app)))
    for page in ("README.md", "CONTRIBUTING.md"):
        text = (HOME / page).read_text(encoding="utf-8")
        assert set(re.findall(r"\bmake (?!and\b|sure\b)([a-z-]+)", "\n".join(_code_of(text)))) <= targets
        used = re.findall(r"(?:\./)outlast ((?:(?:node|drill) )?[a-z]+)", "\n".join(_code_of(text)))
        assert used
        assert set(used) <= verbs


def _code_of(text: str) -> Iterator[str]:
    """What stands in code: indented blocks, fences, and between backticks."""
    yield from re.findall(r"^    .+$", text, re.MULTILINE)
    yield from re.findall(r"^```.*?^```", text, re.MULTILINE | re.DOTALL)
    yield from re.findall(r"`[^`\n]+`", text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(HOME)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        assert link.startswith("http") or (page.parent / link).exists(), link


def test_the_readme_shows_the_shipped_lab() -> None:
    example = (HOME / "examples/lab.yaml").read_text(encoding="utf-8")
    without_comments = "\n".join(line for line in example.splitlines() if not line.startswith("#"))
    assert without_comments.strip() in (HOME / "README.md").read_text(encoding="utf-8")


def test_decisions_are_numbered_and_whole() -> None:
    notes = sorted((HOME / "docs/decisions").glob("*.md"))
    assert [note.name[:4] for note in notes] == [f"{number:04}" for number in range(1, len(notes) + 1)]
    for note in notes:
        text = note.read_text(encoding="utf-8")
        places = [text.index(f"**{part}") for part in ("Status", "Context", "Decision", "Consequences")]
        assert places == sorted(places)
