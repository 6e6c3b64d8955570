"""Programs that ended without being told to: supervisord starts them again, and nobody else would say so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from outlast.node.view import UP
from outlast.spec.bundle import BundleMember
from outlast.spec.snapshot import ProgramState


class Ends:
    """Remembers the process of each program from one look to the next."""

    def __init__(self) -> None:
        self._pids: dict[str, int] = {}
        self._expected: set[str] = set()

    def expect(self, programs: Iterable[str]) -> None:
        """These are about to be ended by us."""
        self._expected.update(programs)

    def seen(self, members: Iterable[BundleMember], states: Mapping[str, ProgramState]) -> list[tuple[str, str, str]]:
        """(service, code, sentence) for each program that ended by itself since the last look."""
        found = []
        for member in members:
            for program in member.programs:
                state = states.get(program.name)
                sentence = self._ended(program.name, state) if state else ""
                if sentence:
                    found.append((member.service, "program.ended", sentence))
        return found

    def _ended(self, name: str, state: ProgramState) -> str:
        before = self._pids.get(name, 0)
        running = state.pid if state.state in UP else 0
        if running == before or state.state == "STOPPING":
            return ""
        self._pids[name] = running
        if running and name in self._expected:
            self._expected.discard(name)
            return ""
        if not before or name in self._expected:
            return ""
        return f"{name} (process {before}) ended" + (f" and runs again as process {running}" if running else "")
