"""Traffic as a command line says it."""

import pytest

from tapeout.errors import InputError
from tapeout.traffic.arrivals import poisson
from tapeout.traffic.rules import traffic
from tests.serving.queues import ONE


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("poison:5", "did you mean poisson"),
        ("poisson:fast", "no rate"),
        ("poisson:0", "above 0 requests/s"),
        ("poisson:nan", "above 0 requests/s"),
        ("gamma:5:vc=2", "unknown setting 'vc' of gamma"),
        ("gamma:5:cv=x", "bad cv"),
        ("diurnal:5:period=3", "bad period"),
        ("synthetic-conversations", "a trace has lengths of its own"),
    ],
)
def test_bad_traffic_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        traffic(text, ONE, count=10, seed=1)


def test_traffic_words_are_the_rules() -> None:
    assert (traffic("poisson:5", ONE, count=10, seed=1).requests.arrival == poisson(10, 5.0, ONE, seed=1).arrival).all()
    fast = traffic("synthetic-conversations", None, count=10, seed=1, speed=2.0).requests
    assert len(fast) == 10
    assert (2 * fast.arrival == traffic("synthetic-conversations", None, count=10, seed=1).requests.arrival).all()
