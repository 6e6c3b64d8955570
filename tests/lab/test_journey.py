"""One full cluster, from nothing to nothing, as its user would meet it: up, demo, three power cuts, changes, down.

The tests run in order on one lab; each leaves it whole for the next.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from labs import SUPERVISOR, Cluster, kill_now, until
from own_swift import Swift

from outlast.services.forkserver.modules import PROJECTS, READ
from outlast.services.registry import DESCRIBE

pytestmark = [pytest.mark.lab, pytest.mark.alone, pytest.mark.timeout(900)]

LAB = (Path(__file__).parents[2] / "examples/lab.yaml").read_text().partition("cluster: lab\n")[2]
CONTROLLERS = ("c1", "c2", "c3")
VIP = "10.20.0.250"
UWSGI = "/etc/outlast/uwsgi/glance.ini"


@pytest.fixture(scope="module")
def cloud(new_lab: Callable[[str, str], Cluster]) -> Cluster:
    """The full lab of examples/lab.yaml under a name of its own."""
    cluster = new_lab("journey", LAB)
    report = cluster.up(timeout=600)
    told = sorted(report["milestones"].items(), key=lambda item: item[1])
    print("\n".join(f"{seconds:7.1f} s  {what}" for what, seconds in told))
    assert "token through the VIP" in report["milestones"]
    assert "computes ready for servers" in report["milestones"]
    openstack(cluster, "container", "create", "journey")
    return cluster


def demo(cloud: Cluster, server: str) -> dict[str, dict[str, object]]:
    """Runs the demo for one server; its steps by name."""
    steps = json.loads(cloud.run("demo", "--server", server, "--json", timeout=300))
    print(f"demo {server}: " + ", ".join(f"{step['step']} {step['at']} s" for step in steps))
    return {step["step"]: step for step in steps}


def floating(cloud: Cluster, server: str) -> str:
    listed = openstack(cloud, "server", "show", server, "-f", "json", "-c", "addresses")
    return str(json.loads(listed)["addresses"]["demo"][-1])


def openstack(cloud: Cluster, *words: str) -> str:
    """`outlast openstack …`: from the operator's shell, through the external VIP."""
    return cloud.run("openstack", *words, file=False, timeout=180)


@contextmanager
def pinging(cloud: Cluster, address: str) -> Iterator[dict[str, float]]:
    """Ten packets a second from the client while the block lasts; the dict then has sent, lost and the longest gap."""
    found: dict[str, float] = {}
    with cloud.running("client", "ping", "-D", "-i", "0.1", address) as process:
        yield found
        inside = cloud.inside("client", "pgrep", "-x", "ping", check=False).split()
        cloud.inside("client", "kill", "-INT", *inside)
        text = process.communicate(timeout=10)[0]
    at = [float(stamp) for stamp in re.findall(r"^\[(\d+\.\d+)\] \d+ bytes", text, re.MULTILINE)]
    found["answered"] = len(at)
    found["gap"] = max((later - earlier for earlier, later in zip(at, at[1:], strict=False)), default=999.0)


NAMES = """
import json, openstack
cloud = openstack.connect()
print(json.dumps({
    "server": [one.name for one in cloud.compute.servers()],
    "image": [one.name for one in cloud.image.images()],
    "network": [one.name for one in cloud.network.networks()],
    "object": [one.name for one in cloud.object_store.objects("journey")],
}))
"""


BOOTED = """
import openstack, sys, time
cloud = openstack.connect()
server = cloud.compute.find_server(sys.argv[1], ignore_missing=False)
end, said = time.monotonic() + 90, ""
while "http on port 80" not in said:
    if time.monotonic() > end:
        sys.exit(f"not booted: {said[-2000:]}")
    time.sleep(0.5)
    said = cloud.compute.get_server_console_output(server.id)["output"] or ""
"""
"""Waits until the guest has its kernel, its address and its own server: ACTIVE says only that QEMU runs."""


def acknowledged(cloud: Cluster) -> dict[str, set[str]]:
    """Everything the cloud has said yes to, by kind, as a client hears it through the VIP."""
    script = f"{cloud.run('openrc')}exec /opt/openstack/bin/python -"
    said = cloud.inside("client", "sh", "-c", script, given=NAMES)
    return {kind: set(names) for kind, names in json.loads(said.splitlines()[-1]).items()}


