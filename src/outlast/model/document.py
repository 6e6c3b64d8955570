"""YAML text → plain data with the line of every value. Pure; knows nothing of clusters.

The parser's composed nodes carry their lines, so one pass gives values and line numbers (a round-trip load costs three
times as much). Aliases and merge keys are refused: they hide where a value came from, and can blow a file up.
"""

from __future__ import annotations

import math
import re
import warnings
from dataclasses import dataclass, field

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from outlast.errors import Problem

Path = tuple[str | int, ...]
Data = str | int | float | bool | None | list["Data"] | dict[str, "Data"]

_CORE = "tag:yaml.org,2002:"
_TEXT_TAGS = frozenset({"str", "null", "bool", "int", "float", "timestamp", "value"})


@dataclass
class Document:
    """A file's data, the line of every path (mapping entries: the key's line), and what was wrong with the text."""

    data: Data = None
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def line(self, path: Path) -> int:
        """Line of the path, or of its nearest ancestor in the file."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def refuse(self, code: str, sentence: str, hint: str, line: int, path: Path = ()) -> None:
        self.problems.append(Problem(code, sentence, line=line, hint=hint, path=path))


def read_document(text: str) -> Document:
    """Compose the text; every fault of the text becomes a Problem with its line, no exception leaves."""
    document = Document()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the parser warns about reused anchors; anchors are refused below
            root = YAML(typ="safe", pure=True).compose(text)
        if root is None:
            document.refuse("file.empty", "the file holds no value", "start with `outlast init`", 1)
        else:
            document.data = _value(root, (), document)
    except MarkedYAMLError as error:
        _refuse_marked(error, document)
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        found = f"the character {_character(error.character)!r} is not allowed in YAML"
        document.refuse("file.yaml", found, "remove it", line)
    except RecursionError:
        document.refuse("file.yaml", "the values are nested too deeply", "a cluster file needs seven levels", 1)
    except Exception as error:
        # The parser lets some faults of the text escape as Python's own errors (an escape such as \UFFFFFFFF does).
        document.refuse("file.yaml", f"the text is not valid YAML: {error}", "look for odd escapes and directives", 1)
    return document


def _refuse_marked(error: MarkedYAMLError, document: Document) -> None:
    mark = error.problem_mark or error.context_mark
    said = " ".join(part for part in (error.context, error.problem) if part)
    hint = "check indentation, brackets and quotes on this line and the one before"
    if "'\\t'" in said:
        hint = "indent with spaces, not tabs"
    elif "another document" in said:
        hint = "a cluster file is one document: remove the line `---` in its middle"
    elif "alias" in said:
        hint = "write the value out"
    document.refuse("file.yaml", f"not valid YAML: {said}", hint, mark.line + 1 if mark is not None else 1)


def _character(found: object) -> object:
    # The reader says it as a number or as text, depending on where it stumbled.
    return chr(found) if isinstance(found, int) else found


def _value(node: Node, path: Path, document: Document) -> Data:
    line = node.start_mark.line + 1
    document.lines.setdefault(path, line)
    if node.anchor is not None:
        # Stop here: the same node may come again, even inside itself.
        document.refuse("yaml.anchor", f"the anchor &{node.anchor} is not supported", "write the value out", line)
        return None
    kind = str(node.tag).removeprefix(_CORE)
    if isinstance(node, MappingNode) and kind == "map":
        return _mapping(node, path, document)
    if isinstance(node, SequenceNode) and kind == "seq":
        return [_value(item, (*path, position), document) for position, item in enumerate(node.value)]
    if isinstance(node, ScalarNode) and kind in _TEXT_TAGS:
        return _scalar(kind, node.value)
    document.refuse("yaml.tag", f"the tag {node.tag} is not supported", "remove the tag", line)
    return None


def _mapping(node: MappingNode, path: Path, document: Document) -> dict[str, Data]:
    found: dict[str, Data] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if str(key_node.tag) == _CORE + "merge":
            document.refuse("yaml.merge", "the merge key << is not supported", "write the values out", line)
        elif not isinstance(key_node, ScalarNode):
            document.refuse("key.type", "a key is a list or a mapping", "keys are plain words", line, path)
        elif key_node.value in found:
            name, first = key_node.value, document.lines[(*path, key_node.value)]
            sentence = f"the key {name!r} is given twice, first on line {first}"
            document.refuse("key.duplicate", sentence, "keep one of them", line, (*path, name))
        else:
            inner = (*path, key_node.value)
            document.lines[inner] = line
            found[key_node.value] = _value(value_node, inner, document)
    return found


def _scalar(kind: str, text: str) -> Data:
    if kind == "null":
        return None
    if kind == "bool" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if kind in ("int", "float"):
        return _number(kind, text.replace("_", ""), text)
    return text


def _number(kind: str, digits: str, text: str) -> int | float | str:
    """The number that the text means; what only old YAML reads as a number (1:30) stays text, as do inf and nan."""
    try:
        if kind == "int":
            return int(digits, 10 if re.fullmatch(r"[-+]?\d+", digits) else 0)
        number = float(digits)
    except ValueError:
        return text
    return number if math.isfinite(number) else text
