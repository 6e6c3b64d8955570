"""The pure parts of the node image: its digest, its locks, the settings it hands in."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from outlast.errors import ImageError
from outlast.lab.image import build, host
from outlast.lab.image.recipe import LOCKS, Recipe, build_scripts, digest, load_recipe, lock_stamp

RECIPE = Recipe(packages=("a", "b"), openstack_lock="x==1", node_lock="y==2")
SCRIPTS = {"one.sh": "true"}


def test_same_recipe_has_the_same_digest() -> None:
    assert digest(RECIPE, SCRIPTS) == digest(replace(RECIPE), dict(SCRIPTS))
    assert re.fullmatch(r"[0-9a-f]{16}", digest(RECIPE, SCRIPTS))


@pytest.mark.parametrize(
    "other",
    [
        replace(RECIPE, packages=("a", "b", "c")),
        replace(RECIPE, packages=("ab",)),
        replace(RECIPE, openstack_lock="x==2"),
        replace(RECIPE, node_lock="y==3"),
        replace(RECIPE, openstack_lock="x==1y==2", node_lock=""),
    ],
)
def test_any_change_of_the_recipe_changes_the_digest(other: Recipe) -> None:
    assert digest(other, SCRIPTS) != digest(RECIPE, SCRIPTS)


@pytest.mark.parametrize("scripts", [{}, {"one.sh": "false"}, {"two.sh": "true"}, {**SCRIPTS, "two.sh": ""}])
def test_any_change_of_the_scripts_changes_the_digest(scripts: dict[str, str]) -> None:
    assert digest(RECIPE, scripts) != digest(RECIPE, SCRIPTS)


def test_only_an_unknown_package_of_a_service_changes_the_image() -> None:
    assert load_recipe(["haproxy", "curl"]) == load_recipe()
    assert "gdb" in load_recipe(["gdb"]).packages


@pytest.mark.parametrize("lock", sorted(LOCKS.glob("*.txt")), ids=lambda path: path.name)
def test_locks_pin_everything_by_hash_and_name_no_host(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    assert "://" not in text and "@" not in text and "#" not in text
    assert not re.search(r"--(?!hash=sha256:)", text)
    requirements = [part for part in text.replace("\\\n", " ").splitlines() if part]
    assert requirements
    for requirement in requirements:
        assert re.fullmatch(r"[a-z0-9-]+(\[[a-z0-9,-]+\])?==\S+( ; .*?)?( +--hash=sha256:[0-9a-f]{64})+", requirement)


def test_scripts_name_no_host() -> None:
    for name, text in build_scripts().items():
        hosts = re.findall(r"https?://([a-z0-9.]+)", text)
        assert set(hosts) <= {"169.254.169.254"}, name


def test_known_options_follow_the_lock() -> None:
    """If this fails: run scripts/knowledge."""
    file = Path(build.__file__).parents[2] / "services" / "oslo_options.json"
    options = json.loads(file.read_text(encoding="utf-8"))
    assert options["_stamp"] == lock_stamp(load_recipe())
    assert options["nova"]["libvirt"]["virt_type"] == {"type": "string", "deprecated": False}
    assert "auth_url" in options["nova"]["keystone_authtoken"]
    assert "helper_command" in options["neutron"]["privsep_ovs_vsctl"]
    assert "ovn_nb_connection" in options["neutron"]["ovn"]
    assert "swift_store_auth_address" in options["glance"]["*store"]


def test_pip_settings_serve_uv_where_it_has_none_of_its_own() -> None:
    pip = {"extra-index-url": "file:///a\nfile:///b", "find-links": "/wheels", "cert": "/ca.pem"}
    settings = host.index_settings({"https_proxy": "proxy:3128", "HOME": "/root"}, pip)
    assert settings == {
        "UV_INDEX": "file:///a file:///b",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": "/wheels",
        "https_proxy": "proxy:3128",
        "SSL_CERT_FILE": "/ca.pem",
    }
    own = host.index_settings({"UV_EXTRA_INDEX_URL": "file:///c", "UV_PYTHON": "3.9"}, pip)
    assert own["UV_EXTRA_INDEX_URL"] == "file:///c"
    assert "UV_INDEX" not in own and "UV_PYTHON" not in own


def test_a_complete_image_is_returned_without_building(tmp_path: Path) -> None:
    home = tmp_path / "images" / digest(RECIPE)
    home.mkdir(parents=True)
    assert build.find(RECIPE, tmp_path) is None
    (home / "complete").touch()
    image = build.build(RECIPE, tmp_path, progress=lambda line: None)
    assert image.root == home / "root"
    assert image.guest == home / "root/usr/share/outlast/guest"


def test_missing_tools_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    with pytest.raises(ImageError, match="no-such-tool") as caught:
        host.check(("no-such-tool",))
    assert caught.value.code == "image.tools"