def test_up_again_changes_nothing(cloud: Cluster) -> None:
    before = cloud.programs()
    begun = time.monotonic()
    said = cloud.run("up")
    print(f"second up: {time.monotonic() - begun:.1f} s")
    assert "nothing to change" in said
    assert cloud.programs() == before


def test_a_server_is_reached_from_outside(cloud: Cluster) -> None:
    steps = demo(cloud, "demo-1")
    assert "ping answered" in steps
    assert "TCP answered" in steps


def test_a_servers_device_that_is_down_is_set_up_again(cloud: Cluster) -> None:
    """As Open vSwitch leaves it now and then, when it writes the device's flags while Nova does: decision 0038."""
    listed = openstack(cloud, "port", "list", "--device-owner", "compute:nova", "-f", "value", "-c", "ID").split()
    device = f"tap{listed[0][:11]}"
    flags = f"/sys/class/net/{device}/flags"
    # What a command complains of is part of what `inside` gives: a device that is not there is no answer.
    node = next(name for name in ("k1", "k2") if cloud.inside(name, "cat", flags, check=False).startswith("0x"))
    before = time.time()
    cloud.inside(node, "ip", "link", "set", "dev", device, "down")
    until(lambda: int(cloud.inside(node, "cat", flags), 16) & 1, 5, f"{device} is not set up again")
    until(lambda: "tap.raised" in {event.code for event in cloud.events(node, after=before)}, 5, "it is not said")


def test_openstack_by_both_ways(cloud: Cluster) -> None:
    assert "demo-1" in openstack(cloud, "server", "list")
    script = f"{cloud.run('openrc')}exec /opt/openstack/bin/openstack server list -f value -c Name"
    assert "demo-1" in cloud.inside("client", "sh", "-c", script)


def test_the_catalogue_names_vips_only(cloud: Cluster) -> None:
    urls = openstack(cloud, "endpoint", "list", "-f", "value", "-c", "URL").split()
    assert len(urls) >= 18
    assert {re.sub(r"^http://([\d.]+):.*", r"\1", url) for url in urls} == {VIP, "10.21.0.250"}


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_it_outlives_a_controller(cloud: Cluster, turn: int) -> None:
    """Power cuts the VIP's holder first, then the two others: in the end each controller has been without power."""
    already = getattr(cloud, "cut", [])
    victim = cloud.holders(VIP)[0] if turn == 1 else next(node for node in CONTROLLERS if node not in already)
    cloud.cut = [*already, victim]  # type: ignore[attr-defined]
    try:
        outlives(cloud, victim, first=turn == 1)
    finally:
        # The next turn cuts another one: two without power are no test of this.
        if victim not in cloud.powered():
            cloud.poweron(victim)
        cloud.await_settled(180)
        # What follows finds the cloud as this turn found it, however it went.
        if f"after-{victim}" in acknowledged(cloud)["server"]:
            openstack(cloud, "server", "delete", "--wait", f"after-{victim}")


def outlives(cloud: Cluster, victim: str, *, first: bool) -> None:
    # An image and an object that come in through the node that will be off.
    image, thing = f"through-{victim}", f"object-{victim}"
    swift = through(cloud, victim, image)
    before = acknowledged(cloud)
    assert image in before["image"]
    with pinging(cloud, floating(cloud, "demo-1")) as stream:
        asked = json.dumps(password(cloud))
        # At the last moment: what a kernel has not written out yet is lost.
        swift.put(cloud, thing)
        before["object"].add(thing)
        cut_at = time.monotonic()
        if first:
            assert f"{victim} is off" in cloud.run("node", "poweroff", "vip-holder")
        else:
            cloud.poweroff(victim)
        until(lambda: token(cloud, asked), 15, "no token through the VIP after the power cut", poll=0.05)
        print(f"{victim} off: new token after {time.monotonic() - cut_at:.2f} s")
        begun = time.monotonic()
        server = f"after-{victim}"
        boot(cloud, server, image)
        print(f"{victim} off: server from an image uploaded through it after {time.monotonic() - begun:.1f} s")
        assert time.monotonic() - begun < 60
        script = f'{cloud.run("openrc")}exec /opt/openstack/bin/python - "$@"'
        cloud.inside("client", "sh", "-c", script, "sh", server, given=BOOTED, timeout=120)
        print(f"{victim} off: it has booted and serves after {time.monotonic() - begun:.1f} s")
    print(f"{victim} off: floating address answered {stream['answered']:.0f} times, longest gap {stream['gap']:.2f} s")
    assert stream["gap"] <= 4.0, claims(cloud)
    back_at = time.monotonic()
    cloud.poweron(victim)
    # Its own copy of the listing, before the other nodes' replicators mend it.
    assert thing in until(lambda: swift.listed(cloud), 60, f"{victim} has no listing of the container")
    took = cloud.await_settled(60)
    print(f"{victim} back: all green {time.monotonic() - back_at:.1f} s after power on ({took:.1f} s waited)")
    cloud.run("status")
    after = acknowledged(cloud)
    for kind, names in before.items():
        assert names <= after[kind], f"acknowledged and gone: {kind} {names - after[kind]}"


