"""A document checked against a pydantic model: every fault becomes an InputError with its place, all of them in one message."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tapeout.errors import InputError, SeveralInputError, did_you_mean
from tapeout.scenario.document import Document, Location

Model = TypeVar("Model", bound=BaseModel)

MOST_ERRORS = 10

_EXPECTED = {
    "model_type": "a mapping, one `key: value` a line", "model_attributes_type": "a mapping, one `key: value` a line",
    "dict_type": "a mapping, one `key: value` a line", "tuple_type": "a list", "list_type": "a list", "string_type": "text",
    "int_type": "a whole number", "bool_type": "true or false",
}  # fmt: skip


def validated(model: type[Model], document: Document, context: Mapping[str, Any] | None = None) -> Model:
    """The document as `model`; raises InputError with place, or SeveralInputError for several faults, in order of the file."""
    try:
        return model.model_validate(document.data, context=dict(context or {}))
    except ValidationError as error:
        schema = model.model_json_schema(by_alias=True)
        found = [_input_error(details, document, schema) for details in error.errors(include_url=False, include_input=True)]
        raise in_one(found) from error


def in_one(errors: Iterable[InputError]) -> InputError:
    """One error for all: itself where there is one, else a SeveralInputError in order of the file, at most `MOST_ERRORS` shown.

    A fault that is found again at the same place, as through an alias, counts once.
    """
    found = {(_position(error), error.what): error for error in sorted(errors, key=_position, reverse=True)}
    ordered = sorted(found.values(), key=_position)
    return ordered[0] if len(ordered) == 1 else SeveralInputError(ordered, shown=MOST_ERRORS)


def _position(error: InputError) -> tuple[int, int]:
    return (error.place.line or 0, error.place.column or 0) if error.place else (0, 0)


def _input_error(details: ErrorDetails, document: Document, schema: dict[str, Any]) -> InputError:
    kind, context = details["type"], details.get("ctx", {})
    given = details["input"]
    location = _in_document(details["loc"], document.data)
    if kind == "tapeout":
        error: InputError = context["error"]
        location = (*location, *context["below"])
        at_key = details["loc"][-1:] == ("[key]",) or error.what.startswith("unknown key") or error.what == "a date out of order"
        return error.at(document.key_place(location) if at_key else document.value_place(location))
    if kind == "extra_forbidden":
        known = _known_keys(schema, details["loc"])
        hint = did_you_mean(str(location[-1]), known)
        return InputError("unknown key", place=document.key_place(location), given=str(location[-1]), allowed=known, hint=hint)
    if kind == "missing":
        return InputError("missing key", place=document.key_place(location))
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        tag = str(context["discriminator"]).strip("'")
        words = re.findall(r"'([^']*)'", str(context.get("expected_tags", "")))
        if kind == "union_tag_not_found":
            if not isinstance(given, Mapping):
                return _wrong_type(given, _EXPECTED["dict_type"], document, location)
            return InputError("missing key", place=document.key_place((*location, tag)), allowed=_tags(schema, details["loc"]))
        return _unknown_word(str(context["tag"]), words, document, (*location, tag))
    if kind in ("enum", "literal_error"):
        words = re.findall(r"'([^']*)'", str(context["expected"])) or [str(context["expected"])]
        return _unknown_word(given, words, document, location)
    if kind in _EXPECTED:
        return _wrong_type(given, _EXPECTED[kind], document, location)
    return InputError(_lower(details["msg"]), place=document.value_place(location), given=_short(given))


def _wrong_type(given: object, allowed: str, document: Document, location: Location) -> InputError:
    return InputError("wrong type", place=document.value_place(location), given=_short(given), allowed=allowed)


def _unknown_word(given: object, words: list[str], document: Document, location: Location) -> InputError:
    hint = did_you_mean(given, words) if isinstance(given, str) else None
    return InputError("unknown word", place=document.value_place(location), given=_short(given), allowed=words, hint=hint)


def _short(given: object) -> object:
    if given is None:
        return "nothing"
    return "a mapping" if isinstance(given, Mapping) else "a list" if isinstance(given, list) else given


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _in_document(steps: tuple[str | int, ...], data: Any) -> Location:
    """The location in the file of a pydantic one, which also names the arms of unions on the way."""
    location: list[str | int] = []
    for position, step in enumerate(steps):
        inside = step in data if isinstance(data, Mapping) else isinstance(data, list) and isinstance(step, int) and step < len(data)
        if inside:
            data = data[step]
        elif position < len(steps) - 1 or step == "[key]" or not isinstance(data, Mapping):
            continue
        location.append(step)
    return tuple(location)


def _resolved(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    while True:
        node = next((arm for arm in node.get("anyOf", ()) if "$ref" in arm), node)  # of a section that may be left out
        if "$ref" not in node:
            return node
        node = schema["$defs"][node["$ref"].rsplit("/", 1)[-1]]


def _node(schema: dict[str, Any], steps: tuple[str | int, ...]) -> dict[str, Any]:
    node = schema
    for step in steps:
        node = _resolved(node, schema)
        arms = node.get("discriminator", {}).get("mapping", {})
        if step in arms:
            node = {"$ref": arms[str(step)]}
        elif step in node.get("properties", {}):
            node = node["properties"][step]
        else:
            inner: Any = node.get("items") or node.get("additionalProperties") or next(iter(node.get("patternProperties", {}).values()), {})
            node = inner if isinstance(inner, dict) else {}
    return _resolved(node, schema)


def _known_keys(schema: dict[str, Any], steps: tuple[str | int, ...]) -> list[str]:
    return list(_node(schema, steps[:-1]).get("properties", {}))


def _tags(schema: dict[str, Any], steps: tuple[str | int, ...]) -> list[str]:
    return list(_node(schema, steps).get("discriminator", {}).get("mapping", {}))
