"""Traces from files: each format read, each fault said with its line and column."""

import gzip
import math
from pathlib import Path

import numpy as np
import pyarrow as arrow
import pytest
from hypothesis import given
from hypothesis import strategies as some
from pyarrow import parquet

from tapeout.errors import InputError
from tapeout.traffic import synthetic, trace_tables
from tapeout.traffic.lengths import EmpiricalLengths, lengths_of
from tapeout.traffic.requests import Requests
from tapeout.traffic.rules import lengths_in
from tapeout.traffic.traces import read_trace

AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50.9951690,396,109\n"
BURST = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,ChatGPT,472,18,490,Conversation log\n"
MOONCAKE = '{"timestamp": 27482, "input_length": 1100, "output_length": 52, "hash_ids": [46, 47, 48]}\n'


def written(folder: Path, text: str, name: str = "trace.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_azure(tmp_path: Path) -> None:
    found = read_trace(written(tmp_path, AZURE))
    # Differences of times, not of seconds since 1970, which doubles hold to a quarter of a microsecond only.
    assert found.requests.arrival.tolist() == [0, 4.314579]
    assert found.requests.prompt.tolist() == [374, 396]
    assert found.requests.output.tolist() == [44, 109]


def test_azure_dates_of_another_year_may_name_their_zone(tmp_path: Path) -> None:
    text = "TIMESTAMP,ContextTokens,GeneratedTokens\n2024-05-10 00:00:00.009930+00:00,2162,5\n2024-05-11 00:00:00.009930+00:00,2399,6\n"
    assert read_trace(written(tmp_path, text)).requests.arrival.tolist() == [0, 86_400]


def test_burstgpt_leaves_out_failed_requests(tmp_path: Path) -> None:
    found = read_trace(written(tmp_path, BURST + "45,ChatGPT,1087,0,1087,Conversation log\n118,GPT-4,417,276,693,API log\n"))
    assert (found.omitted, found.format) == (1, "BurstGPT")
    assert found.requests.arrival.tolist() == [0, 113]
    assert found.requests.output.tolist() == [18, 276]


def test_mooncake_names_the_blocks_that_a_prompt_fills(tmp_path: Path) -> None:
    names = read_trace(written(tmp_path, MOONCAKE, "trace.jsonl"))
    assert names.requests.arrival.tolist() == [0]
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
        (
            PLAIN + "-1,5,5\n",
            r"trace.csv:3: arrival_s: bad arrival time, given '-1', allowed: seconds from 0 to 1e\+09, counted from the start",
        ),
        (PLAIN + "1763000000,5,5\n", r"trace.csv:3: arrival_s: bad arrival time, given '1763000000'"),
        (PLAIN + "nan,5,5\n", r"trace.csv:3: arrival_s: bad arrival time"),
        (PLAIN + "inf,5,5\n", r"trace.csv:3: arrival_s: bad arrival time"),
        (PLAIN + "\n0.5,5,5\n", r"trace.csv:4: arrival_s: arrival times are not in order, given '0.5 after 1'"),
        (PLAIN + "2,5.5,5\n", r"trace.csv:3: prompt: bad number of tokens"),
        (PLAIN + "2,nan,5\n", r"trace.csv:3: prompt: bad number of tokens"),
        (PLAIN + "2,5,0\n", r"trace.csv:3: output: bad number of tokens, given '0', allowed: a whole number from 1"),
        (PLAIN + "2,5\n", r"trace.csv:3: the row is too short"),
        ("arrival_s,prompt\n1,5\n", r"trace.csv:1: missing columns for plain: output"),
        ("a,b\n1,5\n", r"trace.csv:1: no known trace format"),
        ("arrival_s;prompt;output\n1;5;5\n", r"trace.csv:1: no known trace format, given .*; commas stand between columns"),
        ("arrival_s,prompt,output,prompt\n1,5,5,6\n", r"trace.csv:1: two columns with one name, given 'prompt'"),
        (PLAIN + ",5,5\n", r"trace.csv:3: arrival_s: bad arrival time, given ''"),
        (PLAIN + "2,4294967296,5\n", r"trace.csv:3: prompt: bad number of tokens"),
        (PLAIN + '"2\n",5,5\n3,x,5\n', r"trace.csv:5: prompt: bad number of tokens, given 'x'"),
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
        ('{"timestamp": 1, "input_length": 5}', r"trace.jsonl:1: missing columns for Mooncake: output_length"),
        (MOONCAKE + '{"timestamp": 27483, "input_length": 5}', r"trace.jsonl:2: output_length: missing field"),
        ('{"timestamp": NaN, "input_length": 5, "output_length": 5}', r"trace.jsonl:1: timestamp: bad arrival time"),
        ('{"timestamp": true, "input_length": 5, "output_length": 5}', r"trace.jsonl:1: timestamp: bad arrival time"),
        ('{"timestamp": 1, "input_length": 5, "output_length": 5, "hash_ids": [-1]}', r"trace.jsonl:1: hash_ids: bad hashes"),
        (MOONCAKE.replace("[46,", "[45, 46,"), r"trace.jsonl:1: hash_ids: bad hashes, .* at most 3 .* one for each 512 tokens"),
        (MOONCAKE.replace("[46", "[true"), r"trace.jsonl:1: hash_ids: bad hashes"),
        (MOONCAKE.replace("52", "null"), r"trace.jsonl:1: output_length: bad number of tokens, given ''"),
        (MOONCAKE + MOONCAKE.replace("27482", "27481"), r"trace.jsonl:2: timestamp: arrival times are not in order"),
        ("\n", r"trace.jsonl: the trace is empty"),
    ],
)
def test_a_bad_mooncake_trace_is_refused_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_trace(written(tmp_path, text, "trace.jsonl"))


