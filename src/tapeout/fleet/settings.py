"""Settings of a scheduler as a command line writes them: `KEY=VALUE`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from tapeout.errors import InputError, did_you_mean
from tapeout.serving.policy import Order, Policy
from tapeout.units import Unit, parse

SWITCHES = tuple(field.name for field in dataclasses.fields(Policy) if field.default is False)


def policy_changes(given: Sequence[str]) -> dict[str, object]:
    """Fields of `Policy` from `KEY=VALUE`.

    >>> policy_changes(["most_sequences=64", "prefix_caching=yes", "order=priority"])
    {'most_sequences': 64, 'prefix_caching': True, 'order': <Order.PRIORITY: 'priority'>}
    """
    keys = [field.name for field in dataclasses.fields(Policy) if field.name != "speculation"]
    found: dict[str, object] = {}
    for text in given:
        key, _, value = text.partition("=")
        if key not in keys:
            raise InputError(
                "unknown setting of the policy", given=text, allowed=[f"{name}=VALUE" for name in keys], hint=did_you_mean(key, keys)
            )
        found[key] = _setting(key, value)
    return found


def _setting(key: str, value: str) -> object:
    try:
        if key == "order":
            return Order(value)
        if key in SWITCHES:
            return {"yes": True, "no": False}[value]
        if key == "swap":
            return parse(value, Unit("s"))
        return int(value)
    except (ValueError, KeyError, InputError):
        allowed = {"order": " or ".join(Order), **dict.fromkeys(SWITCHES, "yes or no"), "swap": "a time for a block, such as 20us"}
        raise InputError(f"bad {key} of the policy", given=value, allowed=allowed.get(key, "a whole number")) from None
