"""Each fault of a scenario, as a user meets it: one edit of a good file, and the message that must follow."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeout.errors import InputError, SeveralInputError
from tapeout.hardware.catalog import chip
from tapeout.hardware.chip_file import write_chip
from tapeout.scenario.document import parse_document
from tapeout.scenario.hardware import chips_of
from tapeout.scenario.reader import scenario_of
from tapeout.scenario.schema import Scenario
from tests.scenario.own_contract import own_contract


def message(text: str) -> str:
    """The message for `text`, which must be refused as bad input."""
    with pytest.raises(InputError) as caught:
        scenario_of(parse_document(text, "f.yaml"))
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_the_small_scenario_is_good(small: str) -> None:
    assert scenario_of(parse_document(small, "f.yaml")).name == "small"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        # keys
        ("question:", "qestion:", "f.yaml:4:1: qestion: unknown key, given 'qestion', allowed: tapeout, name, "),
        ("question:", "qestion:", "did you mean question?"),
        ("    lead: {value: 13 week", "    laed: {value: 13 week", "contracts.bought.laed: unknown key, given 'laed'"),
        ("    lead: {value: 13 week", "    laed: {value: 13 week", "did you mean lead?"),
        ("low: 8 %/year", "lwo: 8 %/year", "finance.discount.lwo: unknown key, given 'lwo', allowed: value, low, high, source"),
        ("why: a round number", "why: so, it is", "a comma ends a value inside braces: put the text in quotes"),
        ("currency_year: 2026\n", "", "f.yaml:1:1: currency_year: missing key"),
        ("    place: colocation-us\n", "", "f.yaml:44:3: sites.cage.place: missing key"),
        ("    kind: reserved\n", "", "contracts.rented.kind: missing key, allowed: lease, on-demand, own, partner, purchase, reserved"),
        ("name: small", "name: Small Thing", "name: not a name, given 'Small Thing'"),
        ("  rented:", "  Rented:", "f.yaml:29:3: contracts.Rented: not a name, given 'Rented'"),
        # words
        (
            "kind: reserved",
            "kind: reservd",
            "f.yaml:30:11: contracts.rented.kind: unknown word, given 'reservd', allowed: on-demand, reserved",
        ),
        ("kind: reserved", "kind: reservd", "did you mean reserved?"),
        (
            "precision: fp8",
            "precision: [fp8, pf16]",
            "models.chat.precision[1]: unknown word, given 'pf16', allowed: fp32, bf16, fp8, int8, fp4",
        ),
        (
            "between: geometric",
            "between: geometrical",
            "models.chat.demand.between: unknown word, given 'geometrical', allowed: held, linear",
        ),
        ("tapeout: 1", "tapeout: 2", "f.yaml:1:10: tapeout: unknown word, given 2, allowed: 1"),
        # types
        ("quarters: 8", "quarters: true", "quarters: expected a quantity, given True, allowed: a whole number, from 1 to 60"),
        ("quarters: 8", "quarters: 8.5", "quarters: not a whole number, given 8.5"),
        ("quarters: 8", "quarters: 0", "quarters: out of range, given 0, allowed: a whole number, from 1 to 60"),
        ("title: A small scenario", "title: 12", "title: wrong type, given 12, allowed: text"),
        ("title: A small scenario", "title:", "title: wrong type, given 'nothing', allowed: text"),
        ("sites: [cage]", "sites: cage", "contracts.bought.sites: wrong type, given 'cage', allowed: a list"),
        ("sites: [cage]", "sites: []", "contracts.bought.sites: "),
        ("    time_to_first_token: 2 s", "    time_to_first_token: [2 s]", "time_to_first_token: expected a quantity"),
        # quantities
        ("prompt: {value: 500 token", "prompt: {value: 500", "f.yaml:15:21: models.chat.prompt.value: missing unit, given 500, allowed"),
        (
            "prompt: {value: 500 token",
            "prompt: {value: 500 B",
            "models.chat.prompt.value: wrong unit, given '500 B', allowed: a quantity in token",
        ),
        ("prompt: {value: 500 token", "prompt: {value: 500 tokens", "models.chat.prompt.value: unknown unit 'tokens'"),
        ("prompt: {value: 500 token", "prompt: {value: -500 token", "models.chat.prompt.value: out of range, given '-500 token'"),
        ("prompt: {value: 500 token", "prompt: {value: true", "models.chat.prompt.value: expected a quantity, given True"),
        ("prompt: {value: 500 token", "prompt: {value: .nan", "models.chat.prompt.value: expected a finite number, given nan"),
        ("peak_to_mean: {value: 2", "peak_to_mean: {value: .inf", "models.chat.peak_to_mean.value: expected a finite number, given inf"),
        ("time_per_output_token: 50 ms", "time_per_output_token: 50 MB", "models.chat.time_per_output_token: wrong unit, given '50 MB'"),
        ("time_per_output_token: 50 ms", "time_per_output_token: 0 ms", "models.chat.time_per_output_token: out of range"),
        ("term: 1 year", "term: 1", "contracts.rented.term: missing unit, given 1, allowed: a whole number of quarters"),
        ("term: 1 year", "term: 5 month", "contracts.rented.term: not a whole number, given '5 month'"),
        ("budget: 5 MUSD", "budget: 5", "finance.budget.value: missing unit, given 5, allowed: a quantity in USD"),
        # assumptions
        (
            "low: 8 %/year",
            "low: 11 %/year",
            "finance.discount.low: the range excludes the value, given '11 %/year', allowed: at most the value",
        ),
        ("low: 50 %", "low: 150 %", "models.chat.demand.low: the range excludes the value, given '150 %'"),
        ("source: guess, why: a round number", "source: guess", "finance.discount.why: missing key; a guess states low, high and why"),
        ("source: guess, why: a round number", "why: so", "finance.discount.source: missing key, allowed: guess, or the id of a source"),
        ("source: guess, why: a round number", "source: tapeout-estimat", "did you mean tapeout-estimate?"),
        (
            "source: guess, why: stock",
            "source: guess, grade: vendor, why: stock",
            "contracts.bought.lead.grade: a guess has no other grade",
        ),
        ("peak_to_mean: {value: 2, low: 1.5", "peak_to_mean: {value: 2, low: 0.5", "models.chat.peak_to_mean: out of range, given '0.5'"),
        (
            "    lead: {value: 13 week, low: 6 week, high: 26 week, source: guess, why: stock}",
            "    lead: 13 week",
            "contracts.bought.lead: an assumption states its range",
        ),
        # dates
        (
            "start: 2026Q4",
            "start: 2026-Q4",
            "f.yaml:6:8: start: not a quarter, given '2026-Q4', allowed: a year and a quarter of it, such as 2023Q4",
        ),
        (
            "until: 2027Q4",
            "until: 2026Q4",
            "contracts.bought.until: a date out of order, given '2026Q4', allowed: 2027Q1, where it begins, or later",
        ),
        (
            "from: 2027Q1\n    until: 2027Q4",
            "from: 2029Q1",
            "contracts.bought.from: a date after the plan, given '2029Q1', allowed: 2026Q4 to 2028Q3",
        ),
        (
            "{2026Q4: 1 Mquery/day, 2027Q4",
            "{2026Q4: 1 Mquery/day, 2026Q3",
            "models.chat.demand.by_quarter.2026Q3: a date out of order, given '2026Q3'",
        ),
        ("{2026Q4: 1 Mquery/day", "{2026Q4: 0 query/day", "models.chat.demand.between: a geometric course through 0"),
        (
            "budget: 5 MUSD",
            "budget: {by_quarter: {2027Q1: 5 MUSD}}",
            "finance.budget.by_quarter: starts too late, given 'a first value in 2027Q1'",
        ),
        # references
        (
            "chip: nvidia-h100-sxm",
            "chip: nvidia-h100-smx",
            "contracts.rented.chip: unknown chip, given 'nvidia-h100-smx'; did you mean nvidia-h100-sxm?",
        ),
        (
            "sites: [cage]",
            "sites: [cave]",
            "f.yaml:41:13: contracts.bought.sites[0]: unknown site, given 'cave', allowed: cage; did you mean cage?",
        ),
        ("place: colocation-us\n", "place: colocation\n", "sites.cage.place: unknown place, given 'colocation'"),
        (
            "place: colocation-us\n",
            "place: colocation-us\n    electricity: texs\n",
            "sites.cage.electricity: unknown electricity region, given 'texs'",
        ),
        ("architecture: meta-llama/Llama-2-70b-hf", "architecture: meta-llama/Llama-2-71b-hf", "models.chat.architecture: unknown model"),
        ("architecture: meta-llama/Llama-2-70b-hf", "architecture: no/such/config.json", "models.chat.architecture: cannot read the file"),
        (
            "    kind: reserved\n    chip: nvidia-h100-sxm",
            "    kind: reserved\n    chip: microsoft-maia-100",
            "give the contract a price with its source, or as a guess",
        ),
        (
            "    term: 1 year\n",
            "    term: 1 year\n    supplier: Nvidia\n",
            "contracts.rented.supplier: a supplier spelt in two ways, given 'Nvidia'; did you mean NVIDIA?",
        ),
        ("chip: amd-mi300x", "chip: nvidia-h200-sxm", ""),
    ],
)
def test_one_fault_gives_one_message_at_its_place(small: str, old: str, new: str, expected: str) -> None:
    assert small.count(old) == 1, "the edit must be of one place"
    text = small.replace(old, new)
    if not expected:
        assert scenario_of(parse_document(text, "f.yaml"))
        return
    assert expected in message(text)


def test_the_message_shows_the_line_and_a_caret(small: str) -> None:
    shown = message(small.replace("time_per_output_token: 50 ms", "time_per_output_token: 3 TB")).splitlines()
    assert shown[0].startswith("f.yaml:18:28: models.chat.time_per_output_token: wrong unit, given '3 TB', allowed: a quantity in s")
    assert shown[1:] == ["        time_per_output_token: 3 TB", "    " + " " * 27 + "^"]


def test_an_own_chip_that_cannot_be_built_is_refused_with_the_limit(small: str) -> None:
    own = own_contract("partner")
    rest = """\
