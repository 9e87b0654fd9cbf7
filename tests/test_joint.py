"""Several families in one model: mixed formats, accuracy and response time."""

import numpy as np
import pandas as pd
import pytest

import eirt


@pytest.fixture(scope="module")
def formats(va):
    """Eight items with two categories, sixteen with three."""
    code = va["resp"].cat.codes.to_numpy()
    short = va["item"].isin(list(va["item"].unique()[:8]))
    score = np.where(short, np.minimum(code, 1), code)
    return va.assign(score=score, format=np.where(short, "short", "long"))


def test_items_of_two_formats_are_graded_items(formats):
    """Of two categories the graded model is the 2PL: both say the same."""
    families = {"short": eirt.Bernoulli(), "long": eirt.Cumulative()}
    mixed = eirt.Mixed(families, "format")
    fit = eirt.two_pl(formats, response="score", family=mixed, by_item=True)
    graded = eirt.grm(formats, response="score")
    assert fit.loglik == pytest.approx(graded.loglik, abs=1e-8)
    assert fit.n_params == graded.n_params
    one, other = fit.difficulty(), graded.difficulty()
    assert one[["item", "threshold"]].equals(other[["item", "threshold"]])
    np.testing.assert_allclose(one["difficulty"], other["difficulty"], atol=1e-6)
    np.testing.assert_allclose(one["se"], other["se"], atol=1e-6)
    told = fit.response_parameters["parameter"]
    assert len(told) == 16 and not told.str.contains("S1WantCurse").any()


def test_guessing_beside_graded_items(formats):
    families = {"short": eirt.Guessing(lower=0.1), "long": eirt.Cumulative()}
    mixed = eirt.Mixed(families, "format")
    fit = eirt.two_pl(formats, response="score", family=mixed, by_item=True)
    assert fit.converged
    assert fit.n_params == 64
    new = formats[["item", "format"]].drop_duplicates()
    predicted = fit.predict(new, effects="zero")
    assert predicted[new["format"] == "short"].min() > 0.1
    assert predicted.max() < 2.0


N, K = 400, 30
TRUTH = {"ability ~ speed": 0.4, "measure[accuracy] ~ measure[time]": -0.5}


@pytest.fixture(scope="module")
def times():
    rng = np.random.default_rng(1)
    person = rng.multivariate_normal([0, 0], [[1.0, 0.12], [0.12, 0.09]], N)
    item = rng.multivariate_normal([0.5, 1.0], [[1.0, -0.2], [-0.2, 0.16]], K)
    x = rng.normal(size=K)
    eta = person[:, :1] + item[:, 0] + 0.5 * x
    log_time = item[:, 1] + 0.2 * x - person[:, 1:] + 0.4 * rng.normal(size=(N, K))
    return pd.DataFrame({
        "id": np.repeat(np.arange(N), K),
        "item": np.tile(np.arange(K), N),
        "resp": (rng.uniform(size=(N, K)) < 1 / (1 + np.exp(-eta))).astype(int).ravel(),
        "rt": np.exp(log_time).ravel(),
        "x": np.tile(x, N),
    })  # fmt: skip


@pytest.fixture(scope="module")
def joint(times):
    return eirt.joint_rt(times, features="~ x", likelihood=eirt.Laplace())


def test_recovery_of_both_correlations(joint):
    assert joint.converged
    table = joint.random.set_index("term")
    for term, known in TRUTH.items():
        error = np.tanh(2.0 / np.sqrt(K if "measure" in term else N - 50))
        assert table.loc[term, "correlation"] == pytest.approx(known, abs=2 * error)
    sds = {"ability": 1.0, "speed": 0.3, "measure[accuracy]": 1.0, "measure[time]": 0.4}
    for term, known in sds.items():
        assert (table.loc[term, "variance"] - known**2) / table.loc[term, "se"] < 3.5
    fixed = joint.fixed.set_index("term")
    for term, known in (("measure[accuracy]:x", 0.5), ("measure[time]:x", 0.2)):
        assert abs(fixed.loc[term, "estimate"] - known) < 3.5 * fixed.loc[term, "se"]
    assert joint.response_parameters["estimate"][0] == pytest.approx(0.4, abs=0.02)


def test_what_does_not_correlate_comes_apart(times):
    """With independent abilities and speeds the likelihood is a product of two."""
    few = times[times["id"] < 100]
    both = eirt.eirm(
        joint_rows(few),
        "value ~ 0 + measure:item + diag(0 + ability + speed | id)",
        item="item",
        family=eirt.Mixed({"right": eirt.Bernoulli(), "time": eirt.LogGaussian()}, "measure"),
        likelihood=eirt.Laplace(),
    )
    accuracy = eirt.rasch(few, likelihood=eirt.Laplace())
    time = eirt.lognormal_rt(few, by_item=False)
    assert both.loglik == pytest.approx(accuracy.loglik + time.loglik, abs=1e-5)


def joint_rows(data):
    rows = {"right": ("resp", 1.0, 0.0), "time": ("rt", 0.0, -1.0)}
    return pd.concat([
        data[["id"]].assign(
            item=data["item"].astype(str), measure=name, ability=a, speed=s, value=data[column]
        )
        for name, (column, a, s) in rows.items()
    ])  # fmt: skip


def test_refusals(times, joint):
    with pytest.raises(ValueError, match="no one easiness"):
        joint.item_parameters  # noqa: B018
    with pytest.raises(eirt.DataError, match="rename"):
        eirt.joint_rt(times.rename(columns={"id": "speed"}), person="speed")
    with pytest.raises(eirt.DataError, match="positive"):
        eirt.joint_rt(times.assign(rt=0.0))
    first = times["item"] == times["item"].iloc[0]
    with pytest.raises(eirt.DataError, match="Everybody gave the same 'resp' to item"):
        eirt.joint_rt(times.assign(resp=times["resp"].where(~first, 1)), items="fixed")
    with pytest.raises(ValueError, match="No items"):
        eirt.joint_rt(times, items="both")
    family = eirt.Mixed({"a": eirt.Bernoulli(), "b": eirt.Poisson()}, "kind")
    with pytest.raises(eirt.DataError, match="'c'"):
        eirt.eirm(times.assign(kind="c"), "resp ~ 0 + kind + (1 | id)", family=family)
    with pytest.raises(ValueError, match="by name"):
        eirt.Mixed({"a": family}, "kind")
