"""Running the machine's own tools (ip, nft, mkfs) on behalf of a lab."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from outlast.lab.errors import LabError

_SECONDS = 60


@dataclass(frozen=True)
class Commands:
    """`locks` are inherited by every tool, so that a lock outlives a killed caller until its tools are done too."""

    locks: tuple[int, ...] = ()

    def run(self, *argv: str, text: str = "") -> str:
        done = self._run(argv, text)
        if done.returncode:
            reason = " ".join((done.stderr or done.stdout).split()) or f"status {done.returncode}"
            raise LabError("lab.tool", f"{' '.join(argv)}: {reason}")
        return done.stdout

    def succeeds(self, *argv: str, text: str = "") -> bool:
        return self._run(argv, text).returncode == 0

    def _run(self, argv: Sequence[str], text: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                argv,
                input=text,
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                pass_fds=self.locks,
                env={"PATH": f"/usr/sbin:/usr/bin:/sbin:/bin:{os.environ.get('PATH', '')}", "LC_ALL": "C"},
            )
        except FileNotFoundError:
            raise LabError("lab.tool-missing", f"{argv[0]} is not installed on this machine") from None
        except subprocess.TimeoutExpired:
            raise LabError("lab.tool", f"{' '.join(argv)}: no end after {_SECONDS} s") from None
