"""Where in a scenario's file the constraints stand that no plan can meet together."""

from __future__ import annotations

from tapeout.errors import Conflict, InfeasibleError
from tapeout.scenario.document import Document, Location

PLACES: dict[str, Location] = {
    "demand": ("models", "", "demand"),
    "allocation": ("contracts", "", "allocation"),
    "programme": ("contracts", "", "programme"),
    "site power": ("sites", "", "available"),
    "available power": ("sites", "", "available"),
    "largest share": ("finance", "largest_supplier_share"),
    "concentration": ("finance", "concentration"),
    "budget": ("finance", "budget"),
}
"""The place of each kind of constraint; an empty step is the item's name."""


def located(document: Document, error: InfeasibleError) -> InfeasibleError:
    """The error with the lines of all its conflicts, said of the first."""
    found = [document.key_place(_location(one)) for one in error.conflicts if one.kind in PLACES]
    if not found:
        return error
    lines = ", ".join(f"{place.path} (line {place.line})" for place in found)
    hint = f"{error.hint}; see {lines}" if error.hint else f"see {lines}"
    return InfeasibleError(
        error.what, place=error.place or found[0], given=error.given, allowed=error.allowed, hint=hint, conflicts=error.conflicts
    )


def _location(conflict: Conflict) -> Location:
    return tuple(step or conflict.item for step in PLACES[conflict.kind])
