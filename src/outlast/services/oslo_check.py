"""Finds keys that a program would silently ignore: oslo.config says nothing about unknown sections and keys.

The known options come from the node image: every option that the installed libraries register, by program family.
"""

from __future__ import annotations

import difflib
import importlib.resources
from collections.abc import Mapping
from functools import cache

import msgspec

from outlast.spec.file import Scalar

Options = Mapping[str, Mapping[str, Mapping[str, object]]]
# Glance names a section after each store (its enabled_backends and two of its own); all take the stores' options.
STORES = ("swift", "os_glance_tasks_store", "os_glance_staging_store")
HELPER = "helper_command"
"""The only key of a privsep section; libraries register such sections at run time, so the image does not list all."""
ALIASES = {"glance": dict.fromkeys(STORES, "glance_store")}


Sections = Mapping[str, Mapping[str, Scalar | tuple[str, ...]]]


@cache
def known_options() -> Mapping[str, Options]:
    """family → section → key → {"type", "deprecated"}, as the image build found them. Shared: do not change it."""
    path = importlib.resources.files("outlast.services") / "oslo_options.json"
    families: dict[str, Options] = msgspec.json.decode(path.read_bytes())
    return {name: family for name, family in families.items() if not name.startswith("_")}


def unknown_options(program: str, sections: Sections, known: Mapping[str, Options]) -> tuple[str, ...]:
    """One sentence per unknown section or key, with the nearest known name; empty when all is well.

    A family that is not in `known` cannot be checked: empty. Deprecated names count as known: old names still work.
    """
    if program not in known:
        return ()
    family = known[program]
    found: list[str] = []
    for section, keys in sections.items():
        source = ALIASES.get(program, {}).get(section, section)
        if source not in family:
            if set(keys) != {HELPER}:
                found.append(f"{program}: unknown section [{section}]{_hint(section, family)}")
            continue
        found.extend(
            f"{program}: unknown key {key} in [{section}]{_hint(key, family[source])}"
            for key, value in keys.items()
            if value is not None and key != HELPER and not _knows(family[source], key)
        )
    return tuple(found)


def _knows(section: Mapping[str, object], key: str) -> bool:
    return key in section or key.replace("_", "-") in section


def _hint(name: str, names: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f", did you mean {near[0]}?" if near else ""
