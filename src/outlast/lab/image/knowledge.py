"""Writes every oslo.config option that the installed libraries know, per program, as JSON.

Never imported: the OpenStack environment's own Python runs it inside the image, as ``knowledge.py OUTPUT STAMP``.
One option group per line, so that a change of release reads well in a diff.
"""

# mypy: ignore-errors
# (its imports exist only in the OpenStack environment)

from __future__ import annotations

import importlib.metadata
import json
import logging
import sys
import warnings

from keystoneauth1 import loading
from oslo_config import cfg, generator
from oslo_privsep import priv_context

COMMON = [
    "oslo.cache",
    "oslo.concurrency",
    "oslo.config",
    "oslo.db",
    "oslo.limit",
    "oslo.log",
    "oslo.messaging",
    "oslo.middleware",
    "oslo.policy",
    "oslo.privsep",
    "oslo.reports",
    "oslo.service",
    "oslo.versionedobjects",
    "osprofiler",
]
API = ["keystonemiddleware.auth_token", "keystonemiddleware.audit"]
COMPUTE = ["cotyledon", "os_brick", "os_vif"]
# A name stands for every installed namespace that is called so or begins so, followed by a dot.
PROGRAMS = {
    "glance": [*COMMON, *API, "os_brick", "glance"],
    "keystone": [*COMMON, "keystone"],
    "neutron": [
        *(*COMMON, *API, *COMPUTE, "neutron"),
        *("designate.auth", "ironic.auth", "nova.auth", "placement.auth"),
    ],
    "nova": [*COMMON, *API, *COMPUTE, "castellan", "nova.conf"],
    "placement": [*COMMON, *API, "placement.conf"],
}
# Sections whose options come from whichever auth plugin `auth_type` names, so no library lists them statically.
AUTH_SECTIONS = {
    "glance": ["keystone_authtoken", "oslo_limit", "service_user"],
    "keystone": [],
    "neutron": ["keystone_authtoken", "designate", "ironic", "nova", "oslo_limit", "placement"],
    "nova": [
        *("keystone_authtoken", "barbican_service_user", "cinder", "cyborg", "ironic", "keystone", "manila"),
        *("neutron", "oslo_limit", "placement", "service_user", "vendordata_dynamic_auth"),
    ],
    "placement": ["keystone_authtoken", "oslo_limit"],
}
AUTH_PLUGINS = ("password", "v3password", "v3applicationcredential", "v3token", "token", "none", "noauth")
# Sections that a privileged helper process reads; the libraries name them where they start one.
PRIVSEP_SECTIONS = {
    "glance": ["privsep_osbrick"],
    "keystone": [],
    "neutron": [
        *("privsep", "privsep_conntrack", "privsep_dhcp_release", "privsep_link", "privsep_namespace"),
        *("privsep_ovs_vsctl", "os_vif_privileged", "vif_plug_ovs_privileged"),
    ],
    "nova": ["nova_sys_admin", "os_vif_privileged", "privsep_osbrick", "vif_plug_ovs_privileged"],
    "placement": [],
}
# A glance store is a section of the operator's naming: "*store" is what any such section accepts; two names are fixed.
GLANCE_STORES = ("*store", "os_glance_staging_store", "os_glance_tasks_store")


class Groups:
    """Options by section and name; a name that is current anywhere wins over its use as another option's old one."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, dict[str, object]]] = {}

    def put(self, group: str, name: str, kind: str, *, deprecated: bool) -> None:
        entry = self.found.setdefault(group, {})
        # oslo.config takes dashes in a file for another name than underscores; only keystoneauth's names have them.
        name = name.replace("-", "_")
        if name not in entry or (entry[name]["deprecated"] and not deprecated):
            entry[name] = {"type": kind, "deprecated": deprecated}

    def add(self, group: str, option: cfg.Opt) -> None:
        kind = type(option.type).__name__.lower() + ("*" if isinstance(option, cfg.MultiOpt) else "")
        self.put(group, option.dest, kind, deprecated=bool(option.deprecated_for_removal))
        for old in option.deprecated_opts:
            self.put(old.group or group, old.name or option.dest, kind, deprecated=True)


def namespaces(wanted: list[str]) -> list[str]:
    """The installed namespaces that the names stand for. Exits if a name stands for none."""
    known = sorted(entry.name for entry in importlib.metadata.entry_points(group="oslo.config.opts"))
    chosen: set[str] = set()
    for name in wanted:
        matches = [k for k in known if (k == name or k.startswith(f"{name}.")) and ".tests." not in k]
        if not matches:
            sys.exit(f"no option namespace {name}: is the library installed?")
        chosen.update(matches)
    return sorted(chosen)


def auth_options() -> list[cfg.Opt]:
    """What a section that loads keystoneauth accepts, by the plugins a service may use."""
    options = [
        *loading.get_auth_common_conf_options(),
        *loading.get_session_conf_options(),
        *loading.get_adapter_conf_options(),
    ]
    available = loading.get_available_plugin_names()
    for plugin in AUTH_PLUGINS:
        if plugin in available:
            options += loading.get_auth_plugin_conf_options(plugin)
    return options


def describe(program: str) -> dict[str, dict[str, dict[str, object]]]:
    """Every section of a program's configuration."""
    groups = Groups()
    for _, listed in generator._list_opts(namespaces(PROGRAMS[program])):
        for group, options in listed:
            name = group.name if isinstance(group, cfg.OptGroup) else (group or "DEFAULT")
            for option in options:
                groups.add(name, option)
    for section in AUTH_SECTIONS[program]:
        for option in auth_options():
            groups.add(section, option)
    for section in PRIVSEP_SECTIONS[program]:
        for option in priv_context.OPTS:
            groups.add(section, option)
    if program == "glance":
        for section in GLANCE_STORES:
            groups.found.setdefault(section, {}).update(groups.found["glance_store"])
    return groups.found


def main(output: str, stamp: str) -> None:
    """Writes the file."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    programs = []
    for program in sorted(PROGRAMS):
        lines = []
        for name, options in sorted(describe(program).items()):
            entries = json.dumps(dict(sorted(options.items())), separators=(",", ":"))
            lines.append(f"{json.dumps(name)}:{entries}")
        programs.append(f"{json.dumps(program)}:{{\n" + ",\n".join(lines) + "\n}")
    text = "{" + ",\n".join([f'"_stamp":{json.dumps(stamp)}', *programs]) + "}\n"
    json.loads(text)
    with open(output, "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    main(*sys.argv[1:])
