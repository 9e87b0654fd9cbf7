"""The helpers of the benchmarks."""

import pathlib
import sys

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import curve_fit

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def timing(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    import timing

    return timing


@pytest.fixture
def random_items(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    import bench_random_items

    return bench_random_items


@pytest.fixture
def inference(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    import bench_inference

    return bench_inference


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


def test_random_items_simulates_a_crossed_design(random_items):
    data = random_items.simulate(np.random.default_rng(1))
    assert len(data) == data.groupby(["id", "item"]).ngroups == 155 * 36
    features = data.groupby("item")[random_items.FEATURES]
    assert (features.nunique() == 1).all(axis=None)
    assert features.first()["relevance"].sum() == 18
    assert data["resp"].isin([0, 1]).all()


def test_random_items_regresses_by_items(random_items):
    data = random_items.simulate(np.random.default_rng(2))
    estimates, se = random_items.by_items(data)
    items = data.groupby("item")
    right, n = items["resp"].sum() + 0.5, items["resp"].size() + 1
    x = items[random_items.FEATURES].first().to_numpy()
    y = np.log(right / (n - right))
    expected, covariance = curve_fit(lambda x, a, *b: a + x @ b, x, y, p0=np.zeros(5))
    np.testing.assert_allclose(estimates, expected[1:], rtol=1e-6)
    np.testing.assert_allclose(se, np.sqrt(np.diagonal(covariance))[1:], rtol=1e-6)


def test_random_items_tests_and_counts(random_items):
    # 2.0 standard errors: outside the normal limits, inside those of t on 31 df; 2.1: outside
    # both, but not with the corrected standard error
    found = [("brightness", z, 1.0) for z in (0.0, 2.0, -2.1, 2.5)]
    models = [random_items.LLTM, random_items.CROSSED, random_items.BY_ITEMS]
    effects = pd.concat(
        pd.DataFrame(found, columns=["feature", "estimate", "se"]).assign(model=model)
        for model in models
    )
    rows = random_items.rejections(effects)
    assert [row["rejected"] for row in rows] == [0.75, 0.5, 0.75, 0.5, 0.25, 0.5]
    assert rows[0]["se of it"] == pytest.approx(np.sqrt(0.75 * 0.25 / 4))
    lltm, crossed = random_items.accuracy(effects)
    assert crossed["bias"] == pytest.approx(0.6)
    assert crossed["mean SE"] == 1.0
    assert [crossed[f"covered, {test}"] for test in ("z", "t", "t, corrected SE")] == [
        0.25,
        0.5,
        0.75,
    ]
    assert lltm["covered, t, corrected SE"] is None


def test_inference_counts(inference):
    rows = [{"parameter": "a", "covered": x} for x in (1.0, 0.8, 0.9, 1.0)]
    (row,) = inference.coverage(rows, 10)
    assert row["intervals"] == 40
    assert row["covered, %"] == pytest.approx(92.5)
    ps = [{"a": p, "b": p**4} for p in (np.arange(100) + 0.5) / 100]
    even, small = inference.uniformity(ps)
    assert even["rejected at 5%, %"] == 5.0
    assert even["Kolmogorov-Smirnov p"] > 0.9
    assert small["Kolmogorov-Smirnov p"] < 1e-4
    variance = inference.spread([{"EAP": 1.0}, {"EAP": 2.0}])[0]
    assert variance["mean"] == 1.5
    assert variance["true"] == inference.ABILITY_SD**2


@pytest.mark.slow
def test_p_values_are_uniform_and_plausible_values_as_variable_as_abilities(inference):
    ps, variances = zip(*inference.replicated(inference.tests_study, 60, 7), strict=True)
    for row in inference.uniformity(ps):
        assert row["Kolmogorov-Smirnov p"] > 0.005, row["test"]
    plausible, eap, _ = inference.spread(variances)
    assert abs(plausible["mean"] - plausible["true"]) < 3 * plausible["Monte-Carlo se"]
    assert eap["mean"] < plausible["mean"] - 0.2


@pytest.mark.slow
@pytest.mark.parametrize("study", ["items_study", "features_study"])
def test_intervals_cover(inference, study):
    found = inference.replicated(getattr(inference, study), 60, 8)
    for row in inference.coverage(sum(found, []), 1):
        assert abs(row["covered, %"] - 95) < 3 * max(row["Monte-Carlo se"], 2.8)


def test_what_got_slower_is_said(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    import check

    now = {"a": 1.0, "b": 2.0, "c": 0.5, "d": 1.0}
    rows = check.verdict(now, {"a": 1.1, "b": 1.0, "c": 1.0})
    assert [row["it is"] for row in rows] == ["same", "slower", "faster", "new"]
