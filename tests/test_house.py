"""The house rules over the whole tree. Each rule is a function that lists offenders, and is seen to fail once on a broken copy."""

import ast
import csv
import dataclasses
import importlib
import importlib.util
import pkgutil
import re
import tomllib
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pytest

import tapeout
from tapeout.errors import UnitError
from tapeout.provenance import Grade, Sourced
from tapeout.scenario.assumption import GUESS
from tapeout.units import Bytes, Unit, Watts, scale_and_dimension

SOURCE = Path(tapeout.__file__).parent
ROOT = SOURCE.parent.parent
DATA = SOURCE / "data"
LONGEST_MODULE = 400
VAGUE = {"utils", "util", "common", "helpers", "helper", "core", "misc", "base"}
# Whole numbers that a table may state without a source: they count, index or identify, they measure nothing.
COUNTS = {
    "chips": "how many chips a server of this form holds",
    "currency_year": "part of a datum's provenance",
    "defect_year": "the date for which a defect density holds, part of its provenance",
    "dies": "how many dies the package holds, part of its name",
    "domain": "how many chips the fabric of this product joins, part of its name",
    "year": "a date, like one written out as text",
}
# Sources that nothing cites in the tree, each with its reason.
FOR_OTHERS = {"user-supplied": "cited by chip files that users write"}
WITH_TORCH = "tapeout.calibration.benchmark_torch"  # needs an extra
# Mutable state lives inside the simulator, the solver, and the builder that a parser feeds.
MUTABLE = ("tapeout.serving.", "tapeout.sourcing.", "tapeout.appraisal.walk.Walk", "tapeout.scenario.nodes.TreeBuilder")
CITATION = re.compile(r"\[([a-z][a-z0-9]*(?:-[a-z0-9]+)*), (?:eq\.|p\.|table |fig\.|sec\.|ch\.|§)")
QUANTITY = re.compile(r"\s*[+-]?[\d_]*\.?\d[\d_]*(?:[eE][+-]?\d+)?\s*(\S.*?)?\s*$")


