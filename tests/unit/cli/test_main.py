"""The command as a user meets it: help, exit codes, one clear line for what is wrong. Nothing here touches a lab."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from example_clusters import EXAMPLES

from outlast.cli import main as cli
from outlast.errors import MachineError, RolloutError
from outlast.pipeline import target

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def no_labs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without labs, in an empty folder."""
    monkeypatch.setattr(target, "LABS", tmp_path / "labs")
    monkeypatch.delenv("OUTLAST_CLUSTER", raising=False)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """outlast WORDS… → exit status, standard output, standard error."""

    def outlast(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["outlast", *words])
        status: int | str | None = 0
        try:
            cli.main()
        except SystemExit as stop:
            status = stop.code
        told = capsys.readouterr()
        assert isinstance(status, int) or status is None
        return status or 0, told.out, told.err

    return outlast


def _verbs() -> Iterator[tuple[str, ...]]:
    root: Any = typer.main.get_command(cli.app)
    for name, command in root.commands.items():
        yield (name,)
        yield from ((name, inner) for inner in getattr(command, "commands", ()))


VERBS = sorted(_verbs())
# It hands every word on, --help too: OpenStack's own help is what a user wants there.
OWN_HELP = [verb for verb in VERBS if verb != ("openstack",)]


@pytest.mark.parametrize("verb", OWN_HELP, ids=" ".join)
def test_every_verb_explains_itself(run: Run, verb: tuple[str, ...]) -> None:
    status, out, err = run(*verb, "--help")
    assert status == 0
    assert f"outlast {' '.join(verb)}" in out
    assert "Traceback" not in out + err


def test_the_help_names_every_verb_and_the_exit_codes(run: Run) -> None:
    status, out, _ = run("--help")
    assert status == 0
    for verb in VERBS:
        assert verb[0] in out
    for words in ("0 done", "1 it failed", "2 wrong input", "3 this machine cannot", "130 interrupted"):
        assert words in " ".join(out.split())


def test_an_unknown_verb_is_wrong_input(run: Run) -> None:
    status, _, err = run("upp")
    assert status == 2
    assert "upp" in err


WITH_FILE = [
    verb for verb in OWN_HELP if verb not in (("init",), ("node",), ("drill",), ("up",), ("down",), ("watch",))
]


def _arguments(verb: tuple[str, ...]) -> tuple[str, ...]:
    if verb == ("drill", "show"):
        return (*verb, "kill-keystone")
    return (*verb, "c1") if verb[0] in ("logs", "shell", "node") else verb


@pytest.mark.parametrize("verb", WITH_FILE, ids=" ".join)
def test_a_missing_file_is_one_line(run: Run, verb: tuple[str, ...]) -> None:
    words = _arguments(verb)
    status, out, err = run(*words[: len(verb)], "-f", "/no/such.yaml", *words[len(verb) :])
    assert (status, out) == (2, "")
    assert err == "/no/such.yaml:1: file.missing: there is no such file (`outlast init` writes one)\n"


def test_no_file_at_all_says_what_to_do(run: Run) -> None:
    status, _, err = run("status")
    assert status == 2
    assert "-f FILE" in err
    assert "no lab runs on this machine" in err


