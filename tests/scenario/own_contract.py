"""The contract for a chip of the company's own that several tests add to the small scenario."""


def own_contract(programme: str) -> str:
    """The entry of `contracts` for the chip `mine`, which the programme designs."""
    return f"""\
  designed:
    kind: own
    chip: mine
    programme: {programme}
    lead: {{value: 28 week, low: 24 week, high: 40 week, source: guess, why: fab and packaging}}
    term: 5 year
    sites: [cage]
    allocation: {{value: 100, low: 10, high: 200, source: guess, why: small}}
"""
