"""Everything that can be wrong with the uncertainty of a scenario is refused with its line and a way out."""

import pytest

from tapeout.errors import InputError
from tapeout.scenario.document import parse_document
from tapeout.scenario.reader import scenario_of

UNCERTAIN = """\
uncertainty:
  processes:
    growth:
      moves: models.*.demand
      source: guess
      why: nobody knows
      steps:
        2027Q2:
          high: {probability: 40 %, factor: 150 %}
          low:
            probability: 60 %
            factor: 70 %
            also: {contracts.rented.price: {factor: 90 %}}
        2028Q1:
          late: {probability: 100 %, delay: 2 quarter}
"""
PREPAID = """\
prepayments:
  line:
    contracts: [bought]
    price: {value: 1 MUSD, low: 0.5 MUSD, high: 2 MUSD, source: guess, why: small}
    lead: {value: 1 year, low: 0.5 year, high: 2 year, source: guess, why: small}
    chips: {value: 50, low: 10, high: 90, source: guess, why: small}
    offtake: {value: 20, low: 10, high: 90, source: guess, why: small}
    shortfall: {value: 100 USD, low: 10 USD, high: 900 USD, source: guess, why: small}
"""


def read(text):
    return scenario_of(parse_document(text, "f.yaml"))


def refused(text, old, new, message):
    assert old in text
    with pytest.raises(InputError, match=message) as caught:
        read(text.replace(old, new, 1))
    assert caught.value.place.line is not None
    return caught.value


def test_nothing_is_wrong_with_it(small):
    scenario = read(small + UNCERTAIN)
    assert scenario.uncertainty.scenarios == 8
    assert scenario.every == 4
    assert read(small).every == 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("60 %\n", "50 %\n", r"f\.yaml:\d+:\d+: uncertainty\.processes\.growth\.steps\.2027Q2: the probabilities do not sum to 100 %, "
         r"given '40 % \+ 50 % = 90 %'"),
        ("factor: 70 %", "factor: -1", r"steps\.2027Q2\.low\.factor: out of range, given -1"),
        ("60 %\n", "160 %\n", r"low\.probability: out of range"),
        ("models.*.demand", "models.chatt.demand", r"growth\.moves: no such forecast.*did you mean models\.chat\.demand\?"),
        ("models.*.demand", "[models.chat.demand, sites.cage.place]",
         r"moves\[1\]: not a forecast that can move, given 'sites\.cage\.place'"),
        ("models.*.demand", "models.chat.prompt", r"not a forecast that can move.*models\.\*\.demand, contracts\.\*\.price"),
        ("models.*.demand", "finance.debt.limit", r"no such forecast"),
        ("contracts.rented.price: {f", "contracts.rent.price: {f", r"low\.also\.contracts\.rent\.price: no such forecast"),
        ("2027Q2:\n", "2026Q4:\n", r"steps\.2026Q4: a step outside the plan, given '2026Q4', allowed: 2027Q1 to 2028Q3"),
        ("2028Q1:\n", "2028Q4:\n", r"steps\.2028Q4: a step outside the plan"),
        ("2028Q1:\n", "2027Q1:\n", r"steps\.2027Q1: a date out of order, given '2027Q1', allowed: a quarter after 2027Q2"),
        ("2028Q1:\n", "soon:\n", r"steps\.soon: not a quarter"),
        ("delay: 2 quarter", "delay: 1 month", r"late\.delay: not a whole number"),
        ("delay: 2 quarter", "dely: 2 quarter", r"late\.dely: unknown key.*did you mean delay\?"),
        ("source: guess\n      why: nobody knows", "source: gues\n      why: nobody knows",
         r"growth\.source: unknown source.*did you mean guess\?"),
        ("      why: nobody knows\n", "", r"growth\.why: missing key; a guess says why"),
        ("  processes:", "  scenarios: 0\n  processes:", r"uncertainty\.scenarios: out of range"),
    ],
)  # fmt: skip
def test_bad_processes_are_refused_with_their_line(small, old, new, message):
    refused(small + UNCERTAIN, old, new, message) if old not in small else refused_after(small, old, new, message)


