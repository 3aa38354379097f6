"""A search that was stopped goes on from what it has kept, and ends with the same plan."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tapeout.design.store import store_in
from tapeout.sourcing import search
from tapeout.sourcing.search import solve
from tests.sourcing.instances import random_problem


def uncertain(make):
    """A problem whose search takes several rounds."""
    return next(found for found in (random_problem(make, seed) for seed in range(40)) if len(search.alternatives(found)) > 1)


def same(one, other):
    assert (one.cost, one.goal, one.bound, one.status) == (other.cost, other.goal, other.bound, other.status)
    for name in ("orders", "fleet", "served", "starts", "stops", "site_orders"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_nothing_that_was_kept_is_solved_again(make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    problem, store = uncertain(make), store_in(tmp_path, "this problem", "1")
    first = solve(problem, gap=1e-4, store=store)

    def never(*_: object) -> None:
        raise AssertionError("solved again")

    monkeypatch.setattr(search, "answer", never)
    same(solve(problem, gap=1e-4, store=store), first)


def test_a_search_that_was_stopped_goes_on_and_ends_alike(make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    problem, store = uncertain(make), store_in(tmp_path, "this problem", "1")
    whole, answer, calls = solve(problem, gap=1e-4), search.answer, []

    def stopping(ask, branch):
        calls.append(branch)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return answer(ask, branch)

    monkeypatch.setattr(search, "answer", stopping)
    with pytest.raises(search.CancelledError):
        solve(problem, gap=1e-4, store=store)
    kept = list(store.folder.glob("branch-*")) or list(store.folder.iterdir())
    assert len(kept) == 1
    monkeypatch.setattr(search, "answer", answer)
    same(solve(problem, gap=1e-4, store=store), whole)


def test_what_is_kept_of_another_question_is_not_taken(make, tmp_path: Path) -> None:
    problem = uncertain(make)
    solve(problem, gap=1e-4, store=store_in(tmp_path, "this problem", "1"))
    dearer = dataclasses.replace(problem, unmet_penalty=problem.unmet_penalty * 3)
    same(solve(dearer, gap=1e-4, store=store_in(tmp_path, "another problem", "1")), solve(dearer, gap=1e-4))
