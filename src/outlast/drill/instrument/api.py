"""What each API workload says and which answers are right: one table, and the judgement of an answer. No I/O."""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from outlast.drill.instrument.task import Reply
from outlast.record.history import Kind

Names = Mapping[str, str]
"""Values for the {words} in the table."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One kind of request.

    {words} stand for values of Names. status: what a good answer has. echo: dotted path in the JSON answer -> what must
    be there, so that somebody else's answer is noticed. ref: path of the id. listed: path of the list and the name
    field of its entries ("" where they are the names). text, header: the body, a header, that must come back.
    anonymous: sent without a token, so that nobody but the service itself has work with it.
    """

    method: str
    path: str
    status: tuple[int, ...] = (200,)
    body: object = None
    raw: str = ""
    echo: Mapping[str, str] = field(default_factory=dict)
    ref: str = ""
    listed: tuple[str, str] = ("", "")
    text: str = ""
    header: tuple[str, str] = ("", "")
    anonymous: bool = False


_NEXT_TO_NO_BALANCER = b"No server is available"
"""HAProxy's own 503: no server has seen the request."""

NOVA = {"X-OpenStack-Nova-API-Version": "2.72"}
PLACEMENT = {"OpenStack-API-Version": "placement 1.39"}
HEADERS: Mapping[str, Mapping[str, str]] = {"nova": NOVA, "placement": PLACEMENT}

TOKEN = Call(
    method="POST",
    path="/v3/auth/tokens",
    status=(201,),
    body={
        "auth": {
            "identity": {
                "methods": ["password"],
                "password": {
                    "user": {"name": "{username}", "domain": {"name": "{user_domain}"}, "password": "{password}"}
                },
            },
            "scope": {"project": {"name": "{project}", "domain": {"name": "{project_domain}"}}},
        }
    },
    echo={"token.user.name": "{username}", "token.project.name": "{project}"},
)

API: Mapping[str, Mapping[Kind, Call]] = {
    "keystone-version": {"read": Call(method="GET", path="/v3", echo={"version.status": "stable"}, anonymous=True)},
    "glance-version": {"read": Call(method="GET", path="/versions", listed=("versions", "id"), anonymous=True)},
    "placement-version": {"read": Call(method="GET", path="/", listed=("versions", "id"), anonymous=True)},
    "nova-version": {"read": Call(method="GET", path="/", echo={"version.id": "v2.1"}, anonymous=True)},
    "neutron-version": {"read": Call(method="GET", path="/", listed=("versions", "id"), anonymous=True)},
    "swift-health": {"read": Call(method="GET", path="/healthcheck", text="OK", anonymous=True)},
    "keystone-tokens": {"read": TOKEN},
    "keystone-read": {"read": Call(method="GET", path="/v3/users/{user}", echo={"user.id": "{user}"})},
    "keystone-projects": {
        "create": Call(
            method="POST",
            path="/v3/projects",
            status=(201,),
            body={"project": {"name": "{key}", "domain_id": "default"}},
            echo={"project.name": "{key}"},
            ref="project.id",
        ),
        "list": Call(method="GET", path="/v3/projects?domain_id=default", listed=("projects", "name")),
        "delete": Call(method="DELETE", path="/v3/projects/{ref}", status=(204,)),
    },
    "glance-read": {"read": Call(method="GET", path="/v2/images?limit=5", listed=("images", "name"))},
    "glance-images": {
        "create": Call(
            method="POST",
            path="/v2/images",
            status=(201,),
            body={"name": "{key}", "disk_format": "raw", "container_format": "bare", "visibility": "private"},
            echo={"name": "{key}"},
            ref="id",
        ),
        "list": Call(method="GET", path="/v2/images?limit=1000&visibility=private", listed=("images", "name")),
        "delete": Call(method="DELETE", path="/v2/images/{ref}", status=(204,)),
    },
    "placement-read": {
        "read": Call(method="GET", path="/resource_providers", listed=("resource_providers", "name")),
    },
    "placement-traits": {
        "create": Call(method="PUT", path="/traits/{key}", status=(201,), header=("Location", "/traits/{key}")),
        "list": Call(method="GET", path="/traits?name=startswith:{trait}", listed=("traits", "")),
        "delete": Call(method="DELETE", path="/traits/{ref}", status=(204,)),
    },
    "nova-read": {"read": Call(method="GET", path="/servers", listed=("servers", "name"))},
    "nova-keypairs": {
        "create": Call(
            method="POST",
            path="/os-keypairs",
            status=(201,),
            body={"keypair": {"name": "{key}", "public_key": "{public_key}"}},
            echo={"keypair.name": "{key}"},
            ref="keypair.name",
        ),
        "list": Call(method="GET", path="/os-keypairs", listed=("keypairs", "keypair.name")),
        "delete": Call(method="DELETE", path="/os-keypairs/{ref}", status=(204,)),
    },
    "nova-servers": {
        "create": Call(
            method="POST",
            path="/servers",
            status=(202,),
            body={
                "server": {
                    "name": "{key}",
                    "imageRef": "{image}",
                    "flavorRef": "{flavor}",
                    "networks": [{"uuid": "{network}"}],
                }
            },
            ref="server.id",
        ),
        # One server, while its making is followed.
        "read": Call(method="GET", path="/servers/{ref}", echo={"server.id": "{ref}", "server.name": "{key}"}),
        "list": Call(method="GET", path="/servers", listed=("servers", "name")),
        "delete": Call(method="DELETE", path="/servers/{ref}", status=(204,)),
    },
    "neutron-read": {
        "read": Call(method="GET", path="/v2.0/networks?fields=id&fields=name&limit=5", listed=("networks", "name"))
    },
    "neutron-networks": {
        "create": Call(
            method="POST",
            path="/v2.0/networks",
            status=(201,),
            body={"network": {"name": "{key}"}},
            echo={"network.name": "{key}"},
            ref="network.id",
        ),
        "list": Call(method="GET", path="/v2.0/networks?fields=id&fields=name", listed=("networks", "name")),
        "delete": Call(method="DELETE", path="/v2.0/networks/{ref}", status=(204,)),
    },
    "swift-objects": {
        "create": Call(
            method="PUT",
            path="/v1/AUTH_{account}/{prefix}/{key}",
            status=(201,),
            raw="{content}",
            header=("Etag", "{digest}"),
        ),
        "read": Call(method="GET", path="/v1/AUTH_{account}/{prefix}/{key}", text="{content}"),
        "list": Call(method="GET", path="/v1/AUTH_{account}/{prefix}?format=json&limit=10000", listed=("", "name")),
        "delete": Call(method="DELETE", path="/v1/AUTH_{account}/{prefix}/{key}", status=(204,)),
    },
}
"""Workload -> kind -> request."""

