"""How vLLM and Kubernetes meet a chip: resources, images and node labels, from `data/accelerators.toml`."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

from tapeout.errors import InputError
from tapeout.hardware.chip import Chip
from tapeout.hardware.system import server_of
from tapeout.provenance import DATA, Sourced, load_toml, read_facts

FILE = "accelerators.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """What holds for all chips of a vendor.

    `resource` is what its device plugin registers in Kubernetes, `image` runs vLLM, `connector` carries KV caches, and `online` is the
    quantisation by precision of a checkpoint in 16 bits when it is loaded.
    """

    resource: Sourced[str]
    image: Sourced[str]
    connector: Sourced[str] | None = None
    online: dict[str, Sourced[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Peculiarity:
    """What is peculiar to one chip: see the head of the file."""

    devices: Sourced[int] | None = None
    units: Sourced[int] | None = None
    node: Sourced[int] | None = None
    labels: dict[str, Sourced[tuple[str, ...]]] = field(default_factory=dict)
    refused: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerators:
    """The whole file, by name of the vendor and by id of the chip."""

    vendors: dict[str, Vendor]
    chips: dict[str, Peculiarity]


@cache
def accelerators() -> Accelerators:
    """All that is known of accelerators on clusters."""
    return read_facts(Accelerators, load_toml(DATA / FILE), FILE)


def vendor_of(chip: Chip) -> Vendor:
    """What holds for the vendor of `chip`; raises InputError where vLLM is not documented to run there.

    >>> from tapeout.hardware.catalog import chip
    >>> vendor_of(chip("amd-mi300x")).resource.value
    'amd.com/gpu'
    """
    known = accelerators().vendors
    refused = _peculiar(chip).refused
    if refused or chip.vendor not in known:
        raise InputError(
            f"vLLM is not documented to run on {chip.name}", given=chip.id, allowed=f"chips by {', '.join(known)}", hint=refused or None
        )
    return known[chip.vendor]


def devices(chip: Chip) -> int:
    """Devices that software sees in one chip, each a rank of tensor parallelism.

    >>> from tapeout.hardware.catalog import chip
    >>> devices(chip("nvidia-b200")), devices(chip("google-tpu-v7x"))
    (1, 2)
    """
    found = _peculiar(chip).devices
    return found.value if found else 1


def units(chip: Chip) -> int:
    """Units of the vendor's resource in one chip."""
    found = _peculiar(chip).units
    return found.value if found else 1


def node_chips(chip: Chip) -> int:
    """Chips that one machine of a cluster holds.

    >>> from tapeout.hardware.catalog import chip
    >>> node_chips(chip("nvidia-h100-sxm")), node_chips(chip("nvidia-gb200"))
    (8, 4)
    """
    found = _peculiar(chip).node
    return found.value if found else server_of(chip.id).chips


def node_labels(chip: Chip, chips: int) -> dict[str, str]:
    """Labels of the nodes on which a pod with `chips` chips may run; raises InputError where no node has as many.

    >>> from tapeout.hardware.catalog import chip
    >>> node_labels(chip("google-tpu-v6e"), 4)["cloud.google.com/gke-tpu-topology"]
    '2x2'
    """
    known = _peculiar(chip).labels
    if not known:
        return {}
    if str(chips) not in known:
        raise InputError(f"no node of a cluster holds so many {chip.name}", given=chips, allowed=known)
    return dict(label.split("=", 1) for label in known[str(chips)].value)


def _peculiar(chip: Chip) -> Peculiarity:
    return accelerators().chips.get(chip.id, Peculiarity())