def claims(cloud: Cluster) -> str:
    """What the gateways' ovn-controllers said last of who takes whose place: where a long gap went."""
    last = ("sh", "-c", "grep -hE 'laim|releas|BFD|bfd' /var/log/outlast/ovn-controller* | tail -20")
    asked = [node for node in cloud.powered() if node != "client"]
    return "\n".join(f"{node}:\n{cloud.inside(node, *last, check=False)}" for node in asked)


def token(cloud: Cluster, asked: str) -> bool:
    """Whether Keystone gives the client a token on a fresh connection through the external VIP."""
    words = ("curl", "-s", "--connect-timeout", "0.5", "-m", "2", "-o", "/dev/null", "-w", "%{http_code}")
    head = ("-H", "Content-Type: application/json", "-d", "@-", f"http://{VIP}:5000/v3/auth/tokens")
    return cloud.inside("client", *words, *head, given=asked, check=False).strip() == "201"


def password(cloud: Cluster) -> dict[str, object]:
    rc = dict(line.removeprefix("export ").split("=", 1) for line in cloud.run("openrc").splitlines())
    user = {"name": "admin", "domain": {"id": "default"}, "password": rc["OS_PASSWORD"]}
    return {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}}


def through(cloud: Cluster, node: str, image: str) -> Swift:
    """Uploads by the node's own Glance, not by the VIP."""
    address = cloud.target.plan.address(node)
    exports = cloud.run("openrc").replace("OS_INTERFACE=public", "OS_INTERFACE=internal")
    kernel = json.loads(openstack(cloud, "image", "show", "demo", "-f", "json"))["properties"]
    made = f"""{exports}
        set -e
        cli=/opt/openstack/bin/openstack
        OS_IMAGE_ENDPOINT_OVERRIDE=http://{address}:9292 $cli image create --disk-format ami --container-format ami \\
            --file /usr/share/outlast/guest/disk.raw --property kernel_id={kernel["kernel_id"]} \\
            --property ramdisk_id={kernel["ramdisk_id"]} {image} >/dev/null
        $cli token issue -f value -c id -c project_id
    """
    token, project = cloud.inside(node, "sh", "-c", made, timeout=120).split()[-2:]
    return Swift(node, address, token, project)


def boot(cloud: Cluster, server: str, image: str) -> None:
    """A new server from the image, ACTIVE."""
    words = ("server", "create", "--image", image, "--flavor", "demo", "--network", "demo", "--wait", server)
    openstack(cloud, *words)


def test_the_first_requests_of_an_api_are_answered_like_all_others(cloud: Cluster) -> None:
    """Neutron's worker died and is back: nobody is told 403 while it loads the rules of who may do what."""
    program = int(cloud.inside("c1", *SUPERVISOR, "pid", "neutron-api"))
    worker = cloud.inside("c1", "pgrep", "-P", str(program)).split()[0]
    script = f'{cloud.run("openrc")}exec /opt/openstack/bin/python - "$@"'
    base = f"http://{cloud.target.plan.address('c1')}:9696"
    words = (worker, base, "/v2.0/security-groups", '{"security_group": {"name": "first"}}')
    code = (Path(__file__).parent / "fresh_api.py").read_text()
    answers = json.loads(cloud.inside("c1", "sh", "-c", script, "sh", *words, given=code, timeout=180).splitlines()[-1])
    assert [status for status, _ in answers] == [201] * 4, answers
    cloud.await_settled(60)


