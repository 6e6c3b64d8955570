"""`outlast-node`: what runs on a node. One word picks the program."""

from __future__ import annotations

import importlib
import sys

PROGRAMS = {
    "agent": "outlast.node.agent",
    "guard": "outlast.node.guard.main",
    "responder": "outlast.node.responder",
}


def main(argv: list[str]) -> int:
    """Runs the program named by the first word. Exit 2 for an unknown one."""
    if not argv or argv[0] not in PROGRAMS:
        sys.stderr.write(f"usage: outlast-node {{{','.join(PROGRAMS)}}} …\n")
        return 2
    # Imported late: a guard must not pay for the agent's imports.
    module = importlib.import_module(PROGRAMS[argv[0]])
    status: int = module.main(argv[1:])
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
