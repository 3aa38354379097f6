"""A `config.json` read key by key, strictly: every fault names the file, the key, what was given and what is allowed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tapeout.errors import Place, UnsupportedModelError, did_you_mean

MOST_LAYERS = 4096
"""More layers than any model has; keeps a broken file from being unrolled."""
_MOST = 2**40
_LARGEST_FILE = 4_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """The keys of one table of a `config.json`; `path` is where the table stands, empty at the top.

    A key that is null counts as absent, as it does in the files themselves.
    """

    values: Mapping[str, Any]
    file: str
    path: str = ""

    def fault(
        self, key: str, what: str, *, given: object = None, allowed: str | None = None, hint: str | None = None
    ) -> UnsupportedModelError:
        """The error that says `what` is wrong with `key`."""
        where = f"{self.path}.{key}" if self.path else key
        return UnsupportedModelError(what, place=Place(file=self.file, path=where), given=given, allowed=allowed, hint=hint)

    def has(self, key: str) -> bool:
        """Whether `key` is given and not null."""
        return self.values.get(key) is not None

    def either(self, *keys: str) -> str:
        """The first of `keys` that is given, the first of all where none is: for a key that has gone by several names."""
        return next((key for key in keys if self.has(key)), keys[0])

    def whole(self, key: str, default: int | None = None, *, least: int = 1, most: int = _MOST) -> int:
        """The whole number at `key`; `default` where it is absent, which is an error where there is no default."""
        given = self._required(key) if default is None else self.values.get(key)
        if given is None and default is not None:
            return default
        if type(given) is not int or not least <= given <= most:
            raise self.fault(key, "impossible value", given=given, allowed=f"a whole number from {least} to {most}")
        return given

    def fraction(self, key: str) -> float:
        """The number at `key`, which lies between 0 and the largest count."""
        given = self._required(key)
        if type(given) not in (int, float) or not 0 < given <= _MOST:
            raise self.fault(key, "impossible value", given=given, allowed=f"a number above 0, up to {_MOST}")
        return float(given)

    def flag(self, key: str, default: bool) -> bool:
        """The truth value at `key`."""
        given = self.values.get(key)
        if given is None:
            return default
        if type(given) is not bool:
            raise self.fault(key, "wrong type", given=given, allowed="true or false")
        return given

    def word(self, key: str, default: str | None = None) -> str:
        """The text at `key`."""
        given = self._required(key) if default is None else self.values.get(key)
        if given is None and default is not None:
            return default
        if type(given) is not str:
            raise self.fault(key, "wrong type", given=given, allowed="text")
        return given

    def one_per_layer(self, key: str, layers: int, allowed: Sequence[Any], *, longer: bool = False) -> list[Any]:
        """The list at `key`, which has one of the `allowed` values for each of `layers` layers; what is `longer` may be cut."""
        given = self._entries(key, layers, longer=longer)
        for entry in given:
            # 1 and true are equal in Python, and not in a file.
            if not any(type(entry) is type(word) and entry == word for word in allowed):
                raise self.fault(key, "unknown kind of layer", given=entry, allowed=", ".join(str(word) for word in allowed))
        return given

    def _entries(self, key: str, layers: int, *, longer: bool) -> list[Any]:
        given = self._required(key)
        if type(given) is not list:
            raise self.fault(key, "wrong type", given=given, allowed="a list with one entry a layer")
        if longer:
            given = given[:layers]
        if len(given) != layers:
            raise self.fault(key, "wrong length", given=len(given), allowed=f"one entry for each of the {layers} layers")
        return given

    def wholes(self, key: str) -> list[int]:
        """The list of whole numbers from 0 on at `key`, empty where it is absent."""
        given = self.values.get(key)
        if given is None:
            return []
        if type(given) is not list or not all(type(entry) is int and entry >= 0 for entry in given):
            raise self.fault(key, "wrong type", given=given, allowed="a list of whole numbers from 0 on")
        return given

    def tables(self, key: str, layers: int) -> list[Configuration]:
        """The list at `key`, which has a table for each of `layers` layers."""
        given, path = self._entries(key, layers, longer=False), f"{self.path}.{key}" if self.path else key
        for entry in given:
            if not isinstance(entry, dict):
                raise self.fault(key, "wrong type", given=entry, allowed="a list with one table a layer")
        return [Configuration(values=entry, file=self.file, path=f"{path}[{index}]") for index, entry in enumerate(given)]

    def table(self, key: str) -> Configuration:
        """The table at `key`."""
        given = self._required(key)
        if not isinstance(given, dict):
            raise self.fault(key, "wrong type", given=given, allowed="a table")
        return Configuration(values=given, file=self.file, path=f"{self.path}.{key}" if self.path else key)

    def _required(self, key: str) -> Any:
        given = self.values.get(key)
        if given is None:
            raise self.fault(key, "missing key", hint=did_you_mean(key, [name for name in self.values if name != key]))
        return given


def read_configuration(path: Path) -> Configuration:
    """The `config.json` at `path`, or in the folder `path`; raises UnsupportedModelError where it cannot be read as one."""
    file = path / "config.json" if os.path.isdir(path) else path
    place = Place(file=str(file))
    try:
        if file.stat().st_size > _LARGEST_FILE:
            raise UnsupportedModelError("too large for a config.json", place=place, allowed=f"at most {_LARGEST_FILE} bytes")
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise UnsupportedModelError("cannot read the file", place=place, hint=error.strerror) from error
    except UnicodeDecodeError as error:
        raise UnsupportedModelError("not UTF-8 text", place=place) from error
    except ValueError as error:  # a path that no file can have
        raise UnsupportedModelError("cannot read the file", place=place, hint=str(error)) from error
    if not text.strip():
        raise UnsupportedModelError("the file is empty", place=place, allowed="the config.json of a model")
    try:
        values = json.loads(text, object_pairs_hook=lambda pairs: _table_of(pairs, place))
    except json.JSONDecodeError as error:
        where = Place(file=str(file), line=error.lineno, column=error.colno)
        raise UnsupportedModelError(f"not valid JSON: {error.msg}", place=where) from error
    except (ValueError, RecursionError) as error:  # a number of too many digits, tables nested too deep
        raise UnsupportedModelError("not valid JSON", place=place, hint=str(error)) from error
    if not isinstance(values, dict):
        raise UnsupportedModelError("wrong type", place=place, given=type(values).__name__, allowed="a table, the config.json of a model")
    return Configuration(values=values, file=str(file))


def _table_of(pairs: list[tuple[str, Any]], place: Place) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        twice = next(key for key, _ in pairs if sum(key == other for other, _ in pairs) > 1)
        raise UnsupportedModelError("the key is given twice", place=Place(file=place.file, path=twice))
    return table