def test_a_trace_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "late.csv").write_bytes(PLAIN.encode() + b"2,5,5\n" * 5000 + b"\xff\n")
    (tmp_path / "plain.csv.gz").write_text(PLAIN)
    (tmp_path / "torn.csv.gz").write_bytes(gzip.compress(PLAIN.encode())[:-9])
    (tmp_path / "text.parquet").write_text(PLAIN)
    (tmp_path / "folder.csv").mkdir()
    for name in ("none.csv", "binary.csv", "late.csv", "plain.csv.gz", "torn.csv.gz", "text.parquet", "folder.csv", "none.parquet"):
        with pytest.raises(InputError, match=f"{name}: cannot read the trace; .{{9}}"):
            read_trace(tmp_path / name)


def test_blank_lines_a_byte_order_mark_and_ends_of_lines_of_windows_do_not_matter(tmp_path: Path) -> None:
    plain = read_trace(written(tmp_path, PLAIN + "2,6,7\n"))
    path = tmp_path / "other.csv"
    path.write_bytes(b"\xef\xbb\xbf\r\n" + PLAIN.replace("\n", "\r\n  \r\n").encode() + b"\r\n2,6,7")
    assert_same(read_trace(path).requests, plain.requests)


def assert_same(one: Requests, other: Requests) -> None:
    for name in ("arrival", "prompt", "output"):
        assert getattr(one, name).tolist() == getattr(other, name).tolist()
    assert (one.names is None) == (other.names is None)
    if one.names is not None and other.names is not None:
        assert (one.names.name.tolist(), one.names.start.tolist()) == (other.names.name.tolist(), other.names.start.tolist())


def test_gzip_holds_what_it_packs(tmp_path: Path) -> None:
    for name, text in (("trace.csv", AZURE), ("trace.jsonl", MOONCAKE)):
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(b"\xef\xbb\xbf" + text.encode()))
        assert_same(read_trace(tmp_path / f"{name}.gz").requests, read_trace(written(tmp_path, text, name)).requests)


def test_parquet_holds_what_text_holds(tmp_path: Path) -> None:
    dates = arrow.array(["2023-11-16T18:15:46.680590", "2023-11-16T18:15:50.995169"]).cast(arrow.timestamp("ns"))
    columns = {"TIMESTAMP": dates, "ContextTokens": [374, 396], "GeneratedTokens": arrow.array([44, 109], arrow.int32())}
    parquet.write_table(arrow.table(columns), tmp_path / "azure.parquet")
    assert_same(read_trace(tmp_path / "azure.parquet").requests, read_trace(written(tmp_path, AZURE)).requests)
    mooncake = {"timestamp": [27482], "input_length": [1100], "output_length": [52], "hash_ids": [[46, 47, 48]]}
    parquet.write_table(arrow.table(mooncake), tmp_path / "mooncake.parquet")
    expected = read_trace(written(tmp_path, MOONCAKE, "trace.jsonl")).requests
    assert_same(read_trace(tmp_path / "mooncake.parquet").requests, expected)
    seconds = {"t_s": [27.482], "input_tokens": [1100], "output_tokens": [52], "hash_ids": [[46, 47, 48]]}
    parquet.write_table(arrow.table(seconds), tmp_path / "seconds.parquet")
    found = read_trace(tmp_path / "seconds.parquet").requests
    assert found.arrival.tolist() == [27.482]
    assert found.names is not None
    assert expected.names is not None
    assert found.names.name.tolist() == expected.names.name.tolist()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"arrival_s": [0.0, None], "prompt": [5, 5], "output": [5, 5]}, "row 2, arrival_s: bad arrival time, given ''"),
        ({"arrival_s": [0.0, math.nan], "prompt": [5, 5], "output": [5, 5]}, "row 2, arrival_s: bad arrival time, given 'nan'"),
        ({"arrival_s": [0.0, 1.0], "prompt": [5, 5], "output": [5, -5]}, "row 2, output: bad number of tokens, given '-5'"),
        ({"arrival_s": [1.0, 0.0], "prompt": [5, 5], "output": [5, 5]}, "row 2, arrival_s: arrival times are not in order"),
        ({"arrival_s": [0.0], "prompt": [[5]], "output": [5]}, "row 1, prompt: bad type of a column, given 'list"),
        ({"arrival_s": [False], "prompt": [5], "output": [5]}, "row 1, arrival_s: bad type of a column, given 'bool'"),
        ({"arrival_s": [1.0]}, "trace.parquet:1: missing columns for plain: prompt, output"),
    ],
)
def test_a_bad_parquet_file_is_refused_with_its_row(tmp_path: Path, columns: dict[str, list[object]], message: str) -> None:
    parquet.write_table(arrow.table(columns), tmp_path / "trace.parquet")
    with pytest.raises(InputError, match=message):
        read_trace(tmp_path / "trace.parquet")


