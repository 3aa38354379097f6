"""Traces from files: each format read, each fault said with its line and column."""

from pathlib import Path

import numpy as np
import pytest

from tapeout.errors import InputError
from tapeout.serving import synthetic
from tapeout.serving.lengths import EmpiricalLengths, lengths_of
from tapeout.serving.traces import read_trace

AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50.9951690,396,109\n"
BURST = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,ChatGPT,472,18,490,Conversation log\n"
MOONCAKE = '{"timestamp": 27482, "input_length": 1100, "output_length": 52, "hash_ids": [46, 47, 48]}\n'


def written(folder: Path, text: str, name: str = "trace.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_azure(tmp_path: Path) -> None:
    found = read_trace(written(tmp_path, AZURE))
    assert found.requests.arrival == pytest.approx([0, 4.314579], abs=1e-6)
    assert found.requests.prompt.tolist() == [374, 396]
    assert found.requests.output.tolist() == [44, 109]


def test_azure_dates_of_another_year_may_name_their_zone(tmp_path: Path) -> None:
    text = "TIMESTAMP,ContextTokens,GeneratedTokens\n2024-05-10 00:00:00.009930+00:00,2162,5\n2024-05-11 00:00:00.009930+00:00,2399,6\n"
    assert read_trace(written(tmp_path, text)).requests.arrival.tolist() == [0, 86_400]


def test_burstgpt_leaves_out_failed_requests(tmp_path: Path) -> None:
    found = read_trace(written(tmp_path, BURST + "45,ChatGPT,1087,0,1087,Conversation log\n118,GPT-4,417,276,693,API log\n"))
    assert (found.omitted, found.format) == (1, "BurstGPT")
    assert found.requests.arrival.tolist() == [5, 118]
    assert found.requests.output.tolist() == [18, 276]


def test_mooncake_names_the_blocks_that_a_prompt_fills(tmp_path: Path) -> None:
    names = read_trace(written(tmp_path, MOONCAKE, "trace.jsonl"))
    assert names.requests.arrival.tolist() == [27.482]
    assert names.requests.names is not None
    assert names.requests.names.block == 512
    # The third hash stands for 76 tokens, less than a block.
    assert names.requests.names.name.tolist() == [46, 47]


def test_a_plain_trace_keeps_its_zero_and_may_have_more_columns(tmp_path: Path) -> None:
    found = read_trace(written(tmp_path, "output,who,arrival_s,prompt\n3,a,1.5,7\n4,b,2.5,8\n"))
    assert found.requests.arrival.tolist() == [1.5, 2.5]
    assert found.requests.prompt.tolist() == [7, 8]


PLAIN = "arrival_s,prompt,output\n1,5,5\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PLAIN + "-1,5,5\n", r"trace.csv:3: arrival_s: bad arrival time, given '-1', allowed: seconds of 0 or more"),
        (PLAIN + "nan,5,5\n", r"trace.csv:3: arrival_s: bad arrival time"),
        (PLAIN + "inf,5,5\n", r"trace.csv:3: arrival_s: bad arrival time"),
        (PLAIN + "\n0.5,5,5\n", r"trace.csv:4: arrival_s: arrival times are not in order, given '0.5 s after 1.0 s'"),
        (PLAIN + "2,5.5,5\n", r"trace.csv:3: prompt: bad number of tokens"),
        (PLAIN + "2,nan,5\n", r"trace.csv:3: prompt: bad number of tokens"),
        (PLAIN + "2,5,0\n", r"trace.csv:3: output: bad number of tokens, given '0', allowed: a whole number from 1"),
        (PLAIN + "2,5\n", r"trace.csv:3: the row is too short"),
        ("arrival_s,prompt\n1,5\n", r"trace.csv:1: missing columns for plain CSV: output"),
        ("a,b\n1,5\n", r"trace.csv:1: no known trace format"),
        ("arrival_s,prompt,output\n", r"trace.csv: the trace is empty"),
        ("", r"trace.csv: the trace is empty"),
        (AZURE + "yesterday,5,5\n", r"trace.csv:4: TIMESTAMP: bad arrival time, given 'yesterday', allowed: a date"),
        (AZURE + "NaT,5,5\n", r"trace.csv:4: TIMESTAMP: bad arrival time"),
        (AZURE + "2023-11-16 18:15:48,5,5\n", r"trace.csv:4: TIMESTAMP: arrival times are not in order"),
        (BURST + "6,x,0,5,5,y\n", r"trace.csv:3: Request tokens: bad number of tokens"),
    ],
)
def test_a_bad_csv_is_refused_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_trace(written(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (MOONCAKE + "{", r"trace.jsonl:2: not valid JSON"),
        (MOONCAKE + "[1]", r"trace.jsonl:2: each line is one request"),
        ('{"timestamp": 1, "input_length": 5}', r"trace.jsonl:1: output_length: missing field"),
        ('{"timestamp": NaN, "input_length": 5, "output_length": 5}', r"trace.jsonl:1: timestamp: bad arrival time"),
        ('{"timestamp": true, "input_length": 5, "output_length": 5}', r"trace.jsonl:1: timestamp: bad arrival time"),
        ('{"timestamp": 1, "input_length": 5, "output_length": 5, "hash_ids": [-1]}', r"trace.jsonl:1: hash_ids: bad hashes"),
        (MOONCAKE + MOONCAKE.replace("27482", "27481"), r"trace.jsonl:2: timestamp: arrival times are not in order"),
        ("\n", r"trace.jsonl: the trace is empty"),
    ],
)
def test_a_bad_mooncake_trace_is_refused_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_trace(written(tmp_path, text, "trace.jsonl"))


def test_a_trace_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    for name in ("none.csv", "binary.csv"):
        with pytest.raises(InputError, match="cannot read the trace"):
            read_trace(tmp_path / name)


def test_the_shipped_trace_is_what_the_generator_makes() -> None:
    path = synthetic.shipped_trace("synthetic-conversations")
    assert path.read_text() == synthetic.to_csv(synthetic.conversations(synthetic.COUNT, seed=synthetic.SEED), synthetic.SOURCE)
    assert len(read_trace(path).requests) == synthetic.COUNT


def test_empirical_lengths_keep_pairs_and_their_shares() -> None:
    requests = read_trace(synthetic.shipped_trace("synthetic-conversations")).requests
    prompt, output = lengths_of(requests).sample(20_000, np.random.default_rng(1))
    assert set(zip(prompt.tolist(), output.tolist(), strict=True)) <= set(
        zip(requests.prompt.tolist(), requests.output.tolist(), strict=True)
    )
    assert abs(prompt.mean() - requests.prompt.mean()) < 5 * requests.prompt.std() / np.sqrt(20_000)
    with pytest.raises(InputError, match="no lengths"):
        EmpiricalLengths(prompt=np.zeros(0, dtype=np.int64), output=np.zeros(0, dtype=np.int64))
