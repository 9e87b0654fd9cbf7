"""The helpers of the benchmarks."""

import pathlib
import sys

import pytest

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def timing(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    import timing

    return timing


def test_timed_returns_the_result(timing):
    result, seconds = timing.timed(lambda: 3)
    assert result == 3
    assert 0 <= seconds.wall < 1
    assert 0 <= seconds.cpu < 1


def test_rounds_take_turns(timing):
    done = []
    tasks = {name: lambda n=name: done.append(n) or len(done) for name in "ab"}
    assert timing.rounds(tasks, 2) == {"a": [1, 3], "b": [2, 4]}


def test_medians_keep_what_is_no_number(timing):
    runs = [timing.Run(wall, 1.0, 5.0, out) for wall, out in ((3.0, "a"), (1.0, "b"), (2.0, "c"))]
    assert timing.medians(runs) == (2.0, 1.0, 5.0, "c")


def test_run_measures_a_child(timing):
    busy = "import os; x = bytearray(2**27); print(sum(range(10**6)), os.environ['WORD'])"
    found = timing.run([sys.executable, "-c", busy], WORD="said")
    assert found.out.split() == ["499999500000", "said"]
    assert 0 < found.cpu
    assert 0 < found.wall
    assert found.peak_mib > 128


def test_run_says_why_a_child_failed(timing):
    with pytest.raises(RuntimeError, match="no such thing"):
        timing.run([sys.executable, "-c", "raise SystemExit('no such thing')"])


def test_table(timing):
    text = timing.table([{"what": "a", "seconds": 0.01234, "error": -0.00001, "n": None}])
    assert text.splitlines()[-1] == "| a    | 0.0123  | -0.0000 |   |"


def test_machine(timing):
    assert timing.machine(R="4")["R"] == "4"
