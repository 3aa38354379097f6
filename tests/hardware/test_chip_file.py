import dataclasses

import pytest

from tapeout.errors import InputError
from tapeout.hardware.catalog import chip, chip_ids, read_chip
from tapeout.hardware.chip import NumberFormat, Topology
from tapeout.hardware.chip_file import chip_text, write_chip
from tapeout.hardware.custom import own_chip
from tapeout.hardware.parameters import BaseLayer, OwnChip
from tapeout.units import GB, MIB

OWN = OwnChip(
    id="own-one",
    name='Own "one" \\ with a tab\t',
    node="tsmc-3",
    dies=4,
    matrix_units=64,
    rows=96,
    columns=64,
    formats=(NumberFormat.BF16, NumberFormat.FP8),
    clock=1.7e9,
    on_chip_memory=100 * MIB,
    memory="hbm3e",
    stacks=2,
    link_bandwidth=123.456 * GB,
    domain=16,
    topology=Topology.RING,
    base=BaseLayer(node="tsmc-6", dies=1, on_chip_memory=64 * MIB),
)


@pytest.mark.parametrize("identifier", chip_ids())
def test_every_chip_of_the_catalogue_reads_back_the_same(identifier, tmp_path):
    write_chip(chip(identifier), tmp_path / "chip.toml")
    assert read_chip(tmp_path / "chip.toml") == chip(identifier)


def test_an_own_chip_reads_back_the_same_to_the_last_bit(tmp_path):
    made = own_chip(OWN)
    write_chip(made, tmp_path / "chip.toml")
    assert chip(str(tmp_path / "chip.toml")) == made


def test_a_changed_number_reads_back_changed():
    made = own_chip(OWN)
    power = dataclasses.replace(made.power, value=made.power.value * (1 + 1e-12))
    assert chip_text(dataclasses.replace(made, power=power)) != chip_text(made)


def test_numbers_are_written_in_units_that_people_read():
    text = chip_text(chip("nvidia-h100-sxm"))
    assert 'bandwidth = { value = "3.35 TB/s", high = "3.36 TB/s", source = "inferencex-gpu-specs"' in text
    assert 'die_area = { value = "814 mm2"' in text
    assert "domain = 8" in text


def test_a_file_that_cannot_be_written_is_said(tmp_path):
    with pytest.raises(InputError, match="cannot write the chip file"):
        write_chip(own_chip(OWN), tmp_path / "no" / "chip.toml")
