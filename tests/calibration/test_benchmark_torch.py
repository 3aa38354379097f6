"""PyTorch itself, on the processor: every way to run an operator computes the same, and small trials really run, collectives too."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from tapeout.calibration import operator_table  # noqa: E402
from tapeout.calibration.benchmark_run import LONGEST_PASS  # noqa: E402
from tapeout.calibration.benchmark_torch import Arena, Device, find_device, measure_on, numbers_of_peers, refusing  # noqa: E402
from tapeout.calibration.benchmark_torch_operators import ways  # noqa: E402
from tapeout.calibration.benchmark_trial import Attention, Collective, GroupedProduct, Product, Trial, operand_bytes  # noqa: E402
from tapeout.calibration.operator_table import Measured  # noqa: E402
from tapeout.errors import InputError, UnsupportedTrialError  # noqa: E402
from tapeout.hardware.catalog import chip  # noqa: E402

CPU = torch.device("cpu")
ATTENTION = {"heads": 8, "kv_heads": 2, "head_size": 64}
SMALL: list[Trial] = [
    Product(format="bf16", rows=24, inner=64, outer=48),
    Product(format="fp8", rows=24, inner=64, outer=48),
    Product(format="int8", rows=24, inner=64, outer=48),
    GroupedProduct(format="bf16", rows=20, inner=32, outer=48, experts=8, experts_per_token=2),
    GroupedProduct(format="bf16", rows=20, inner=32, outer=48, experts=8, experts_per_token=2, expert_peers=4),
    GroupedProduct(format="fp8", rows=20, inner=32, outer=48, experts=8, experts_per_token=2),
    Attention(sequences=2, new_tokens=40, context=0, **ATTENTION),
    Attention(sequences=2, new_tokens=1, context=39, **ATTENTION),
]
COLLECTIVES = [
    Collective(operator=operator, peers=2, message_bytes=4096)
    for operator in (Measured.ALL_REDUCE, Measured.ALL_GATHER, Measured.REDUCE_SCATTER, Measured.ALL_TO_ALL, Measured.SEND)
]


class Operands:
    """Small random operands, the same for every way, kept so that a plain calculation can use them."""

    def __init__(self) -> None:
        self.generator = torch.Generator().manual_seed(1)
        self.taken: list[torch.Tensor] = []

    def take(self, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        scale = 8 if dtype is torch.int8 else 0.5
        found = (torch.randn(shape, generator=self.generator) * scale).to(dtype)
        self.taken.append(found)
        return found


def plain(trial: Trial, operands: list[torch.Tensor]) -> torch.Tensor:
    """What `trial` computes, in double precision and in the plainest way."""
    first, second, *more = operands
    match trial:
        case Product(format="int8"):
            return first.to(torch.int8).double() @ second.double().t()
        case Product():
            return first.to(second.dtype).double() @ second.double().t()
        case GroupedProduct():
            return plain_mixture(trial, first, second.double(), more[0].double())
        case Attention():
            keys, values = (part.double().repeat_interleave(trial.heads // trial.kv_heads, 1) for part in (second, more[0]))
            scores = first.double().view(trial.sequences, trial.heads, trial.new_tokens, -1) @ keys.transpose(2, 3) / trial.head_size**0.5
            seen = torch.ones(scores.shape[2:]).tril(trial.context).bool()
            return scores.masked_fill(~seen, -torch.inf).softmax(-1) @ values
    raise AssertionError(trial)


def plain_mixture(trial: GroupedProduct, tokens: torch.Tensor, into: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    """Each token through its experts, one after the other; of several chips the busiest."""
    chosen = torch.rand((trial.rows, trial.experts), generator=torch.Generator().manual_seed(0)).topk(trial.experts_per_token).indices
    local = trial.experts // trial.expert_peers
    loads = [sum(int(expert) // local == rank for row in chosen for expert in row) for rank in range(trial.expert_peers)]
    first = loads.index(max(loads)) * local
    result = torch.zeros(tokens.shape, dtype=torch.float64)
    for token, experts in enumerate(chosen.tolist()):
        for expert in experts:
            if first <= expert < first + local:
                gate, up = (into[expert - first] @ tokens[token].double()).chunk(2)
                inner = gate * torch.sigmoid(gate) * up
                result[token] += out[expert - first] @ inner / trial.experts_per_token
    return result


@pytest.mark.parametrize("trial", SMALL, ids=str)
def test_every_way_that_the_processor_has_computes_the_same(trial: Trial) -> None:
    ran = []
    for way in ways(trial, CPU):
        operands = Operands()
        call = way.build(operands.take)
        try:
            with torch.inference_mode(), way.setting():
                found = call()
        except RuntimeError:
            continue
        ran.append(way.name)
        wanted = plain(trial, operands.taken)
        error = (found.double().reshape(wanted.shape) - wanted).norm() / wanted.norm()
        assert error < (0.06 if getattr(trial, "format", "") == "fp8" else 0.02), way.name
    assert ran


@pytest.mark.parametrize("trial", SMALL, ids=str)
def test_operands_are_what_a_trial_says_that_it_reads(trial: Trial) -> None:
    operands = Operands()
    ways(trial, CPU)[0].build(operands.take)
    assert sum(operand.numel() * operand.element_size() for operand in operands.taken) == operand_bytes(trial)


def test_calls_find_their_operands_apart_and_filled_with_numbers() -> None:
    arena = Arena(CPU, 1 << 20)
    copies = arena.reserve(1 << 16)
    assert copies == 16
    starts = []
    for _ in range(copies + 1):
        arena.begin(1 << 16)
        operand = arena.take((1 << 15,), torch.bfloat16)
        assert 0.9 < float(operand.float().std()) < 1.1
        starts.append(operand.data_ptr() - arena.memory.data_ptr())
    assert starts == [index << 16 for index in range(copies)] + [0]
    assert arena.reserve(1 << 21) == 1
    assert arena.held() == 1 << 21


def test_small_trials_really_run_and_are_not_run_again(tmp_path: Path) -> None:
    device = Device(id="cpu", name="", memory=1e9, cache=1e6, peers=2)
    out = tmp_path / "rows.csv"

    def run(earlier: operator_table.OperatorTable) -> tuple[int, operator_table.OperatorTable]:
        said: list[str] = []
        outcome = measure_on(
            device, [*SMALL, *COLLECTIVES], earlier, chip("nvidia-a100-sxm-80gb"), 300.0, say=said.append,
            save=lambda rows: out.write_text(operator_table.to_csv(rows)),
        )  # fmt: skip
        assert outcome.unsupported == {}, said
        return outcome.measured, operator_table.read(out)

    measured, rows = run(operator_table.table({}, 0))
    assert measured == len(rows) == len(SMALL) + len(COLLECTIVES)
    assert 0 < rows.seconds.min() <= rows.seconds.max() < LONGEST_PASS * 10
    assert all(software.startswith(f"torch {torch.__version__}: ") for software in rows.software)
    assert run(rows)[0] == 0


def test_what_does_not_fit_the_memory_is_refused() -> None:
    device = Device(id="cpu", name="", memory=1e9, cache=1e6, peers=1)
    huge = Product(format="bf16", rows=1, inner=1 << 20, outer=1 << 20)
    outcome = measure_on(device, [huge], operator_table.table({}, 0), chip("nvidia-h100-sxm"), 60.0, say=str, save=str)
    assert "free memory" in next(iter(outcome.unsupported))


def test_what_pytorch_cannot_do_is_the_reason_of_one_trial_and_bugs_are_not() -> None:
    with pytest.raises(UnsupportedTrialError, match=r"^out of memory$"), refusing():
        raise RuntimeError("out of memory\nat some place within")
    with pytest.raises(KeyError), refusing():
        raise KeyError("x")


def test_a_device_that_is_not_there_names_those_that_are() -> None:
    assert find_device("cpu").id == "cpu"
    with pytest.raises(InputError, match="cpu"):
        find_device("cuda:99")


@pytest.mark.parametrize(("devices", "peers"), [(1, ()), (2, (2,)), (3, (2,)), (8, (2, 4, 8))])
def test_collectives_join_powers_of_two(devices: int, peers: tuple[int, ...]) -> None:
    assert numbers_of_peers(Device(id="cuda:0", name="", memory=1e9, cache=1e6, peers=devices)) == peers


@pytest.mark.parametrize(
    "trial", [Product(format="fp4", rows=1, inner=32, outer=32), Attention(sequences=1, new_tokens=8, context=8, **ATTENTION)]
)
def test_what_pytorch_does_not_have_is_said(trial: Trial) -> None:
    with pytest.raises(UnsupportedTrialError, match="PyTorch"):
        ways(trial, CPU)
