"""Nova on a compute node: libvirt and nova-compute."""

from __future__ import annotations

import uuid

from outlast.plan.plan import Member, Plan
from outlast.services import oslo
from outlast.services.contract import Service
from outlast.services.nova.config import shared
from outlast.spec.file import Directory, File, Ini, Text
from outlast.spec.probe import Probe
from outlast.spec.program import Program
from outlast.spec.service import MemberSpec, Option, Port, ServiceSpec

CONFIG = "/etc/nova/nova-compute.conf"
PRIVILEGED = ("nova_sys_admin", "vif_plug_ovs_privileged", "privsep_osbrick")
DEVICES = "tap[0-9a-f]{8}-[0-9a-f]{2}"
"""How Nova names its servers' network devices: the beginning of the port's id, as far as fourteen letters go."""

SPEC = ServiceSpec(
    name="nova-compute",
    title="Nova compute with libvirt",
    kind="stateful",
    mode="active-active",
    roles=("compute",),
    packages=(
        "libvirt-daemon",
        "libvirt-daemon-driver-qemu",
        "libvirt-clients",
        "qemu-system-x86",
        "qemu-utils",
        "python3-libvirt",
        "genisoimage",
    ),
    ports=(Port("libvirt", 16509),),
    options=(
        Option(
            "virt_type",
            "qemu",
            "kvm where the machine has it; qemu emulates (slow, runs anywhere).",
            choices=("kvm", "qemu"),
        ),
        Option("resume_servers", True, "Start servers again that ran when the node lost power."),
        Option("reserved_memory", 512, "MiB of the node's memory that servers never get.", minimum=0, maximum=1048576),
    ),
    after=("openvswitch", "ovn-agent"),
    requires=("nova", "openvswitch", "ovn-agent"),
)


def identity(plan: Plan, node: str) -> str:
    """A compute node's lasting id: the same after its disk was replaced, another in another cluster."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"outlast:{plan.cluster}:{node}"))


def describe(plan: Plan, member: Member) -> MemberSpec:
    """One compute node."""
    node = member.node
    compute = (f"{oslo.HOME}/bin/nova-compute", "--config-file", CONFIG)
    return MemberSpec(
        service=SPEC.name,
        node=node,
        directories=(
            oslo.LOCKS,
            Directory("/run/libvirt"),
            Directory("/etc/libvirt"),
            Directory("/etc/nova"),
            Directory("/var/lib/nova"),
            Directory("/var/lib/nova/instances"),
        ),
        files=(
            File(CONFIG, _config(plan, member), mode=0o600),
            File("/etc/nova/compute_id", Text(identity(plan, node) + "\n"), on_change="none"),
            File("/etc/libvirt/libvirtd.conf", _libvirtd(plan, node)),
            File("/etc/libvirt/qemu.conf", _qemu(plan, node)),
        ),
        programs=(
            Program("libvirtd", ("/usr/sbin/libvirtd", "--listen"), priority=40),
            Program("nova-compute", compute, env=oslo.ENV, priority=60),
        ),
        # nova-compute gives up at once when it finds no Keystone or Placement; without a conductor to talk to it
        # waits for whole RPC time-outs before it asks again.
        needs=(
            *(
                Probe("http", *plan.vip(frontend), "/", (200, 300), interval=2.0, timeout=5.0)
                for frontend in ("keystone", "placement", "nova")
            ),
            oslo.broker(plan),
        ),
        probes=(
            # By the port that migrations come to.
            Probe(
                "libvirt",
                plan.address(node),
                plan.port("nova-compute", "libvirt"),
                program="libvirtd",
                interval=3.0,
                timeout=3.0,
            ),
            oslo.rpc(plan, member, "nova/compute", program="nova-compute"),
        ),
        # What the agent sets up again where it was left down (node/taps.py).
        facts=(("taps", DEVICES),),
    )


def _config(plan: Plan, member: Member) -> Ini:
    sections = shared(plan, member.node)
    compute: oslo.Section = {
        "compute_driver": "libvirt.LibvirtDriver",
        "instances_path": "/var/lib/nova/instances",
        "use_cow_images": False,
        "force_config_drive": False,
        "reserved_host_memory_mb": plan.option("nova-compute", "reserved_memory"),
        "resume_guests_state_on_host_boot": plan.option("nova-compute", "resume_servers"),
        "sync_power_state_interval": 60,
    }
    # There is no sudo on a node; nova-compute is root and starts its helpers itself.
    helper: oslo.Section = {"helper_command": f"{oslo.HOME}/bin/privsep-helper --config-file {CONFIG}"}
    return Ini(
        sections
        | {
            "DEFAULT": sections["DEFAULT"] | compute,
            "libvirt": _libvirt(plan, member.node),
            "os_vif_ovs": {"ovsdb_connection": "unix:/run/openvswitch/db.sock"},
            **{section: dict(helper) for section in PRIVILEGED},
        },
        oslo="nova",
    )


def _libvirt(plan: Plan, node: str) -> oslo.Section:
    emulated = plan.option("nova-compute", "virt_type") == "qemu"
    return {
        "virt_type": plan.option("nova-compute", "virt_type"),
        "cpu_mode": "none" if emulated else "host-model",
        "connection_uri": "qemu:///system",
        "images_type": "raw",
        "live_migration_scheme": "tcp",
        "live_migration_inbound_addr": plan.address(node),
    }


def _quoted(keys: dict[str, str | int]) -> Ini:
    """libvirt's own format: texts stand in quotes."""
    return Ini({"": {key: f'"{value}"' if isinstance(value, str) else value for key, value in keys.items()}})


def _libvirtd(plan: Plan, node: str) -> Ini:
    """Nodes of one machine share its hardware id, and libvirt refuses to migrate to "itself": each gets its own."""
    return _quoted(
        {
            "listen_tls": 0,
            "listen_tcp": 1,
            "listen_addr": plan.address(node),
            "tcp_port": str(plan.port("nova-compute", "libvirt")),
            "auth_tcp": "none",
            "auth_unix_ro": "none",
            "auth_unix_rw": "none",
            "unix_sock_group": "root",
            "unix_sock_ro_perms": "0700",
            "unix_sock_rw_perms": "0700",
            "host_uuid": identity(plan, node),
            # Keepalive towards clients: a peer of a migration that lost power is noticed in 10 s.
            "keepalive_interval": 2,
            "keepalive_count": 4,
        }
    )


def _qemu(plan: Plan, node: str) -> Ini:
    """No helper daemons, cgroups or namespaces: none of them is needed, and a lab node cannot have them."""
    address = plan.address(node)
    keys = _quoted(
        {
            "user": "root",
            "group": "root",
            "security_driver": "none",
            "remember_owner": 0,
            "stdio_handler": "file",
            "migration_address": address,
            "migration_host": address,
        }
    )
    return Ini({"": {**keys.sections[""], "namespaces": "[]", "cgroup_controllers": "[]"}})


SERVICE = Service(SPEC, describe)