CONTAINER = Call(method="PUT", path="/v1/AUTH_{account}/{prefix}", status=(201, 202))
NO_CONTAINER = Call(method="DELETE", path="/v1/AUTH_{account}/{prefix}", status=(204, 404))


def key_of(workload: str, prefix: str, number: int) -> str:
    """Name of the thing that request `number` makes. Traits have an alphabet of their own."""
    return f"{trait(prefix)}{number}" if workload == "placement-traits" else f"{prefix}-{number}"


def trait(prefix: str) -> str:
    """How all our traits begin."""
    return f"CUSTOM_{prefix.upper().replace('-', '_')}_"


def names_of(key: str, ref: str, prefix: str) -> dict[str, str]:
    """Values that follow from the request's own thing."""
    content = f"{key}\n" * 16
    digest = hashlib.md5(content.encode(), usedforsecurity=False).hexdigest()
    return {"key": key, "ref": ref, "prefix": prefix, "trait": trait(prefix), "content": content, "digest": digest}


def public_key(prefix: str) -> str:
    """An Ed25519 key in OpenSSH's form (RFC 8709) that nobody has the other half of."""
    kind = b"ssh-ed25519"
    point = hashlib.sha256(prefix.encode()).digest()
    packed = struct.pack(">I", len(kind)) + kind + struct.pack(">I", len(point)) + point
    return f"ssh-ed25519 {base64.b64encode(packed).decode()} {prefix}"


def fill(value: object, names: Names) -> object:
    """The value with its {words} replaced, in mappings and lists too."""
    if isinstance(value, str):
        return value.format_map(names)
    if isinstance(value, Mapping):
        return {key: fill(item, names) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [fill(item, names) for item in value]
    return value


def body_of(call: Call, names: Names) -> bytes:
    if call.body is not None:
        return msgspec.json.encode(fill(call.body, names))
    return call.raw.format_map(names).encode()


def judge(call: Call, names: Names, status: int, headers: Mapping[str, str], body: bytes) -> Reply:
    """Whether an answer that came whole is good. Reply.value: the id of what was made, the names of ours that were
    listed (separated by spaces), or the first line of what was read ("": there is no such thing)."""
    if status == 404 and call.text:
        # A good answer that may be an old one: for the checkers to judge.
        return Reply("ok", "404")
    if status not in call.status:
        return _refusal(status, body)
    if call.header[0]:
        name, wanted = call.header[0], call.header[1].format_map(names)
        if not headers.get(name, "").strip('"').endswith(wanted):
            return Reply("failed", f"wrong answer: {name} is not that of {names['key']}")
    if call.text:
        wanted = call.text.format_map(names)
        good = body == wanted.encode()
        return Reply("ok", "", wanted.partition("\n")[0]) if good else Reply("failed", "wrong answer: another body")
    if not (call.echo or call.ref or call.listed != ("", "")):
        return Reply("ok", "", names["key"] if call.method == "PUT" else "")
    return _judge_json(call, names, body)


def _refusal(status: int, body: bytes) -> Reply:
    if status in (502, 504):
        return Reply("unknown", str(status))
    if status == 503 and _NEXT_TO_NO_BALANCER in body:
        return Reply("failed", "503 no server")
    return Reply("failed", str(status))


def _judge_json(call: Call, names: Names, body: bytes) -> Reply:
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return Reply("failed", "wrong answer: no JSON")
    for path, template in call.echo.items():
        wanted = template.format_map(names)
        if at(answer, path) != wanted:
            return Reply("failed", f"wrong answer: {path} is {str(at(answer, path))[:60]!r}")
    if call.listed != ("", ""):
        return _judge_list(call, names, answer)
    ref = at(answer, call.ref) if call.ref else ""
    if not isinstance(ref, str) or (call.ref and not ref):
        return Reply("failed", f"wrong answer: no {call.ref}")
    return Reply("ok", "", ref)


def _judge_list(call: Call, names: Names, answer: object) -> Reply:
    entries = listing(call, answer)
    if entries is None:
        return Reply("failed", f"wrong answer: no list {call.listed[0]}")
    ours = [name for name in entries if name.startswith((f"{names['prefix']}-", names["trait"]))]
    return Reply("ok", "", " ".join(sorted(ours)))


def listing(call: Call, answer: object) -> list[str] | None:
    """Names in an answer to a list; None where it is none."""
    path, name = call.listed
    entries = at(answer, path) if path else answer
    if not isinstance(entries, list):
        return None
    return [str(at(entry, name) if name else entry) for entry in entries]


def at(value: Any, path: str) -> Any:
    """What is at a dotted path in decoded JSON; None where there is nothing."""
    for word in path.split("."):
        if not isinstance(value, Mapping) or word not in value:
            return None
        value = value[word]
    return value
