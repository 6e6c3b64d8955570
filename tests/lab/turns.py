"""Labs of two test processes beside each other: small ones share the machine, an `alone` module has it to itself."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class Turns:
    """A turn lasts for a module. It is a folder's lock, shared or whole, so that a killed process gives it back.

    A process ends its turn before it waits for the next one: two of them cannot wait for each other.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held = -1
        self._module = ""

    def take(self, module: str, alone: bool) -> None:
        """Waits until this module may run; at once where it already does. Raises OSError where there is no folder."""
        if self._held >= 0 and module == self._module:
            return
        self.end()
        self._held = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._module = module
        fcntl.flock(self._held, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)

    def end(self) -> None:
        """Gives the turn back, where there is one."""
        if self._held >= 0:
            os.close(self._held)
            self._held = -1
