"""Settings of a scheduler as a command line writes them."""

import pytest

from tapeout.errors import InputError
from tapeout.fleet.settings import policy_changes


@pytest.mark.parametrize(
    ("text", "message"),
    [("chunks=4", "did you mean chunk"), ("chunk=four", "whole number"), ("prefix_caching=maybe", "yes or no"), ("swap=4", "a time")],
)
def test_a_bad_policy_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        policy_changes([text])
