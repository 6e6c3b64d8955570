"""Finds keys that a program would silently ignore: oslo.config says nothing about unknown sections and keys.

The known options come from the node image: every option that the installed libraries register, by program family.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from outlast.spec.file import Scalar

Options = Mapping[str, Mapping[str, Mapping[str, object]]]
# Glance names a section after each store (its enabled_backends and two of its own); all take the stores' options.
STORES = ("swift", "os_glance_tasks_store", "os_glance_staging_store")
ALIASES = {"glance": dict.fromkeys(STORES, "glance_store")}


def unknown_options(
    program: str,
    sections: Mapping[str, Mapping[str, Scalar | tuple[str, ...]]],
    known: Mapping[str, Options],
) -> tuple[str, ...]:
    """One sentence per unknown section or key, with the nearest known name; empty when all is well.

    `known`: family → section → key → {"type", "deprecated"}. A family that is not there cannot be checked: empty.
    Deprecated names count as known: old names still work.
    """
    if program not in known:
        return ()
    family = known[program]
    found: list[str] = []
    for section, keys in sections.items():
        source = ALIASES.get(program, {}).get(section, section)
        if source not in family:
            found.append(f"{program}: unknown section [{section}]{_hint(section, family)}")
            continue
        found.extend(
            f"{program}: unknown key {key} in [{section}]{_hint(key, family[source])}"
            for key, value in keys.items()
            if value is not None and not _knows(family[source], key)
        )
    return tuple(found)


def _knows(section: Mapping[str, object], key: str) -> bool:
    return key in section or key.replace("_", "-") in section


def _hint(name: str, names: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f", did you mean {near[0]}?" if near else ""
