"""One exception tree; each error says what was wrong, where, what was given, what is allowed, and how to mend it.

Only `cli` turns an error into an exit code (`exit_code` below); every other part raises.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

SHORTEST_PART, MOST_PROPOSED = 3, 4
"""Letters that a part of a name needs to be looked for in the names, and names that a hint proposes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in a file something stands: `line` and `column` count from 1, `path` is the field, such as `sites.abilene.power`."""

    file: str
    line: int | None = None
    column: int | None = None
    path: str = ""
    excerpt: str = ""

    def __str__(self) -> str:
        position = "".join(f":{number}" for number in (self.line, self.column) if number is not None)
        return f"{self.file}{position}" + (f": {self.path}" if self.path else "")

    def caret(self) -> str:
        """The source line with a caret under the column, or an empty string where the text is not at hand."""
        if not self.excerpt or self.column is None:
            return ""
        return f"\n    {self.excerpt}\n    {' ' * (self.column - 1)}^"


class TapeoutError(Exception):
    """Top of the tree: something that the user can understand and act on."""

    exit_code: ClassVar[int] = 1


class InputError(TapeoutError):
    """Bad input: `what` is wrong at `place`, `given` was found, `allowed` would be right, `hint` says how to mend it."""

    exit_code: ClassVar[int] = 2

    def __init__(
        self,
        what: str,
        *,
        place: Place | None = None,
        given: object = None,
        allowed: str | Iterable[str] | None = None,
        hint: str | None = None,
    ) -> None:
        self.what, self.place, self.given, self.hint = what, place, given, hint
        self.allowed = allowed if allowed is None or isinstance(allowed, str) else ", ".join(allowed)
        super().__init__(self._text())

    def _text(self) -> str:
        parts = [f"{self.place}: {self.what}" if self.place else self.what]
        if self.given is not None:
            parts.append(f"given {self.given!r}" if isinstance(self.given, str) else f"given {self.given}")
        if self.allowed:
            parts.append(f"allowed: {self.allowed}")
        text = ", ".join(parts)
        if self.hint:
            text += f"; {self.hint}"
        return text + (self.place.caret() if self.place else "")

    def at(self, place: Place) -> InputError:
        """The same error, said of `place`; a place that is already known is kept."""
        if self.place is not None:
            return self
        return type(self)(self.what, place=place, given=self.given, allowed=self.allowed, hint=self.hint)


class SeveralInputError(InputError):
    """Several faults of one file: the first in full, then the others in a line each, at most `shown` in all."""

    def __init__(self, errors: Sequence[InputError], *, shown: int = 10) -> None:
        self.errors = tuple(errors)
        self.shown = shown
        first = self.errors[0]
        super().__init__(first.what, place=first.place, given=first.given, allowed=first.allowed, hint=first.hint)

    def _text(self) -> str:
        others = [str(error).splitlines()[0] for error in self.errors[1 : self.shown]]
        more = len(self.errors) - 1 - len(others)
        tail = [f"and {more} more"] if more else []
        return "\n".join([str(self.errors[0]), f"{len(self.errors) - 1} further fault(s):", *(f"  {line}" for line in (*others, *tail))])

    def at(self, place: Place) -> InputError:
        """Itself: each of its errors knows its own place."""
        return self


class UnitError(InputError):
    """A quantity with a missing, unknown or wrong unit, or one that is not a finite number."""


class FactError(InputError):
    """A fact file that does not follow its form: unknown field, missing source, range that excludes the value."""


class UnknownNameError(InputError):
    """A name that nothing carries: a chip, a model, a source, a site."""


class UnsupportedModelError(InputError):
    """A model whose family or operators are not modelled, or whose configuration is incomplete or impossible."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """A constraint that takes part in a conflict: its `kind`, such as allocation, and whose it is; a budget is nobody's."""

    kind: str
    item: str = ""

    def __str__(self) -> str:
        return f"{self.kind} of {self.item}" if self.item else self.kind


class InfeasibleError(InputError):
    """A plan that cannot exist; the message names the constraints in conflict, and `conflicts` has them for whoever knows their lines."""

    def __init__(
        self,
        what: str,
        *,
        place: Place | None = None,
        given: object = None,
        allowed: str | Iterable[str] | None = None,
        hint: str | None = None,
        conflicts: Sequence[Conflict] = (),
    ) -> None:
        self.conflicts = tuple(conflicts)
        super().__init__(what, place=place, given=given, allowed=allowed, hint=hint)

    def at(self, place: Place) -> InfeasibleError:
        """The same error, said of `place`; a place that is already known is kept."""
        if self.place is not None:
            return self
        return InfeasibleError(self.what, place=place, given=self.given, allowed=self.allowed, hint=self.hint, conflicts=self.conflicts)


class UnsupportedTrialError(TapeoutError):
    """A measurement that this device or its software cannot run; the message says why, and the others go on."""


class LimitNotMetError(TapeoutError):
    """Everything was valid, but a limit (a latency, a gap, a share of answered cases) was not met."""

    exit_code: ClassVar[int] = 3


class CancelledError(TapeoutError):
    """The user stopped the run."""

    exit_code: ClassVar[int] = 130


def closest(word: str, options: Iterable[str]) -> str | None:
    """The option nearest in spelling to `word`, in any case and with or without its publisher, or None where none is near.

    >>> closest("nvidia-h100-smx", ["nvidia-h100-sxm", "nvidia-h100-pcie"])
    'nvidia-h100-sxm'
    >>> closest("llama 3.1 70b", ["meta-llama/Llama-3.1-70B", "Qwen/Qwen3-8B"])
    'meta-llama/Llama-3.1-70B'
    """
    spellings = {form: option for option in options for form in (option.rpartition("/")[2].lower(), option.lower())}
    near = difflib.get_close_matches(word.lower(), list(spellings), n=1, cutoff=0.6)
    return spellings[near[0]] if near else None


def did_you_mean(word: str, options: Iterable[str]) -> str | None:
    """The hint for a misspelt or a shortened name, or None.

    >>> did_you_mean("modles", ["models", "sites"])
    'did you mean models?'
    >>> did_you_mean("H100", ["nvidia-h100-sxm", "nvidia-h100-pcie", "amd-mi300x"])
    'did you mean nvidia-h100-sxm or nvidia-h100-pcie?'
    """
    names = list(options)
    # A name that holds the whole word is nearer than one that differs by a letter.
    holding = [name for name in names if len(word) >= SHORTEST_PART and word.lower() in name.lower()]
    near = None if holding else closest(word, names)
    found = [near] if near else holding[:MOST_PROPOSED]
    return f"did you mean {' or '.join(found)}?" if found else None