@pytest.mark.parametrize("api", ["keystone", "nova-api", "nova-metadata", "neutron-api", "glance", "placement"])
def test_an_api_says_what_its_threads_do_and_goes_on(cloud: Cluster, api: str) -> None:
    # As the agent asks before it kills one (outlast.node.hands.kill): the whole group, which uwsgi's master leads.
    before = cloud.programs()["c1", api]
    log = f"/var/log/outlast/{api}.log"
    size = int(cloud.inside("c1", "stat", "-c", "%s", log))
    cloud.inside("c1", "/usr/bin/python3", "-c", f"import os; os.killpg({before[0]}, {signal.SIGWINCH:d})")
    said = until(lambda: cloud.inside("c1", "tail", "-c", f"+{size + 1}", log), 5, f"nothing in {log}")
    until(lambda: "most recent call first" in cloud.inside("c1", "tail", "-c", f"+{size + 1}", log), 5, said)
    assert cloud.programs()["c1", api][0] == before[0]


def test_keystone_knows_what_a_cache_lost_with_it(cloud: Cluster) -> None:
    """For some seconds, and never what was taken out while the caches were well (decision 0040)."""
    script = (Path(__file__).parent / "recent_caches.py").read_text()
    said = cloud.inside("c1", "/opt/openstack/bin/python", "-W", "ignore", "-", given=script)
    assert json.loads(said.splitlines()[-1]) == {
        "deleted while the caches are well": None,
        "the id that was lost is known": True,
        "and memcached has it again": True,
        "a new id counts": True,
        "lost with a cache": 2,
        "taken out here": None,
        "too old": None,
    }


def test_a_login_to_the_database_that_breaks_off_is_repeated(cloud: Cluster) -> None:
    """By every program with SQLAlchemy, at least once and not for long (decision 0042)."""
    script = (Path(__file__).parent / "logins.py").read_text()
    said = cloud.inside("c1", "/opt/openstack/bin/python", "-W", "ignore", "-", given=script)
    found = json.loads(said.splitlines()[-1])
    print(found)
    for name in ("one breaks off", "one hangs for long"):
        assert (found[name]["said"], found[name]["logins"]) == (42, 2)
    assert found["all break off"]["said"] == 2013
    assert 3 < found["all break off"]["logins"] <= 12
    assert 1 < found["all break off"]["seconds"] < 3
    assert (found["wrong password"]["said"], found["wrong password"]["logins"]) == (1045, 1)


def test_openstacks_programs_are_forks(cloud: Cluster) -> None:
    """An executed one would show its interpreter first."""
    plan = cloud.target.plan
    for node in CONTROLLERS:
        described = [DESCRIBE[member.service](plan, member) for member in plan.members_on(node)]
        forked = [program.name for member in described for program in member.programs if program.fork]
        assert len(forked) == 9
        for name in forked:
            pid = cloud.inside(node, *SUPERVISOR, "pid", name).strip()
            assert not cloud.inside(node, "cat", f"/proc/{pid}/cmdline").startswith("/opt/openstack/bin/python"), name


@pytest.mark.parametrize("project", PROJECTS)
def test_what_is_loaded_ahead_is_the_same_for_every_configuration(cloud: Cluster, project: str) -> None:
    code = (Path(__file__).parent / "loading_reads.py").read_text()
    words = ("/opt/openstack/bin/python", "-", project)
    found = json.loads(cloud.inside("c1", *words, given=code, timeout=120).splitlines()[-1])
    assert found["failed"] == [], "modules.py names what is not there"
    assert not found["eventlet"], "the common modules must not load it"
    assert found["threads"] == 1 and found["opened"] == []
    known = READ.get(project, {})
    unknown = [
        row
        for section, name, where in found["read"]
        for row in [(section, name, where)]
        # The last paragraph of READ's description says why these do no harm.
        if not where.startswith(("castellan/", "keystoneauth1/loading/", "oslo_limit/opts.py"))
        and not (where == "nova/monkey_patch.py" and name == "config_source")
        and not (section in known and (not known[section] or name in known[section]))
    ]
    assert unknown == []


