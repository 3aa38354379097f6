"""Drives SCALE-Sim 3.0.0: its simulation of a weight-stationary array, cycle by cycle, without traces on the disk."""

from __future__ import annotations

from pathlib import Path

from product_driving import Chip, Prepared, Product, main
from scalesim.scale_sim import scalesim

KIB = 1024
SETTING = """
[general]
run_name = product
[architecture_presets]
ArrayHeight: {array}
ArrayWidth: {array}
IfmapSramSzkB: {buffer}
FilterSramSzkB: {buffer}
OfmapSramSzkB: {buffer}
IfmapOffset: 0
FilterOffset: 100000000
OfmapOffset: 200000000
Bandwidth: {bandwidth}
Dataflow: ws
MemoryBanks: 1
ReadRequestBuffer: 64
WriteRequestBuffer: 64
[layout]
IfmapCustomLayout: False
IfmapSRAMBankBandwidth: 10
IfmapSRAMBankNum: 10
IfmapSRAMBankPort: 2
FilterCustomLayout: False
FilterSRAMBankBandwidth: 10
FilterSRAMBankNum: 10
FilterSRAMBankPort: 2
[sparsity]
SparsitySupport: false
SparseRep: ellpack_block
OptimizedMapping: false
BlockSize: 8
RandomNumberGeneratorSeed: 40
[run_presets]
InterfaceBandwidth: USER
UseRamulatorTrace: False
"""


def prepare(product: Product, chip: Chip, folder: Path) -> Prepared:
    """A third of the on-chip memory for each operand; its memory counts in elements, so bytes become elements."""
    third = chip.on_chip_memory // 3 // chip.element_bytes // KIB
    setting, shape, layout = folder / "product.cfg", folder / "product.csv", folder / "layout.csv"
    words = SETTING.format(array=product.array, buffer=third, bandwidth=chip.memory_bytes_per_cycle // chip.element_bytes)
    setting.write_text(words, encoding="utf-8")
    shape.write_text(f"Layer,M,N,K,\nproduct,{product.rows},{product.columns},{product.inner},\n", encoding="utf-8")
    # Read, but not used without a custom layout.
    layout.write_text("Layer,\nproduct," + "1," * 20 + "\n", encoding="utf-8")

    def run() -> float:
        simulator = scalesim(
            save_disk_space=True, verbose=False, config=str(setting), topology=str(shape), layout=str(layout), input_type_gemm=True
        )
        simulator.run_scale(top_path=str(folder))
        (layer,) = simulator.runner.single_layer_sim_object_list
        return float(layer.total_cycles)

    return run


if __name__ == "__main__":
    main(prepare)