def test_rows_of_a_parquet_file_are_counted_on(tmp_path: Path) -> None:
    rows = trace_tables.ROWS
    columns = {"arrival_s": [float(row) for row in range(rows + 2)], "prompt": [5] * (rows + 2), "output": [5] * (rows + 1) + [0]}
    parquet.write_table(arrow.table(columns), tmp_path / "trace.parquet")
    with pytest.raises(InputError, match=f"row {rows + 2}, output: bad number of tokens, given '0'"):
        read_trace(tmp_path / "trace.parquet")
    assert len(read_trace(tmp_path / "trace.parquet", most=rows).requests) == rows


def test_what_is_wrong_beyond_the_first_rows_read_has_its_line_too(tmp_path: Path) -> None:
    rows = trace_tables.ROWS
    text = "arrival_s,prompt,output\n" + "".join(f"{second},5,5\n" for second in range(rows))
    with pytest.raises(InputError, match=rf"trace.csv:{rows + 2}: arrival_s: .* not in order, given '{rows - 2} after {rows - 1}'"):
        read_trace(written(tmp_path, text + f"{rows - 2},5,5\n"))
    with pytest.raises(InputError, match=rf"trace.csv:{rows + 3}: output: bad number of tokens"):
        read_trace(written(tmp_path, text + f"\n{rows},5,five\n"))
    assert len(read_trace(written(tmp_path, text + f"{rows},5,5\n")).requests) == rows + 1


ROWS = some.lists(some.tuples(some.integers(0, 10**6), some.integers(1, 5), some.integers(0, 5)), min_size=1, max_size=40)


@given(rows=ROWS, most=some.integers(1, 50))
def test_the_first_of_a_trace_are_those_of_the_whole_and_failures_among_them_count(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, int, int]], most: int
) -> None:
    folder, kept = tmp_path_factory.mktemp("first"), sorted(rows)
    answered = [place for place, row in enumerate(kept) if row[2] > 0]
    body = "".join(f"{time},x,{prompt},{output},9,y\n" for time, prompt, output in kept)
    path = written(folder, BURST.splitlines()[0] + "\n" + body)
    if not answered:
        with pytest.raises(InputError, match="no request with an answer"):
            read_trace(path, most=most)
        return
    found = read_trace(path, most=most)
    first = answered[:most]
    assert found.requests.output.tolist() == [kept[place][2] for place in first]
    assert found.requests.arrival.tolist() == [kept[place][0] - kept[first[0]][0] for place in first]
    passed = first[-1] + 1 if len(first) == most else len(kept)
    assert found.omitted == passed - len(first)


def test_a_plain_trace_reads_as_it_was_written(tmp_path: Path) -> None:
    made = synthetic.conversations(300, seed=3)
    found = read_trace(written(tmp_path, synthetic.to_csv(made, synthetic.SOURCE))).requests
    assert found.arrival == pytest.approx(made.arrival, abs=0.0005)
    assert found.prompt.tolist() == made.prompt.tolist()
    assert found.output.tolist() == made.output.tolist()


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


def test_lengths_come_from_a_trace_or_a_file(tmp_path: Path) -> None:
    assert lengths_in(str(written(tmp_path, AZURE))).prompt.tolist() == [374, 396]
    assert len(lengths_in("synthetic-conversations").prompt) == synthetic.COUNT
    with pytest.raises(InputError, match=r"unknown lengths, given 'synthetic-conversation', .*; did you mean synthetic-conversations"):
        lengths_in("synthetic-conversation")
