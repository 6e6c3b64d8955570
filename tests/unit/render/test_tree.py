"""Files as text: INI, templates, raw settings on top, and refusals that name what is wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.errors import PlanError
from outlast.pipeline.target import Target
from outlast.plan.plan import Member, Plan
from outlast.render.tree import ini_text, merged, render_node, template_text, text
from outlast.services.registry import DESCRIBE
from outlast.spec.file import File, Ini, Template, Text
from outlast.spec.secret import SecretRef
from outlast.spec.service import MemberSpec


def test_ini() -> None:
    ini = Ini(
        {
            "": {"first": 1},
            "DEFAULT": {"on": True, "off": False, "none": None, "many": ("a", "b"), "half": 0.5, "empty": ""},
            "nothing": {},
        }
    )
    assert ini_text(ini) == (
        "first = 1\n\n[DEFAULT]\non = true\noff = false\nmany = a\nmany = b\nhalf = 0.5\nempty = \n\n[nothing]\n"
    )
    assert ini_text(Ini({"a": {"b": 1}}, separator="=")) == "[a]\nb=1\n"


def test_raw_settings_win() -> None:
    ini = Ini({"a": {"x": 1, "y": 2}, "b": {}}, oslo="nova")
    found = merged(ini, {"a": {"y": 3, "z": 4}, "c": {"w": 5}})
    assert found.sections == {"a": {"x": 1, "y": 3, "z": 4}, "b": {}, "c": {"w": 5}}
    assert found.oslo == "nova"
    assert ini.sections["a"] == {"x": 1, "y": 2}, "the description itself is not changed"


_words = st.text("abcdef_-", min_size=1, max_size=6)
_sections = st.dictionaries(
    _words, st.dictionaries(_words, st.one_of(st.integers(), st.booleans(), _words), max_size=4)
)


@given(_sections, _sections)
def test_every_raw_setting_stands_in_the_text_once(
    own: dict[str, dict[str, str]], given_: dict[str, dict[str, str]]
) -> None:
    from configparser import RawConfigParser

    parser = RawConfigParser(strict=True, default_section="no default here")
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(ini_text(merged(Ini(own), given_)))
    for section, keys in {**own, **given_}.items():
        wanted = {**own.get(section, {}), **given_.get(section, {})}
        told = {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in wanted.items()}
        assert dict(parser[section]) == told, keys


def test_secrets_stay_names() -> None:
    file = File("/etc/x", Ini({"a": {"password": str(SecretRef("db/nova"))}}))
    assert text(file, {}) == "[a]\npassword = ⟦secret:db/nova:password⟧\n"


def test_text_takes_no_raw_settings() -> None:
    file = File("/etc/x", Text("hello"))
    assert text(file, {}) == "hello"
    with pytest.raises(PlanError, match="override.not-possible"):
        text(file, {"a": {"b": 1}})


def test_a_template_misses_no_name() -> None:
    with pytest.raises(PlanError, match=r"haproxy/haproxy\.cfg\.j2") as caught:
        template_text(Template("haproxy", "haproxy.cfg.j2", {"overrides": {}}))
    assert "undefined" in caught.value.message


def test_an_unknown_template_is_named() -> None:
    with pytest.raises(PlanError, match="no-such.j2"):
        template_text(Template("haproxy", "no-such.j2"))


def plan_of(lab: Target, **overrides: dict[str, dict[str, dict[str, str | int | bool]]]) -> Plan:
    return replace(lab.plan, overrides={name.replace("_", "-"): value for name, value in overrides.items()})


def test_a_raw_setting_reaches_its_file_only(lab: Target) -> None:
    plan = plan_of(lab, galera={"99-outlast.cnf": {"mariadbd": {"long_query_time": 2}}})
    before, after = (render_node(item, "c1", DESCRIBE).files for item in (lab.plan, plan))
    different = [path for path in before if before[path].text != after[path].text]
    assert different == ["/etc/mysql/mariadb.conf.d/99-outlast.cnf"]
    assert "long_query_time = 2\n" in after[different[0]].text


def test_a_template_has_its_own_rules_for_raw_settings(lab: Target) -> None:
    plan = plan_of(lab, haproxy={"haproxy.cfg": {"backend keystone": {"balance": "leastconn"}}})
    lines = render_node(plan, "c1", DESCRIBE).files["/etc/haproxy/haproxy.cfg"].text.splitlines()
    backend = lines[lines.index("backend keystone") :]
    assert backend.index("  balance leastconn") > backend.index("  balance roundrobin"), "the last one wins"


def test_an_override_of_no_file_names_those_there_are(lab: Target) -> None:
    with pytest.raises(PlanError, match="override.no-file") as caught:
        render_node(plan_of(lab, galera={"my.cnf": {"mariadbd": {"port": 1}}}), "c1", DESCRIBE)
    assert "my.cnf" in caught.value.message
    assert "99-outlast.cnf" in caught.value.message


def _describe(name: str, content: str) -> MemberSpec:
    return MemberSpec(name, "c1", files=(File("/etc/shared", Text(content)),))


@pytest.mark.parametrize(("other", "clash"), [("same", False), ("different", True)])
def test_two_members_may_share_a_file_only_if_they_agree(lab: Target, other: str, clash: bool) -> None:
    plan = replace(lab.plan, members=(Member("galera", "c1", 0), Member("nova", "c1", 0)))

    def galera(plan: Plan, member: Member) -> MemberSpec:
        return _describe("galera", "same")

    def nova(plan: Plan, member: Member) -> MemberSpec:
        return _describe("nova", other)

    describe = {"galera": galera, "nova": nova}
    if clash:
        with pytest.raises(PlanError, match="/etc/shared on c1"):
            render_node(plan, "c1", describe)
    else:
        assert len(render_node(plan, "c1", describe).members) == 2