def modules(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*.py") if "__pycache__" not in path.parts)


# ---------------------------------------------------------------- rule 1: modules stay short and have names that say what they hold


def long_modules(root: Path) -> list[str]:
    return [path.name for path in modules(root) if len(path.read_text().splitlines()) > LONGEST_MODULE]


def vague_names(root: Path) -> list[str]:
    return [str(path.relative_to(root)) for path in modules(root) if VAGUE & {path.stem, *path.relative_to(root).parts[:-1]}]


def test_no_module_is_long() -> None:
    assert long_modules(SOURCE) == []


def test_no_module_has_a_vague_name() -> None:
    assert vague_names(SOURCE) == []


def test_a_long_and_a_vague_module_are_found(tmp_path: Path) -> None:
    (tmp_path / "helpers").mkdir()
    (tmp_path / "helpers" / "fine.py").write_text("x = 1\n" * LONGEST_MODULE)
    (tmp_path / "long.py").write_text("x = 1\n" * (LONGEST_MODULE + 1))
    assert long_modules(tmp_path) == ["long.py"]
    assert vague_names(tmp_path) == ["helpers/fine.py"]


# ---------------------------------------------------------------- rule 2: the `__init__` of a part holds one docstring


def talkative_parts(root: Path) -> list[str]:
    offenders = []
    for path in sorted(root.glob("*/**/__init__.py")):
        body = ast.parse(path.read_text()).body
        only_a_docstring = len(body) == 1 and isinstance(body[0], ast.Expr) and isinstance(getattr(body[0].value, "value", None), str)
        if not only_a_docstring:
            offenders.append(path.parent.name)
    return offenders


def test_every_part_is_introduced_by_exactly_a_docstring() -> None:
    assert talkative_parts(SOURCE) == []


@pytest.mark.parametrize("text", ["", "import os\n", '"""Part."""\nfrom x import y\n', "1\n"])
def test_a_part_with_more_or_less_is_found(tmp_path: Path, text: str) -> None:
    for name, content in (("good", '"""A part."""\n'), ("bad", text)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(content)
    assert talkative_parts(tmp_path) == ["bad"]


# ---------------------------------------------------------------- rule 3: a float field of a dataclass states its unit


def is_bare(hint: Any) -> bool:
    """Whether a float without a unit stands anywhere in this annotation."""
    if hint is float or hint is complex:
        return True
    if get_origin(hint) is Annotated:
        held, *extras = get_args(hint)
        return is_bare(held) and not any(isinstance(extra, Unit) for extra in extras)
    return any(is_bare(part) for part in flattened(get_args(hint)))


def flattened(parts: Any) -> Iterator[Any]:
    for part in parts:
        if isinstance(part, list):  # the arguments of a Callable
            yield from flattened(part)
        else:
            yield part


def bare_floats(cls: type) -> list[str]:
    hints = get_type_hints(cls, include_extras=True)
    return [f"{cls.__module__}.{cls.__name__}.{field.name}" for field in dataclasses.fields(cls) if is_bare(hints[field.name])]


def all_dataclasses() -> list[type]:
    names = [tapeout.__name__, *(info.name for info in pkgutil.walk_packages(tapeout.__path__, f"{tapeout.__name__}."))]
    found = []
    for name in names:
        if name.endswith(".__main__"):  # would run the program
            continue
        if name.startswith(WITH_TORCH) and importlib.util.find_spec("torch") is None:
            continue
        module = importlib.import_module(name)
        found += [
            member
            for member in vars(module).values()
            if isinstance(member, type) and dataclasses.is_dataclass(member) and member.__module__ == name
        ]
    return found


def test_no_dataclass_has_a_float_without_a_unit() -> None:
    classes = all_dataclasses()
    assert len(classes) > 10
    assert [offender for cls in classes for offender in bare_floats(cls)] == []


def test_every_float_without_a_unit_is_found_and_no_other() -> None:
    broken = {
        "a": float,
        "b": float | None,
        "c": tuple[float, ...],
        "d": dict[str, list[float]],
        "e": Sourced[float],
        "f": Annotated[float, "watts"],
        "g": typing.Callable[[float], int],
        "h": complex,
        "i": typing.Optional[float],  # noqa: UP045 - the older spelling is to be found too
    }
    sound = {"j": Watts, "k": Sourced[Watts], "l": dict[str, tuple[Bytes, ...]], "m": int, "n": Watts | None, "o": str, "p": types.NoneType}
    cls = dataclasses.make_dataclass("Sample", [*broken.items(), *sound.items()])
    assert [name.rsplit(".")[-1] for name in bare_floats(cls)] == list(broken)


def test_dataclasses_are_frozen_and_slotted_values() -> None:
    def mutable(cls: type) -> bool:
        return not (cls.__dataclass_params__.frozen and "__slots__" in vars(cls))  # type: ignore[attr-defined]

    offenders = [f"{cls.__module__}.{cls.__name__}" for cls in all_dataclasses() if mutable(cls)]
    assert mutable(dataclasses.make_dataclass("Sample", ["a"]))
    assert [name for name in offenders if not name.startswith(MUTABLE)] == []


# ---------------------------------------------------------------- rule 4: sources are known, used, and behind every number


def cited_in(table: Any) -> set[str]:
    """The ids under every key `source` at any depth of a parsed TOML table."""
    if isinstance(table, list):
        return {found for item in table for found in cited_in(item)}
    if not isinstance(table, dict):
        return set()
    own = {table["source"]} if isinstance(table.get("source"), str) else set()
    return own | {found for item in table.values() for found in cited_in(item)}


def fact_files(data: Path) -> list[Path]:
    return [path for path in sorted(data.rglob("*.toml")) if path.name != "sources.toml"]


def cited_sources(source: Path, scenarios: Path) -> dict[str, str]:
    """Every cited source id and one place that cites it: fact files, tables of measurements, scenarios, and the equations of docstrings."""
    found = {}
    for path in fact_files(source / "data"):
        found |= dict.fromkeys(cited_in(tomllib.loads(path.read_text())), path.name)
    for path in sorted((source / "data").rglob("*.csv")):
        found |= dict.fromkeys((row["source"] for row in csv.DictReader(path.read_text().splitlines())), path.name)
    for path in sorted(scenarios.glob("*.yaml")):
        found |= dict.fromkeys(re.findall(r"""\bsource:\s*["']?([a-z0-9][a-z0-9-]*)""", path.read_text()), path.name)
    for path in modules(source):
        found |= dict.fromkeys(CITATION.findall(path.read_text()), path.name)
    return found


def unknown_and_unused(source: Path, scenarios: Path) -> tuple[set[str], set[str]]:
    known = set(tomllib.loads((source / "data" / "sources.toml").read_text()))
    cited = set(cited_sources(source, scenarios)) - {GUESS}
    return cited - known, known - cited


def test_every_cited_source_exists_and_every_source_is_cited() -> None:
    unknown, unused = unknown_and_unused(SOURCE, ROOT / "scenarios")
    assert unknown == set()
    assert unused - set(FOR_OTHERS) == set()
    assert set(FOR_OTHERS) <= unused


def test_an_unknown_and_an_unused_source_are_found(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "sources.toml").write_text("[used]\n[in-yaml]\n[in-code]\n[in-table]\n[idle]\n")
    (tmp_path / "data" / "facts.toml").write_text('rows = [{ a = { value = 1, source = "used" } }, { b = { source = "lost" } }]\n')
    (tmp_path / "data" / "rows.csv").write_text("case,source\n1,in-table\n2,nowhere\n")
    (tmp_path / "one.yaml").write_text("power: {value: 1 W, source: in-yaml}\n")
    (tmp_path / "cost.py").write_text('"""Yield [in-code, eq. 4], but not xs[i, p] and [0, eq. 1]."""\n')
    assert unknown_and_unused(tmp_path, tmp_path) == ({"lost", "nowhere"}, {"idle"})


def is_quantity(value: Any) -> bool:
    """Whether a TOML value measures something: a float, or text that is a number with a unit that we know."""
    if isinstance(value, float):
        return True
    match = QUANTITY.match(value) if isinstance(value, str) else None
    if match is None or match[1] is None:
        return False
    try:
        scale_and_dimension(match[1])
    except UnitError:
        return False
    return True


def unsourced(table: dict[str, Any], path: str = "") -> list[str]:
    """The paths of numbers in a parsed TOML table that no `source` beside or above them covers."""
    if "source" in table:
        return []
    found = []
    for key, value in table.items():
        here = f"{path}.{key}" if path else key
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict):
                found += unsourced(item, here)
            elif is_quantity(item) or (isinstance(item, int) and not isinstance(item, bool) and key not in COUNTS):
                found.append(here)
    return found


@pytest.mark.parametrize("path", fact_files(DATA), ids=lambda path: str(path.relative_to(DATA)))
def test_every_number_in_a_fact_file_has_a_source(path: Path) -> None:
    assert unsourced(tomllib.loads(path.read_text())) == []


def test_a_number_without_a_source_is_found() -> None:
    text = """
    name = "70B of 2024-05-01"
    watts = "700 W"
    share = 0.5
    when = 2024
    domain = 8
    ready = true
    fine = { value = "700 W", low = "600 W", source = "x" }
    bad = { value = "3.35 TB/s", place = "p. 2" }
    list = ["1.5 GB", "text"]
    [deep.table]
    price = "2 USD/h"
    [[rows]]
    source = "x"
    price = "2 USD/h"
    [[rows]]
    price = "3 USD/h"
    """
    assert unsourced(tomllib.loads(text)) == ["watts", "share", "when", "bad.value", "list", "deep.table.price", "rows.price"]


def test_every_count_that_needs_no_source_has_its_reason() -> None:
    assert all(reason for reason in (*COUNTS.values(), *FOR_OTHERS.values()))


def overrated(table: Any, path: str = "") -> list[str]:
    """Own estimates that claim more than an estimate, or that have no range."""
    if isinstance(table, list):
        return [found for index, item in enumerate(table) for found in overrated(item, f"{path}[{index}]")]
    if not isinstance(table, dict):
        return []
    if table.get("source") == "tapeout-estimate" and "value" in table:
        modest = table.get("grade") in (Grade.ESTIMATE, Grade.GUESS) and ("low" in table or "high" in table)
        return [] if modest else [path]
    return [found for key, item in table.items() for found in overrated(item, f"{path}.{key}" if path else key)]


@pytest.mark.parametrize("path", fact_files(DATA), ids=lambda path: str(path.relative_to(DATA)))
def test_an_own_estimate_says_so_and_has_a_range(path: Path) -> None:
    assert overrated(tomllib.loads(path.read_text())) == []


def test_an_own_estimate_that_claims_too_much_is_found() -> None:
    own = 'source = "tapeout-estimate"'
    text = f"""
    a = {{ value = 1.0, {own}, grade = "guess" }}
    b = {{ value = 1.0, low = 0.5, {own}, grade = "vendor" }}
    c = {{ value = 1.0, low = 0.5, {own}, grade = "guess" }}
    d = [{{ value = 1.0, {own}, grade = "estimate" }}]
    """
    assert overrated(tomllib.loads(text)) == ["a", "b", "d[0]"]


# ---------------------------------------------------------------- rule 5: nothing unfinished, no way around the layers

UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")


# The command line may import late to start fast.
def is_command(path: Path) -> bool:
    """Whether a module may import what is heavy when its command runs."""
    return path.name == "cli.py" or path.parent.name == "commands"


def hidden_imports(path: Path) -> list[int]:
    """Lines inside functions that import a module of ours, which would hide a cycle; a heavy package of others may come late."""
    functions = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    lines = set()
    for node in (inner for function in functions for inner in ast.walk(function)):
        match node:
            case ast.ImportFrom():
                names = [node.module or "tapeout"]
            case ast.Import():
                names = [alias.name for alias in node.names]
            case _:
                continue
        if any(name.split(".")[0] == "tapeout" for name in names):
            lines.add(node.lineno)
    return sorted(lines)


def test_nothing_is_left_unfinished() -> None:
    assert UNFINISHED.search("# TODO later")
    assert [path.name for path in modules(SOURCE) if UNFINISHED.search(path.read_text())] == []


def test_no_import_of_ours_hides_inside_a_function() -> None:
    assert [(path.name, hidden_imports(path)) for path in modules(SOURCE) if not is_command(path) and hidden_imports(path)] == []


def test_a_hidden_import_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(
        "import tapeout\n\n\ndef f():\n    import numpy\n    import tapeout.units\n    from . import b\n    return b\n"
    )
    assert hidden_imports(tmp_path / "a.py") == [6, 7]