programmes:
  partner: {mode: partner, profile: [50 %, 50 %]}
own_chips:
  mine:
    node: tsmc-3
    package: cowos-l
    matrix_units: 64
    rows: 64
    columns: 64
    formats: [bf16, fp8]
    clock: 1.2 GHz
    on_chip_memory: 64 MiB
    memory: {generation: hbm3e, stacks: 4}
    link: {bandwidth: 300 GB/s, topology: ring, domain: 8}
"""
    good = small.replace("sites:\n  cage", own + "sites:\n  cage") + rest
    scenario = scenario_of(parse_document(good, "f.yaml"))
    assert scenario.own_chips["mine"].parameters("mine").stacks == 4
    for old, new, expected in [
        ("clock: 1.2 GHz", "clock: 12 GHz", "own_chips.mine: the design mine breaks"),
        ("clock: 1.2 GHz", "clock: 0.6 GHz\n    voltage: 1.1 V", "breaks its limit of supply, given '1.1 V', allowed: up to 1 V"),
        ("clock: 1.2 GHz", "clock: 1.2 GHz\n    voltage: 1.4 W", "own_chips.mine.voltage: wrong unit"),
        ("node: tsmc-3", "node: tsmc-33", "own_chips.mine.node: unknown process node, given 'tsmc-33'"),
        ("chip: mine", "chip: amd-mi300x", "a chip of the market is bought with kind: purchase"),
        ("programme: partner", "programme: parner", "contracts.designed.programme: unknown programme, given 'parner'"),
        (
            "profile: [50 %, 50 %]",
            "profile: [50 %, 40 %]",
            "programmes.partner.profile: the shares do not sum to 100 %, given 'a sum of 0.9'",
        ),
        ("mode: partner", "mode: friend", "programmes.partner.mode: unknown word, given 'friend', allowed: own-team, partner"),
        (own, "", "own_chips.mine: no contract uses it"),
    ]:
        assert expected in message(good.replace(old, new)), new


def test_a_contract_takes_a_chip_file_and_wants_a_price_for_it(small: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    write_chip(replace(chip("nvidia-b200"), id="mine", vendor="own"), file)
    priced = f"chip: {file}\n    price: {{value: 9000 USD, low: 7000 USD, high: 12000 USD, source: guess, why: cost and margin}}"
    scenario = scenario_of(parse_document(small.replace("chip: amd-mi300x", priced), "f.yaml"))
    assert chips_of(scenario).by_name[str(file)].id == "mine"
    assert "contracts.bought.chip: no price of this chip is known" in message(small.replace("chip: amd-mi300x", f"chip: {file}"))
    assert "contracts.bought.chip: cannot read the file" in message(small.replace("chip: amd-mi300x", f"chip: {tmp_path}/other.toml"))


def test_one_supplier_cannot_have_less_than_all(small: str) -> None:
    text = small.replace("chip: amd-mi300x", "chip: nvidia-h200-sxm").replace("5 MUSD", "5 MUSD\n  largest_supplier_share: 60 %")
    assert "finance.largest_supplier_share: one supplier cannot have less than all, given 'only NVIDIA'" in message(text)


def test_all_faults_come_in_order_of_the_file_and_the_first_in_full(small: str) -> None:
    text = small.replace("quarters: 8", "quarters: x").replace("term: 1 year", "term: 1").replace("place: colocation-us", "plaice: a")
    with pytest.raises(SeveralInputError) as caught:
        scenario_of(parse_document(text, "f.yaml"))
    assert [error.place.path for error in caught.value.errors if error.place] == [
        "quarters", "contracts.rented.term", "sites.cage.place", "sites.cage.plaice",
    ]  # fmt: skip
    lines = str(caught.value).splitlines()
    assert lines[1:4] == ["    quarters: x", "              ^", "3 further fault(s):"]
    assert len(lines) == 7


def test_a_flood_of_faults_is_cut_short(small: str) -> None:
    text = small + "".join(f"extra-{number}: 1\n" for number in range(30))
    assert message(text).splitlines()[-1] == "  and 20 more"


LINES = st.sampled_from(["", "  ", "- x", "a: 1", "source: guess", "term: 1 year", "{", "value: 3 TB", "0: 0", "chip: .inf", "null"])


@given(st.integers(0, 38), LINES, st.integers(0, 8))
@settings(max_examples=150, deadline=None)
def test_a_damaged_file_gives_a_scenario_or_an_input_error(line: int, text: str, indent: int) -> None:
    lines = scenario_lines()
    lines[line] = " " * indent + text
    assert outcome("\n".join(lines)).startswith("f.yaml")


def outcome(text: str) -> str:
    """The file's name where `text` is a scenario, else the message of the InputError; any other error passes through."""
    try:
        assert isinstance(scenario_of(parse_document(text, "f.yaml")), Scenario)
    except InputError as error:
        return str(error)
    return "f.yaml"


def scenario_lines() -> list[str]:
    """The lines of the shipped start-up scenario, comments left out."""
    path = __file__.rsplit("tests", 1)[0] + "scenarios/startup.yaml"
    with open(path, encoding="utf-8") as stream:
        return [line.rstrip("\n") for line in stream if not line.startswith("#") and line.strip()]
