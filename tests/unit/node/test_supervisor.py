"""A program's section, read back by supervisord's own way of reading: configparser with %-expansion, then shlex."""

from __future__ import annotations

import configparser
import shlex

import pytest

from outlast.node.supervisor import section
from outlast.spec.program import Program

AWKWARD = ("/bin/x", "a b", "50%", "it's", 'say "hi"', "$HOME", "{{x}}", "ünïcode", "")


def read(program: Program) -> configparser.SectionProxy:
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", " #"), strict=True)
    parser.read_string(section(program))
    assert parser.sections() == [f"program:{program.name}"]
    return parser[f"program:{program.name}"]


def test_words_survive() -> None:
    command = read(Program("x", AWKWARD))["command"]
    assert tuple(shlex.split(command % {})) == AWKWARD


def test_environment_survives() -> None:
    env = (("A", "b c"), ("PERCENT", "50%s"), ("PATHS", "/a;/b"), ("EMPTY", ""))
    text = section(Program("x", ("true",), env=env))
    line = next(line for line in text.splitlines() if line.startswith("environment="))
    assert line == 'environment=A="b c",PERCENT="50%%s",PATHS="/a;/b",EMPTY=""'


def test_only_the_agent_starts_and_respawn_is_the_programs() -> None:
    plain, galera = read(Program("x", ("true",))), read(Program("g", ("true",), respawn=False))
    assert plain["autostart"] == galera["autostart"] == "false"
    assert (plain["autorestart"], galera["autorestart"]) == ("true", "false")
    assert plain["startsecs"] == "0", "whether it is well is for probes to say"


@pytest.mark.parametrize("key", ["stopasgroup", "killasgroup", "redirect_stderr"])
def test_the_whole_group_is_stopped_and_heard(key: str) -> None:
    assert read(Program("x", ("true",)))[key] == "true"


def test_the_rest_is_as_described() -> None:
    told = read(Program("x", ("true",), user="mysql", directory="/d", stop_signal="INT", stop_seconds=60, priority=7))
    found = tuple(
        told[key] for key in ("user", "directory", "stopsignal", "stopwaitsecs", "priority", "stdout_logfile")
    )
    assert found == ("mysql", "/d", "INT", "60", "7", "/var/log/outlast/x.log")


def test_equal_programs_have_equal_sections() -> None:
    """The agent compares texts: a section must not depend on anything but its program."""
    assert section(Program("x", AWKWARD)) == section(Program("x", AWKWARD))
    assert section(Program("x", AWKWARD)) != section(Program("x", (*AWKWARD, "more")))
