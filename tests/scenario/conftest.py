from pathlib import Path

import pytest

SMALL = """\
tapeout: 1
name: small
title: A small scenario
question: Rent or buy?
currency_year: 2026
start: 2026Q4
quarters: 8
finance:
  discount: {value: 10 %/year, low: 8 %/year, high: 12 %/year, source: guess, why: a round number}
  budget: 5 MUSD
models:
  chat:
    architecture: meta-llama/Llama-2-70b-hf
    precision: fp8
    prompt: {value: 500 token, low: 100 token, high: 900 token, source: guess, why: short}
    answer: {value: 300 token, low: 100 token, high: 500 token, source: guess, why: short}
    time_to_first_token: 2 s
    time_per_output_token: 50 ms
    demand:
      by_quarter: {2026Q4: 1 Mquery/day, 2027Q4: 4 Mquery/day}
      between: geometric
      low: 50 %
      high: 200 %
      source: guess
      why: growth
    peak_to_mean: {value: 2, low: 1.5, high: 3, source: guess, why: days and nights}
    unmet_penalty: {value: 3 cent/query, low: 1 cent/query, high: 9 cent/query, source: guess, why: lost users}
contracts:
  rented:
    kind: reserved
    chip: nvidia-h100-sxm
    term: 1 year
    allocation: {value: 100, low: 10, high: 200, source: guess, why: small}
  bought:
    kind: purchase
    chip: amd-mi300x
    from: 2027Q1
    until: 2027Q4
    lead: {value: 13 week, low: 6 week, high: 26 week, source: guess, why: stock}
    term: 4 year
    sites: [cage]
    allocation: {value: 100, low: 10, high: 200, source: guess, why: small}
sites:
  cage:
    place: colocation-us
    available: {value: 1 MW, low: 0.5 MW, high: 2 MW, source: guess, why: small}
"""


@pytest.fixture
def small() -> str:
    """A scenario in which nothing is wrong."""
    return SMALL


@pytest.fixture
def scenarios() -> Path:
    """The folder of the shipped scenarios."""
    return Path(__file__).parents[2] / "scenarios"
