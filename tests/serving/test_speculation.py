"""Draws of accepted drafts against the chances they are drawn with."""

import numpy as np
import pytest

from tapeout.errors import InputError
from tapeout.serving.speculation import Speculation, accepted_draws, draw_at

DRAWS = 65_536


def test_places_are_accepted_as_often_as_their_chances_say() -> None:
    speculation = Speculation(acceptance=(0.8, 0.5, 0.9), draft_seconds=np.zeros(2))
    drawn = accepted_draws(speculation, DRAWS, seed=3)
    reach = np.cumprod(speculation.acceptance)
    for place, chance in enumerate(reach, start=1):
        assert abs((drawn >= place).mean() - chance) < 5 * (chance * (1 - chance) / DRAWS) ** 0.5
    assert drawn.mean() + 1 == pytest.approx(speculation.mean_tokens, abs=0.02)
    assert (accepted_draws(speculation, DRAWS, seed=3) == drawn).all()
    assert (accepted_draws(speculation, DRAWS, seed=4) != drawn).any()


def test_certain_and_impossible_drafts() -> None:
    for acceptance, accepted in (((1.0, 1.0), 2), ((0.0, 1.0), 0), ((1.0, 0.0, 1.0), 1)):
        assert (accepted_draws(Speculation(acceptance=acceptance, draft_seconds=np.zeros(2)), 1000, seed=1) == accepted).all()


def test_requests_and_their_tokens_meet_draws_all_over() -> None:
    """Whether a draw comes up is as in a game of chance: of so many places 1 - 1/e are met by as many throws."""
    met = {draw_at(request, generated, DRAWS) for request in range(256) for generated in range(1, 257)}
    assert min(met) >= 0
    assert max(met) < DRAWS
    # The number met has a standard deviation of about sqrt(n (1/e - 2/e^2)).
    assert abs(len(met) - DRAWS * (1 - np.exp(-1))) < 5 * (DRAWS * (np.exp(-1) - 2 * np.exp(-2))) ** 0.5
    # And those of one request are not those of the next, in turn.
    one, other = ([draw_at(request, generated, DRAWS) for generated in range(1, 2000)] for request in (7, 8))
    assert len(set(one) & set(other)) < 150


@pytest.mark.parametrize("acceptance", [(), (1.5,), (0.5, -0.1), (float("nan"),)])
def test_bad_chances_are_refused(acceptance: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="bad acceptance of drafts"):
        Speculation(acceptance=acceptance, draft_seconds=np.zeros(2))


@pytest.mark.parametrize("seconds", [[0.0], [0.0, -1.0], [0.0, float("inf")]])
def test_bad_times_of_drafts_are_refused(seconds: list[float]) -> None:
    with pytest.raises(InputError, match="draft_seconds must hold finite times"):
        Speculation(acceptance=(0.5,), draft_seconds=np.array(seconds))
