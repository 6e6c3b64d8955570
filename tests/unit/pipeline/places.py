"""Every string that a node is handed, with the place where it stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from outlast.render.tree import NodeTree, RenderedFile, RenderedMember
from outlast.spec.file import Ini


@dataclass(frozen=True)
class Place:
    """`where`: a file's path, or argv, env, stdin, needs, probes, facts. `key`: [section] key, or what holds it."""

    service: str
    where: str
    key: str
    text: str

    def __str__(self) -> str:
        return f"{self.service} {self.where} {self.key}: {self.text.strip()[:200]}"


def places(tree: NodeTree) -> Iterator[Place]:
    """Everything on one node."""
    for member in tree.members:
        for rendered in member.files:
            yield from _file(member.spec.service, rendered)
        yield from _programs(member)
        yield from _questions(member)


def _file(service: str, rendered: RenderedFile) -> Iterator[Place]:
    content, path = rendered.file.content, rendered.file.path
    if not isinstance(content, Ini):
        for line in rendered.text.splitlines():
            yield Place(service, path, "line", line)
        return
    for section, keys in content.sections.items():
        for key, value in keys.items():
            yield Place(service, path, f"[{section}] {key}", str(value))


def _programs(member: RenderedMember) -> Iterator[Place]:
    service = member.spec.service
    for program in member.spec.programs:
        for word in program.argv:
            yield Place(service, "argv", program.name, word)
        for key, value in program.env:
            yield Place(service, "env", f"{program.name} {key}", value)
    for step in (*member.spec.prepare, *member.spec.setup):
        yield Place(service, "stdin", step.name, step.stdin)
        for word in (*step.argv, *step.unless):
            yield Place(service, "argv", step.name, word)
        for key, value in step.env:
            yield Place(service, "env", f"{step.name} {key}", value)
    for word in member.spec.reload:
        yield Place(service, "argv", "reload", word)


def _questions(member: RenderedMember) -> Iterator[Place]:
    spec = member.spec
    asked = (*spec.needs, *(probe for step in (*spec.prepare, *spec.setup) for probe in step.needs))
    for where, probes in (("needs", asked), ("probes", spec.probes)):
        for probe in probes:
            for text in (probe.address, *probe.argv):
                yield Place(spec.service, where, probe.kind, text)
    for key, value in spec.facts:
        yield Place(spec.service, "facts", key, value)
