"""A YAML 1.2 file as plain data with the position of every key and value, read so that no file can do harm.

Only mappings with text keys, lists and plain scalars come out. Tags, merge keys, duplicate keys and further documents are
refused; aliases are followed within a budget, so neither a cycle nor a "billion laughs" file can grow.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

from tapeout.errors import InputError, Place
from tapeout.scenario.nodes import Mark, Node, TreeBuilder, place_at

LARGEST_FILE = 2**20

Location = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """Plain `data` of a file with the marks of its keys and values by location, such as `("sites", "abilene", "pue")`."""

    file: str
    lines: tuple[str, ...]
    data: dict[str, Any]
    keys: dict[Location, Mark]
    values: dict[Location, Mark]

    def key_place(self, location: Location) -> Place:
        """Where the key at `location` stands; where there is none, the key around it, always with the full path."""
        nearest = (self.keys.get(location[:length]) for length in range(len(location), 0, -1))
        return self._place(location, next((mark for mark in nearest if mark), Mark(1, 1)))

    def value_place(self, location: Location) -> Place:
        """Where the value at `location` stands; where there is none, the key around it, always with the full path."""
        return self._place(location, self.values[location]) if location in self.values else self.key_place(location)

    def _place(self, location: Location, mark: Mark) -> Place:
        return place_at(self.file, self.lines, mark, dotted(location))


def dotted(location: Location) -> str:
    """A location as text.

    >>> dotted(("contracts", "h100", "sites", 0))
    'contracts.h100.sites[0]'
    """
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location).removeprefix(".")


def read_document(path: Path) -> Document:
    """The document in the file at `path`; raises InputError, with the place, for anything but one small, plain YAML mapping."""
    return parse_document(_text(path), str(path))


def parse_document(text: str, file: str) -> Document:
    """The document in `text`, said to stand in `file`; raises InputError as `read_document` does."""
    lines = tuple(re.split(r"\r\n|\r|\n", text))
    try:
        root = TreeBuilder(file=file, lines=lines).document(YAML(typ="safe", pure=True).parse(text))
    except MarkedYAMLError as error:
        raise _syntax(error, file, lines) from error
    except ReaderError as error:
        mark = _position(text, error.position)
        raise InputError(
            "a character that YAML does not allow", place=place_at(file, lines, mark), given=f"U+{error.character:04X}"
        ) from error
    except (YAMLError, ValueError) as error:
        raise InputError("not valid YAML", place=Place(file=file), hint=str(error).splitlines()[0]) from error
    if root is None or root.value is None:
        raise InputError("the file is empty", place=Place(file=file), allowed="a mapping, one `key: value` a line")
    if not isinstance(root.value, dict):
        raise InputError("the file is not a mapping", place=place_at(file, lines, root.mark), allowed="one `key: value` a line")
    keys, values = dict[Location, Mark](), dict[Location, Mark]()
    return Document(file=file, lines=lines, data=_flatten(root, (), keys, values), keys=keys, values=values)


def _flatten(node: Node, location: Location, keys: dict[Location, Mark], values: dict[Location, Mark]) -> Any:
    values[location] = node.mark
    if isinstance(node.value, list):
        return [_flatten(item, (*location, index), keys, values) for index, item in enumerate(node.value)]
    if not isinstance(node.value, dict):
        return node.value
    keys |= {(*location, key): mark for key, (mark, _) in node.value.items()}
    return {key: _flatten(item, (*location, key), keys, values) for key, (_, item) in node.value.items()}


def _text(path: Path) -> str:
    place = Place(file=str(path))
    try:
        with path.open("rb") as stream:
            raw = stream.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError("cannot read the file", place=place, hint=reason[0].lower() + reason[1:]) from error
    if len(raw) > LARGEST_FILE:
        raise InputError("the file is too large", place=place, allowed=f"at most {LARGEST_FILE} bytes")
    if b"\0" in raw:
        raise InputError("not a text file", place=place, hint="a YAML file is UTF-8 text")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InputError("not UTF-8 text", place=Place(file=str(path), line=line), given=f"byte 0x{raw[error.start]:02X}") from error


def _position(text: str, offset: int) -> Mark:
    before = text[:offset]
    return Mark(before.count("\n") + 1, offset - before.rfind("\n"))


def _syntax(error: MarkedYAMLError, file: str, lines: tuple[str, ...]) -> InputError:
    mark = error.problem_mark or error.context_mark
    problem = (error.problem or error.context or "not valid YAML").replace("\t", "tab")
    if mark is None:
        return InputError(f"not valid YAML: {problem}", place=Place(file=file))
    line = lines[mark.line] if mark.line < len(lines) else ""
    tab = "\t" in line[: mark.column + 1]
    hint = "indent with spaces, not with tabs" if tab else "look at the colons, quotes and indentation just before this place"
    return InputError(f"not valid YAML: {problem}", place=place_at(file, lines, Mark(mark.line + 1, mark.column + 1)), hint=hint)