def test_every_mistake_has_its_place(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    text = (EXAMPLES / "lab.yaml").read_text()
    path.write_text(text.replace("cluster: lab", "cluster: lab\nregoin: x").replace("domain: host-a", "domian: host-a"))
    status, out, err = run("check")
    assert (status, out) == (2, "")
    lines = err.splitlines()
    assert len(lines) >= 2, "all problems in one go"
    for line in lines:
        assert line.startswith(f"{path}:"), "file and line first, so that editors jump there"
        assert int(line.split(":")[1]) > 0
    assert "did you mean" in err
    assert "'domain'" in err
    assert "'region'" in err


def test_check_of_a_good_file(run: Run) -> None:
    status, out, err = run("check", "-f", str(EXAMPLES / "lab.yaml"))
    assert (status, err) == (0, "")
    assert "no problem" in out
    status, out, _ = run("check", "--json", "-f", str(EXAMPLES / "lab.yaml"))
    assert json.loads(out)["problems"] == []


def test_check_lists_single_points_of_failure(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    text = (EXAMPLES / "lab.yaml").read_text()
    path.write_text("".join(line for line in text.splitlines(keepends=True) if not line.startswith("  k2")))
    status, out, _ = run("check", "-f", str(path))
    assert status == 0
    assert "spof." in out
    found = json.loads(run("check", "--json", "-f", str(path))[1])["problems"]
    assert found
    assert {"code", "sentence", "file", "line", "hint", "severity"} <= set(found[0])


def test_an_unknown_setting_in_overrides_is_refused(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "lab.yaml"
    overrides = "overrides:\n  nova:\n    nova.conf:\n      DEFAULT: {debugg: true}\n"
    path.write_text((EXAMPLES / "lab.yaml").read_text() + overrides)
    for verb in ("check", "plan"):
        status, _, err = run(verb, "-f", str(path))
        assert status != 0
        assert "override.unknown-option" in err
        assert "did you mean debug?" in err
        assert err.count("\n") == 1


# Not five.yaml: its nodes are real hosts, and plan asks them what they run.
@pytest.mark.parametrize("name", sorted(path.stem for path in EXAMPLES.glob("*.yaml") if path.stem != "five"))
def test_plan_shows_and_tells(run: Run, name: str) -> None:
    before = set(EXAMPLES.glob("*.secrets.json"))  # of a lab that the developer runs
    file = str(EXAMPLES / f"{name}.yaml")
    status, out, err = run("plan", "-f", file)
    assert (status, err) == (0, "")
    assert "galera" in out
    told = json.loads(run("plan", "--json", "-f", file)[1])
    assert {"cluster", "nodes", "vips", "services", "frontends", "changes"} <= set(told)
    assert all(change["kind"] == "add" for change in told["changes"]), "nothing runs yet"
    assert set(EXAMPLES.glob("*.secrets.json")) == before, "a plan writes no secrets"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("logs", "c9", "nova-api"), "c9"),
        (("shell", "c9", "true"), "no node c9"),
        (("shell", "c1", "true"), "is not up on this machine"),
        (("status",), "is not up on this machine"),
        (("events",), "is not up on this machine"),
        (("openrc",), "no credentials"),
        (("node", "poweroff", "c1"), "is not up on this machine"),
        (("node", "poweron", "c9"), "is not up on this machine"),
        (("demo",), "no credentials"),
    ],
)
def test_what_cannot_be_done_is_one_line(run: Run, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text((EXAMPLES / "lab.yaml").read_text())
    status, _, err = run(*words)
    assert status == 2, err
    assert said in err
    assert err.startswith("outlast: ")
    assert err.count("\n") == 1


def test_init_writes_a_file_that_is_well(run: Run, tmp_path: Path) -> None:
    status, out, _ = run("init", "mycloud.yaml")
    assert status == 0
    assert "outlast check" in out
    status, out, err = run("check", "-f", "mycloud.yaml")
    assert (status, err) == (0, ""), err
    assert "no problem" in out, out
    status, _, err = run("init", "mycloud.yaml")
    assert status == 2
    assert "there already" in err


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RolloutError("rollout.busy", "another works on it"), 1),
        (MachineError("machine.unfit", "not root"), 3),
        (KeyboardInterrupt(), 130),
    ],
)
def test_exit_codes(run: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException, status: int) -> None:
    def fails(path: object) -> object:
        raise error

    monkeypatch.setattr("outlast.pipeline.check.check", fails)
    found, _, err = run("check", "-f", str(EXAMPLES / "lab.yaml"))
    assert found == status
    assert "Traceback" not in err
    assert err.strip()


LASTS = """
import signal, time
# A shell that starts a job in the background has its children ignore it, and they would hand that on to this one.
signal.signal(signal.SIGINT, signal.default_int_handler)
from outlast.cli import main as cli

@cli.app.command()
def lasts() -> None:
    try:
        print("began", flush=True)
        time.sleep(60)
    finally:
        print("taken back", flush=True)

cli.main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_is_ended_takes_back_what_it_did(number: signal.Signals) -> None:
    argv = [sys.executable, "-c", LASTS, "lasts"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "began\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert (out, err, process.returncode) == ("taken back\n", "interrupted; run it again to continue\n", 130)
