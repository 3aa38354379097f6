"""YAML parser events to a tree of plain values with positions, within a budget of depth and size."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceStartEvent,
)

from tapeout.errors import InputError, Place

LARGEST_TREE = 20_000
DEEPEST = 32
WIDEST_EXCERPT = 200

Scalar = str | int | float | bool | None

_INTEGER = re.compile(r"[-+]?[0-9]{1,300}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
}


@dataclass(frozen=True, slots=True)
class Mark:
    """A position in a file; both numbers count from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Node:
    """A value with its mark: a scalar, a list of nodes, or a dict of key to (mark of the key, node); `size` counts the nodes in it."""

    value: Any
    mark: Mark
    size: int = 1


def place_at(file: str, lines: tuple[str, ...], mark: Mark, path: str = "") -> Place:
    """The place of `mark`, with its line as excerpt where that line is short enough to show."""
    line = lines[mark.line - 1] if mark.line <= len(lines) else ""
    shown = "".join(letter if letter.isprintable() else " " for letter in line[:WIDEST_EXCERPT])
    return Place(file=file, line=mark.line, column=mark.column, path=path, excerpt=shown if mark.column <= len(shown) + 1 else "")


def scalar(text: str) -> Scalar:
    """The value of a plain scalar by the YAML 1.2 core schema; anything that is no number, truth value or null is text.

    >>> [scalar(text) for text in ("12", "1e3", "true", "yes", "2023Q4", "~")]
    [12, 1000.0, True, 'yes', '2023Q4', None]
    """
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


@dataclass(slots=True)
class TreeBuilder:
    """Builds the tree of one document; `anchors` maps a name to its node, or to None while that node is still open."""

    file: str
    lines: tuple[str, ...]
    anchors: dict[str, Node | None] = field(default_factory=dict)
    built: int = 0

    def document(self, events: Iterator[Event]) -> Node | None:
        """The root of the only document, or None for an empty file; raises InputError for what a plain document may not hold."""
        root = None
        for event in events:
            if isinstance(event, DocumentStartEvent) and (root is not None or event.version not in (None, (1, 2)) or event.tags):
                what = "a second document in the file" if root is not None else "a directive that is not understood"
                raise self._refused(what, event, "one YAML 1.2 document without directives")
            if isinstance(event, NodeEvent):
                root = self._node(event, events, 0)
        return root

    def _node(self, event: Event, events: Iterator[Event], depth: int) -> Node:
        self.built += 1
        if self.built > LARGEST_TREE:
            raise self._refused("the file holds too many values", event, f"at most {LARGEST_TREE}")
        if depth > DEEPEST:
            raise self._refused("the file is nested too deeply", event, f"at most {DEEPEST} levels")
        if isinstance(event, AliasEvent):
            return self._alias(event)
        if getattr(event, "tag", None) is not None:
            raise self._refused("a tag", event, "plain values without tags", given=str(event.tag))  # type: ignore[attr-defined]
        anchor = getattr(event, "anchor", None)
        if anchor:
            self.anchors[anchor] = None
        node = self._value(event, events, depth)
        if anchor:
            self.anchors[anchor] = node
        return node

    def _alias(self, event: AliasEvent) -> Node:
        if event.anchor not in self.anchors:
            raise self._refused("an alias without an anchor before it", event, sorted(self.anchors), given=str(event.anchor))
        node = self.anchors[event.anchor]
        if node is None:
            raise self._refused("an alias that contains itself", event, "no cycle", given=str(event.anchor))
        self.built += node.size - 1
        if self.built > LARGEST_TREE:
            raise self._refused("aliases expand to too many values", event, f"at most {LARGEST_TREE} values in the whole file")
        return node

    def _value(self, event: Event, events: Iterator[Event], depth: int) -> Node:
        mark = _mark(event)
        if isinstance(event, ScalarEvent):
            text = str(event.value)
            if any("\ud800" <= letter <= "\udfff" for letter in text):
                raise self._refused("half of a character (a lone surrogate)", event, "whole Unicode characters")
            return Node(scalar(text) if event.style is None else text, mark)
        if isinstance(event, SequenceStartEvent):
            items = [self._node(item, events, depth + 1) for item in _until_end(events)]
            return Node(items, mark, 1 + sum(item.size for item in items))
        assert isinstance(event, MappingStartEvent)  # noqa: S101
        entries = dict[str, tuple[Mark, Node]]()
        for key in _until_end(events):
            if not isinstance(key, ScalarEvent):
                raise self._refused("a key that is not plain text", key, "text such as name")
            name = str(key.value)
            if name == "<<" and key.style is None:
                raise self._refused("a merge key", key, "write the entries out", given=name)
            if name in entries:
                first = entries[name][0].line
                raise self._refused("a key that is there twice", key, f"each key once (it first stands in line {first})", given=name)
            entries[name] = (_mark(key), self._node(next(events), events, depth + 1))
        return Node(entries, mark, 1 + sum(node.size for _, node in entries.values()))

    def _refused(self, what: str, event: Event, allowed: str | list[str], given: str | None = None) -> InputError:
        return InputError(what, place=place_at(self.file, self.lines, _mark(event)), given=given, allowed=allowed)


def _until_end(events: Iterator[Event]) -> Iterator[Event]:
    for event in events:
        if isinstance(event, CollectionEndEvent):
            return
        yield event


def _mark(event: Event) -> Mark:
    return Mark(event.start_mark.line + 1, event.start_mark.column + 1)