def refused_after(small, old, new, message):
    """As `refused`, where the text to replace also stands in the small scenario."""
    with pytest.raises(InputError, match=message):
        read(small + UNCERTAIN.replace(old, new, 1))


def test_the_line_is_that_of_the_step(small):
    text = small + UNCERTAIN
    error = refused(text, "            probability: 60 %", "            probability: 50 %", "do not sum")
    assert text.splitlines()[error.place.line - 2].strip() == "2027Q2:"


def test_more_branches_than_can_be_reduced_are_refused(small):
    many = "\n".join(f"          b{index}: {{probability: {1 / 9}}}" for index in range(9))
    start, end = UNCERTAIN.index("          late"), len(UNCERTAIN)
    with pytest.raises(InputError, match=r"2028Q1: .*at most 8"):
        read(small + UNCERTAIN[:start] + many + UNCERTAIN[end:])


def test_a_contract_before_its_chip_names_line_date_and_file(small):
    text = small.replace("2026Q4", "2023Q1").replace("2027", "2023")
    message = (
        r"contracts\.bought\.from: a contract before its chip exists, given '2023Q1', allowed: 2023Q4 or later, since "
        r"AMD Instinct MI300X was released on 2023-12-06 \(data/chips/amd-mi300x\.toml\)"
    )
    error = refused(text, "until: 2023Q4", "until: 2023Q3", message)
    assert "from: 2023Q1" in error.place.excerpt
    with pytest.raises(InputError, match=r"rented\.initial: a contract before its chip exists"):
        read(small.replace("2026Q4", "2022Q2").replace("2027", "2024").replace("term: 1 year", "term: 1 year\n    initial: 10", 1))


def test_an_allocation_that_starts_with_the_chip_is_no_contract_before_it(small):
    text = small.replace("2026Q4", "2023Q1").replace("2027", "2023")
    later = text.replace("    sites: [cage]\n    allocation: {value: 100, low: 10, high: 200",
                         "    sites: [cage]\n    allocation: {by_quarter: {2023Q4: 100}, low: 10 %, high: 200 %")  # fmt: skip
    assert later != text
    assert read(later).contracts["bought"].orders_from is not None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[bought]", "[bougt]", r"prepayments\.line\.contracts\[0\]: unknown contract, given 'bougt'; did you mean bought\?"),
        ("offtake: {value: 20, low: 10, high: 90", "offtake: {value: 151, low: 10, high: 190",
         r"line\.offtake: an offtake that cannot be met, given '151 chips', allowed: at most 150"),
        ("    price:", "    from: 2029Q1\n    price:", r"line\.from: a date after the plan"),
        ("value: 1 MUSD", "value: 1 kW", r"line\.price\.value: wrong unit"),
    ],
)  # fmt: skip
def test_bad_prepayments_are_refused(small, old, new, message):
    refused(small + PREPAID, old, new, message) if old not in small else pytest.fail("ambiguous text")


@pytest.mark.parametrize(
    ("tiers", "message"),
    [
        ("[{volume: 9, factor: 0.9}]", r"learning\[0\]\.factor: an assumption states its range"),
        ("[{volume: 9, factor: &f {value: 0.9, source: tapeout-estimate}}, {volume: 9, factor: *f}]",
         r"learning\[1\]\.volume: tiers out of order, given '9 after 9'"),
        ("[{volume: 9, factor: &f {value: 0.9, source: tapeout-estimate}}, {volume: 10, factor: *f}]",
         r"learning\[1\]\.factor: a price that does not fall with volume, given '0\.9 after 0\.9'"),
    ],
)  # fmt: skip
def test_bad_tiers_are_refused(small, tiers, message):
    with pytest.raises(InputError, match=message):
        read(small.replace("    term: 4 year\n", f"    term: 4 year\n    learning: {tiers}\n"))
