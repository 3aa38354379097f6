"""A shape that cannot exist is refused where it is made."""

from collections.abc import Callable

import pytest

from tapeout.errors import UnsupportedModelError
from tapeout.workload.architecture import Architecture, Attention, FeedForward, Latent, LayerGroup

ATTENTION = Attention(heads=8, kv_heads=2, head_size=16, value_size=16)
GROUP = LayerGroup(count=4, attention=ATTENTION, feed_forward=FeedForward(size=64))


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: Attention(heads=8, kv_heads=3, head_size=16, value_size=16), "must divide into KV heads"),
        (lambda: Attention(heads=8, kv_heads=0, head_size=16, value_size=16), "kv_heads must be at least 1"),
        (lambda: Attention(heads=8, kv_heads=2, head_size=16, value_size=16, window=0), "window must be at least 1"),
        (lambda: Latent(kv_rank=0, rope_size=64), "kv_rank must be at least 1"),
        (lambda: FeedForward(size=0), "size must be at least 1"),
        (lambda: FeedForward(size=8, experts=4, experts_per_token=5), "more experts per token than experts, given '5 of 4'"),
        (lambda: FeedForward(size=8, experts=4), "at least one expert per token"),
        (lambda: FeedForward(size=8, shared_size=-1), "must not be negative"),
        (lambda: LayerGroup(count=0, attention=ATTENTION, feed_forward=FeedForward(size=8)), "count must be at least 1"),
        (lambda: Architecture(name="m", family="m", hidden=64, vocabulary=0, max_context=9, groups=(GROUP,)), "vocabulary must be"),
        (lambda: Architecture(name="m", family="m", hidden=64, vocabulary=9, max_context=9, groups=()), "layers must be at least 1"),
    ],
)
def test_an_impossible_shape_is_refused(make: Callable[[], object], what: str) -> None:
    with pytest.raises(UnsupportedModelError, match=what):
        make()


def test_layers_are_counted_over_groups() -> None:
    mixed = LayerGroup(count=2, attention=ATTENTION, feed_forward=FeedForward(size=8, experts=4, experts_per_token=1))
    architecture = Architecture(name="m", family="m", hidden=64, vocabulary=9, max_context=9, groups=(GROUP, mixed))
    assert architecture.layers == 6
    assert architecture.has_experts
