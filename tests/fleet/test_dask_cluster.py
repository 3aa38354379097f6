"""Work on a cluster: a real scheduler and real processes on this machine give what processes here give."""

import operator
import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest

distributed = pytest.importorskip("distributed")

from tapeout.design import sweep  # noqa: E402
from tapeout.design.search import search  # noqa: E402
from tapeout.design.store import PREFIX  # noqa: E402
from tapeout.errors import CancelledError, InputError, TapeoutError  # noqa: E402
from tapeout.fleet import dask_cluster  # noqa: E402
from tapeout.fleet.dask_cluster import check_address, connected, program  # noqa: E402
from tapeout.fleet.parallel import crew  # noqa: E402
from tests.design.questions import QUESTION  # noqa: E402

LOOPBACK = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0", "silence_logs": "CRITICAL"}


@pytest.fixture(scope="module")
def processes():
    """Two processes of one thread each."""
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, **LOOPBACK) as cluster:
        yield cluster.scheduler_address


@pytest.fixture
def threads():
    """One worker in this process, which a test may break."""
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=False, protocol="tcp", **LOOPBACK) as cluster:
        yield cluster


def test_every_job_gets_the_shared_value_and_keeps_its_place(processes):
    with connected(processes) as cluster, crew(10, cluster=cluster) as run:
        assert sorted(run(operator.mul, [3, 1, 2])) == [(0, 30), (1, 10), (2, 20)]
        assert dict(run(operator.mul, [])) == {}
        assert dict(run(operator.mul, [7])) == {0: 70}, "a crew works more than once"


def test_what_is_shared_and_what_comes_back_is_a_copy_that_may_be_written(processes):
    shared = [np.arange(3.0)]
    with connected(processes) as cluster, crew(shared, cluster=cluster) as run:
        ((_, doubled),) = run(operator.add, [[np.ones(2)]])
    doubled[0] += 1
    assert [each.tolist() for each in doubled] == [[1, 2, 3], [1, 1]]
    assert shared[0].tolist() == [0, 1, 2]


def test_an_error_in_a_job_is_that_of_the_caller(processes):
    with pytest.raises(ZeroDivisionError), connected(processes) as cluster, crew(1, cluster=cluster) as run:
        list(run(operator.truediv, [1, 0]))


def test_the_search_gives_the_same_bits_as_here(processes, monkeypatch, tmp_path):
    monkeypatch.setattr(sweep, "POINTS_PER_JOB", 7)
    talk = []
    with connected(processes, talk.append) as cluster:
        there = search(QUESTION, cluster=cluster, keep_in=tmp_path)
    assert talk == [f"2 processes work for {processes}"]
    here = search(QUESTION, workers=1)
    assert there.usd_per_token.tobytes() == here.usd_per_token.tobytes()
    assert there.joules_per_token.tobytes() == here.joules_per_token.tobytes()
    assert repr((there.best, there.front, there.certificate)) == repr((here.best, here.front, here.certificate))
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_search_goes_on_here_and_leaves_no_work_on_the_cluster(threads, monkeypatch, tmp_path):
    monkeypatch.setattr(sweep, "POINTS_PER_JOB", 4)

    def interrupt(text):
        if text.startswith("  carried"):
            raise KeyboardInterrupt

    with connected(threads.scheduler_address) as cluster:
        with pytest.raises(CancelledError, match="goes on from there"):
            search(QUESTION, cluster=cluster, keep_in=tmp_path, say=interrupt)
        eventually(lambda: not threads.scheduler.tasks)
    kept = {path.name for folder in tmp_path.glob(f"{PREFIX}*") for path in folder.glob("carried-*")}
    worked = []
    work = sweep.carried_by
    monkeypatch.setattr(sweep, "carried_by", lambda question, wanted: worked.append(len(wanted)) or work(question, wanted))
    again = search(QUESTION, workers=1, keep_in=tmp_path)
    jobs = -(-len(np.unique(sweep.built(QUESTION, 0, QUESTION.space.size).point)) // 4)
    assert 0 < len(kept) < jobs
    assert len(worked) == jobs - len(kept)
    assert again.best == search(QUESTION, workers=1).best


def test_leaving_early_drops_the_jobs_that_have_not_begun(threads):
    with connected(threads.scheduler_address) as cluster:
        with crew(time.sleep, cluster=cluster) as run:
            waiting = run(operator.call, [0.05] * 200)
            next(waiting)
        eventually(lambda: not threads.scheduler.tasks)
        waiting.close()


def eventually(holds):
    """Wait for what another thread does; twenty seconds are for ever."""
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_lost_cluster_is_an_error_that_names_it():
    with distributed.LocalCluster(n_workers=0, **LOOPBACK) as local:
        local.scale(1)
        address = local.scheduler_address
        with connected(address) as cluster, crew(time.sleep, cluster=cluster) as run:
            waiting = run(operator.call, [0.1] * 100)
            next(waiting)
            threading.Thread(target=local.close).start()
            with pytest.raises(TapeoutError, match=f"the cluster at {address} was lost"):
                list(waiting)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "10.0.0.7",
        "host:8786",
        "tcp://host",
        "tcp://host:0",
        "tcp://host:99999",
        "tcp://host:x",
        "udp://host:1",
        "tcp://:1",
        "tcp://a:1/b",
    ],
)
def test_a_malformed_address_is_refused(address):
    with pytest.raises(InputError, match="not the address of a dask scheduler") as found:
        check_address(address)
    assert "tcp://HOST:PORT" in str(found.value)


def test_where_nobody_or_somebody_else_answers_it_says_so():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(InputError, match=r"no dask scheduler answers within 0\.2 s"), connected(address, patience=0.2):
            pass
    with pytest.raises(InputError, match="start one by `dask scheduler`"), connected(address, patience=0.2):
        pass


def test_the_address_of_a_worker_is_not_that_of_a_scheduler(threads):
    with pytest.raises(InputError, match="no dask scheduler answers"), connected(threads.workers[0].address):
        pass


def test_a_scheduler_without_processes_is_refused():
    with distributed.LocalCluster(n_workers=0, **LOOPBACK) as local:
        address = local.scheduler_address
        with pytest.raises(InputError, match=f"no process works .* given '{address}'"), connected(address, patience=0.5):
            pass


def test_a_process_that_runs_another_program_is_refused(processes, monkeypatch, tmp_path):
    here = program()
    (tmp_path / "other.py").write_text("1\n")
    monkeypatch.setattr(dask_cluster, "PACKAGE", tmp_path)
    with pytest.raises(InputError, match="runs another program") as found, connected(processes):
        pass
    assert here in str(found.value)
    assert program() in str(found.value)


def test_the_program_is_another_one_with_another_fact(monkeypatch, tmp_path: Path):
    monkeypatch.setattr(dask_cluster, "PACKAGE", tmp_path)
    found = {program()}
    for name, text in (("a.py", "1"), ("b.toml", "1"), ("b.toml", "2"), ("c.json", "1"), ("c.csv", "1")):
        (tmp_path / name).write_text(text)
        found.add(program())
    (tmp_path / "b.txt").write_text("notes")
    assert program() in found
    assert len(found) == 6
