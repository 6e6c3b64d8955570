"""The module that serves an API and lets the balancers' checks share an answer."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from openstack_plan import files, sample

from outlast.pipeline.bundles import trees
from outlast.pipeline.target import open_target
from outlast.render.tree import text
from outlast.services import oslo

PATH = f"{oslo.PYTHON_CODE}/{oslo.CHECKED}.py"
Answer = tuple[str, list[tuple[str, str]], bytes]


class Api:
    """An application that counts, and says what it is told to."""

    status = "200 OK"

    def __init__(self) -> None:
        self.asked = 0
        self.closed = 0

    def __call__(self, environ: dict[str, str], start_response: Callable[..., Any]) -> Iterable[bytes]:
        self.asked += 1
        start_response(self.status, [("X-Number", str(self.asked))])
        return _Body(self)


class _Body:
    def __init__(self, api: Api) -> None:
        self._api = api

    def __iter__(self) -> Any:
        return iter([b"number ", str(self._api.asked).encode()])

    def close(self) -> None:
        self._api.closed += 1


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    module = ModuleType("an_api")
    module.application = Api()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "an_api", module)
    # SQLAlchemy is where OpenStack is.
    monkeypatch.setitem(sys.modules, "outlast_logins", ModuleType("outlast_logins"))
    monkeypatch.setenv("OUTLAST_SERVES", "an_api")
    monkeypatch.setenv("OUTLAST_CHECK", "/v3")
    found: Api = module.application  # type: ignore[attr-defined]
    return found


@pytest.fixture
def serve(api: Api) -> Callable[..., Answer]:
    place: dict[str, Any] = {}
    exec(compile(text(files(sample(), "keystone")[PATH], {}), PATH, "exec"), place)

    def ask(**more: str) -> Answer:
        environ = {"HTTP_USER_AGENT": "outlast", "REQUEST_METHOD": "GET", "REQUEST_URI": "/v3", **more}
        told: list[Any] = []
        body = b"".join(place["application"](environ, lambda status, headers: told.extend((status, headers))))
        return told[0], told[1], body

    return ask


def test_checks_within_a_second_share_an_answer(api: Api, serve: Callable[..., Answer]) -> None:
    assert [serve() for _ in range(5)] == [("200 OK", [("X-Number", "1")], b"number 1")] * 5
    assert (api.asked, api.closed) == (1, 1)


def test_after_a_second_the_application_is_asked_again(
    api: Api, serve: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    assert serve()[2] == b"number 1"
    now[0] += oslo.FRESH - 0.01
    assert serve()[2] == b"number 1"
    now[0] += 0.02
    assert serve()[2] == b"number 2"


def test_a_bad_answer_is_not_kept(api: Api, serve: Callable[..., Answer]) -> None:
    api.status = "503 Service Unavailable"
    assert [serve()[0] for _ in range(2)] == ["503 Service Unavailable"] * 2
    api.status = "200 OK"
    assert serve()[0] == "200 OK"
    assert api.asked == 3


@pytest.mark.parametrize(
    "other",
    [
        {"HTTP_USER_AGENT": "curl"},
        {"REQUEST_METHOD": "POST"},
        {"REQUEST_URI": "/v3/users"},
        {"REQUEST_URI": "/v3?limit=1"},
        {"HTTP_X_AUTH_TOKEN": "gAAAA"},
    ],
)
def test_whoever_asks_anything_else_gets_an_answer_of_his_own(
    api: Api, serve: Callable[..., Answer], other: dict[str, str]
) -> None:
    assert [serve(**other)[2] for _ in range(2)] == [b"number 1", b"number 2"]
    assert serve()[2] == b"number 3"
    assert serve(**other)[2] == b"number 4"


def test_every_api_knows_the_question_of_its_balancers() -> None:
    lab = open_target(Path(__file__).parents[4] / "examples/lab.yaml")
    paths = {
        port: one.frontend.check_path for one in lab.plan.frontends for node, _, port in one.servers if node == "c1"
    }
    found = {
        program.name: (dict(program.env)["OUTLAST_CHECK"], paths[program.leave.port])
        for member in trees(lab)["c1"].members
        for program in member.spec.programs
        if program.leave and "OUTLAST_CHECK" in dict(program.env)
    }
    assert set(found) == {"keystone", "glance", "placement", "nova-api", "nova-metadata", "neutron-api"}
    assert all(told == asked for told, asked in found.values()), found
