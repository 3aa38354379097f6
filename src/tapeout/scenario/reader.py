"""One strict reader for scenarios: what it returns is complete, consistent and known to lead somewhere."""

from __future__ import annotations

from pathlib import Path

from tapeout.scenario.document import Document, read_document
from tapeout.scenario.references import faults
from tapeout.scenario.schema import Scenario
from tapeout.scenario.validation import in_one, validated


def read(path: Path | str) -> Scenario:
    """The scenario in the YAML file at `path`.

    Raises InputError with file, line, column, path in the file, what was given and what is allowed; several faults come as one
    SeveralInputError, in order of the file.
    """
    return scenario_of(read_document(Path(path)))


def scenario_of(document: Document) -> Scenario:
    """The scenario that `document` spells; raises as `read` does."""
    year = document.data.get("currency_year")
    scenario = validated(Scenario, document, {"currency_year": year if isinstance(year, int) else None})
    if found := faults(scenario, document):
        raise in_one(found)
    return scenario
