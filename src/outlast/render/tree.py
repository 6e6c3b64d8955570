"""Plan → files, node by node. Pure: secrets stay placeholders."""

from __future__ import annotations

import importlib.resources
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import jinja2

from outlast.errors import PlanError
from outlast.plan.plan import Member, Plan
from outlast.services.oslo_check import known_options, unknown_options
from outlast.spec.file import File, Ini, Scalar, Template, Text
from outlast.spec.service import MemberSpec

Describe = Callable[[Plan, Member], MemberSpec]


@dataclass(frozen=True)
class RenderedFile:
    """A file with its text."""

    file: File
    text: str


@dataclass(frozen=True)
class RenderedMember:
    """A member's description with its files as text."""

    spec: MemberSpec
    files: tuple[RenderedFile, ...]


@dataclass(frozen=True)
class NodeTree:
    """All of one node's members."""

    node: str
    members: tuple[RenderedMember, ...]

    @property
    def files(self) -> Mapping[str, RenderedFile]:
        return {rendered.file.path: rendered for member in self.members for rendered in member.files}


@lru_cache
def _environment(service: str) -> jinja2.Environment:
    folder = importlib.resources.files("outlast.services") / service.replace("-", "_") / "templates"
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(str(folder)),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )


def render_node(plan: Plan, node: str, describe: Mapping[str, Describe]) -> NodeTree:
    """Everything that runs on one node.

    Raises PlanError where two members want the same path with different content, or an override names no file.
    """
    members = tuple(_member(plan, describe[member.service](plan, member)) for member in plan.members_on(node))
    seen: dict[str, RenderedFile] = {}
    for member in members:
        for rendered in member.files:
            other = seen.setdefault(rendered.file.path, rendered)
            if other.text != rendered.text:
                raise PlanError("render.path-clash", f"{rendered.file.path} on {node} is wanted with two contents")
    return NodeTree(node, members)


def _member(plan: Plan, spec: MemberSpec) -> RenderedMember:
    overrides = plan.overrides.get(spec.service, {})
    if overrides:
        _check_overrides(spec, overrides)
    return RenderedMember(
        spec, tuple(RenderedFile(file, text(file, overrides.get(_base(file), {}))) for file in spec.files)
    )


def _base(file: File) -> str:
    return file.path.rsplit("/", 1)[-1]


def _check_overrides(spec: MemberSpec, overrides: Mapping[str, Mapping[str, Mapping[str, Scalar]]]) -> None:
    files = {_base(file): file for file in spec.files}
    for name, sections in overrides.items():
        if name not in files:
            known = ", ".join(sorted(files))
            sentence = f"overrides of {spec.service} name the file {name}, which it does not have; it has {known}"
            raise PlanError("override.no-file", sentence)
        content = files[name].content
        if isinstance(content, Ini) and content.oslo:
            unknown = unknown_options(content.oslo, sections, known_options())
            if unknown:
                # oslo.config would ignore it without a word, and the operator would believe it is set.
                sentence = f"overrides of {spec.service}, {name}: " + "; ".join(unknown)
                raise PlanError("override.unknown-option", sentence)


def text(file: File, override: Mapping[str, Mapping[str, Scalar]]) -> str:
    """A file's content as text, the operator's raw settings merged in.

    An Ini takes them by section and key; a template by its own rules (`overrides` in its variables).
    """
    content = file.content
    if isinstance(content, Text):
        if override:
            raise PlanError("override.not-possible", f"{file.path} takes no raw settings")
        return content.text
    if isinstance(content, Ini):
        return ini_text(merged(content, override))
    return template_text(replace(content, variables={**content.variables, "overrides": override}))


def merged(ini: Ini, override: Mapping[str, Mapping[str, Scalar]]) -> Ini:
    """The Ini with the override's keys on top."""
    sections = {name: dict(keys) for name, keys in ini.sections.items()}
    for section, keys in override.items():
        sections.setdefault(section, {}).update(keys)
    return replace(ini, sections=sections)


def ini_text(ini: Ini) -> str:
    """Section headings and keys, one per line; booleans as true/false; None left out; tuples repeat the key."""
    lines: list[str] = []
    for section, keys in ini.sections.items():
        if section:
            lines.append(f"[{section}]")
        for key, value in keys.items():
            for item in value if isinstance(value, tuple) else (value,):
                if item is not None:
                    lines.append(f"{key}{ini.separator}{_scalar(item)}")
        lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


def _scalar(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def template_text(template: Template) -> str:
    """The rendered template. Raises PlanError where it uses a name that the service did not give."""
    try:
        return _environment(template.service).get_template(template.name).render(**template.variables)
    except jinja2.TemplateError as error:
        raise PlanError("render.template", f"{template.service}/{template.name}: {error}") from error