def test_a_changed_option_restarts_what_depends_on_it(cloud: Cluster) -> None:
    before = cloud.programs()
    change(cloud, 6)
    planned = cloud.run("plan")
    assert "restart  glance on c1" in planned
    with uploading(cloud) as said:
        assert json.loads(cloud.run("up", "--json", timeout=300))["changed"]
    assert len(uploads(said)) > 6
    assert {status for status, _, _ in uploads(said)} == {"204"}, f"requests were cut or refused: {said}"
    cloud.await_settled(30)
    moved = {key for key, value in cloud.programs().items() if before.get(key) != value}
    assert moved == {(node, "glance") for node in CONTROLLERS}


@contextmanager
def uploading(cloud: Cluster) -> Iterator[list[str]]:
    """Clients upload images (uploads.py): some have one there when the block begins, none is under way when it ends."""
    stop = f"/tmp/uploads-{time.monotonic()}"
    script = f'{cloud.run("openrc")}exec /opt/openstack/bin/python - "$@"'
    code = (Path(__file__).parent / "uploads.py").read_text()
    words = ("sh", "-c", script, "sh", f"http://{VIP}:9292", stop)
    with cloud.following("client", *words, given=code) as said:
        until(lambda: uploads(said), 60, lambda: f"no upload came to its end: {said}")
        yield said
        cloud.inside("client", "touch", stop)
        until(lambda: "end" in said, 90, lambda: said)


def uploads(said: list[str]) -> list[tuple[str, float, float]]:
    return [json.loads(line) for line in said if line.startswith("[")]


def change(cloud: Cluster, threads: int) -> None:
    """Glance with another number of threads."""
    cloud.write(f"{LAB}\noptions: {{glance: {{threads: {threads}}}}}\n")


def test_an_interrupted_change_continues(cloud: Cluster) -> None:
    change(cloud, 8)
    process = cloud.start("up")
    written = "threads = 8"
    until(lambda: written in cloud.inside("c1", "cat", UWSGI), 60, "the change did not begin", poll=0.02)
    kill_now(process)
    assert json.loads(cloud.run("up", "--json", timeout=300))["phases"]
    cloud.await_settled(30)
    for node in CONTROLLERS:
        assert written in cloud.inside(node, "cat", UWSGI)
    assert "nothing to change" in cloud.run("up")


def test_this_machine_reaches_the_vip_only_when_asked_for(cloud: Cluster) -> None:
    def way() -> str:
        # Without the lab's own link nothing is sent: the address may be somebody else's out there.
        return subprocess.run(["ip", "route", "get", VIP], capture_output=True, text=True).stdout

    assert " dev ol-" not in way()
    cloud.run("up", "--host-access", timeout=120)
    assert " dev ol-" in way()
    asked = ["curl", "-s", "-m", "5", f"http://{VIP}:5000/v3"]
    assert b"v3" in subprocess.run(asked, capture_output=True, check=True).stdout


def test_the_demo_can_be_cleaned_away(cloud: Cluster) -> None:
    cloud.run("demo", "--clean", timeout=180)
    assert not openstack(cloud, "server", "list", "-f", "value").strip()
    assert not openstack(cloud, "network", "list", "-f", "value").strip()


def test_a_controller_is_shut_down_and_no_request_is_cut(cloud: Cluster) -> None:
    """One that holds no VIP: connections to an address that moves end with it."""
    held = {*cloud.holders(VIP), *cloud.holders("10.21.0.250")}
    node = next(node for node in CONTROLLERS if node not in held)
    with uploading(cloud) as said:
        begun = time.monotonic()
        cloud.target.lab.shutdown(node, seconds=60)
        print(f"{node} shut down in {time.monotonic() - begun:.1f} s")
        off = time.time()
        until(lambda: any(begin > off for _, begin, _ in uploads(said)), 60, lambda: said)
    assert {status for status, _, _ in uploads(said)} == {"204"}, f"requests were cut or refused: {said}"


def test_down_leaves_nothing(cloud: Cluster) -> None:
    """`remove` looks past the command: namespaces, links, loop devices, processes, files."""
    cloud.remove()
    assert not cloud.path.with_name(f"{cloud.name}.secrets.json").exists()
