"""The data among responses simulated from a fit."""

import jax
import numpy as np
import pandas as pd
import pytest

import eirt
from eirt.simulation import draw
from tests.conftest import COLUMNS


def of(table, statistic):
    return table[table["statistic"] == statistic].set_index("of")


@pytest.fixture(scope="module")
def wide(va):
    frame = va.assign(y=(va["r2"] == "Y").astype(int))
    return frame.pivot(index="id", columns="item", values="y")


def test_named_statistics_are_those_of_the_table(rasch, wide):
    table = rasch.predictive_check(["totals", "scores", "items", "item_total", "pairs"], n=10)
    total = wide.sum(axis=1)
    found = of(table, "totals")["observed"]
    assert found["sd"] == pytest.approx(total.std())
    assert found["skewness"] == pytest.approx(
        ((total - total.mean()) ** 3).mean() / total.std() ** 3
    )
    counts = total.value_counts().reindex(range(25), fill_value=0)
    np.testing.assert_array_equal(of(table, "scores")["observed"], counts)
    items = of(table, "items")["observed"]
    np.testing.assert_allclose(items, wide.mean()[items.index])
    rest = of(table, "item_total")["observed"]
    name = "S3DoShout"
    assert rest[name] == pytest.approx(np.corrcoef(wide[name], total - wide[name])[0, 1])
    pairs = of(table, "pairs")["observed"]
    assert len(pairs) == 276
    first, second = pairs.index[17].split(" ~ ")
    cross = pd.crosstab(wide[first], wide[second]).to_numpy() + 0.5
    expected = np.log(cross[0, 0] * cross[1, 1] / (cross[0, 1] * cross[1, 0]))
    assert pairs.iloc[17] == pytest.approx(expected)


def test_p_values_count_the_simulations(rasch):
    def sd(frame):
        return frame.groupby("id")["r2"].agg(lambda r: (r == "Y").sum()).std()

    table = rasch.predictive_check({"sd": sd}, n=19, seed=3)
    draws = rasch.simulate(19, seed=3).groupby("simulation").apply(sd, include_groups=False)
    row = table.iloc[0]
    smaller, larger = (draws <= row["observed"]).sum(), (draws >= row["observed"]).sum()
    assert row["p"] == pytest.approx(min(2 * (1 + min(smaller, larger)) / 20, 1.0))
    assert row["mean"] == pytest.approx(draws.mean())
    assert row["upper"] == pytest.approx(draws.quantile(0.975))
    assert row["observed"] == pytest.approx(of(rasch.predictive_check("totals", n=10), "totals")
                                            .loc["sd", "observed"])  # fmt: skip


def test_items_of_unequal_slopes_stand_out():
    rng = np.random.default_rng(5)
    slope = np.array([0.2, 1, 1, 1, 1, 1, 1, 3.0])
    eta = rng.normal(size=(600, 1)) * slope + np.linspace(-1, 1, 8)
    frame = pd.DataFrame((rng.random(eta.shape) < 1 / (1 + np.exp(-eta))).astype(int))
    fits = eirt.rasch(frame, wide=True), eirt.two_pl(frame, wide=True)
    one, two = (fit.predictive_check("item_total", n=100)["p"] for fit in fits)
    assert one[[0, 7]].max() < 0.021
    assert two.min() > 0.05


def test_crossed_fits_keep_their_items_unless_asked(lltm):
    kept = lltm.predictive_check("items", n=60)
    new = lltm.predictive_check("items", n=60, effects="new")
    assert (new["sd"] > 1.4 * kept["sd"]).mean() > 0.9
    assert kept["p"].min() > 0.2  # the modes follow the data
    y = draw(lltm, jax.random.PRNGKey(0), "new persons")
    assert set(np.unique(y)) == {0.0, 1.0}


@pytest.mark.parametrize("family", ["ordered", "counts"])
def test_other_families(family, va):
    if family == "ordered":
        fit = eirt.eirm(va, "resp ~ btype + (1 | id)", family=eirt.Cumulative(), item="item")
        y, names = va["resp"].map({"no": 0, "perhaps": 1, "yes": 2}).astype(int), [", yes"]
    else:
        rng = np.random.default_rng(1)
        frame = pd.DataFrame({"id": np.repeat(np.arange(80), 5), "item": list("abcde") * 80})
        eta = 0.5 + 0.4 * rng.normal(size=80)[frame["id"]]
        va = frame.assign(resp=rng.poisson(np.exp(eta)))
        fit, y, names = eirt.poisson_counts(va), va["resp"], [", mean"]
    table = fit.predictive_check(["totals", "scores", "items", "item_total", "pairs"], n=20)
    assert np.isfinite(table.drop(columns=["statistic", "of"])).all(axis=None)
    assert table["p"].between(0, 1).all()
    row = of(table, "items").filter(like=names[0], axis=0).iloc[0]
    own = y[va["item"] == va["item"].iloc[0]]
    assert row["observed"] == pytest.approx(
        (own == 2).mean() if family == "ordered" else own.mean()
    )
    pair = of(table, "pairs").iloc[0]
    first, second = fit.design.items[:2]
    columns = va.assign(y=y).pivot(index="id", columns="item", values="y")
    expected = np.corrcoef(columns[first], columns[second])[0, 1]
    assert pair["observed"] == pytest.approx(expected)
    counted = of(table, "scores")["observed"]
    assert counted.sum() == fit.design.persons.size


def test_missing_responses_are_left_out(va):
    some = va.sample(frac=0.7, random_state=1)
    fit = eirt.rasch(some, **COLUMNS)
    table = fit.predictive_check("items", n=10).set_index("of")
    own = (some["r2"] == "Y").groupby(some["item"].astype(str)).mean()
    np.testing.assert_allclose(table["observed"], own[table.index])


def test_functions_may_return_several_numbers(rasch):
    table = rasch.predictive_check(lambda data: data["r2"].value_counts(), n=10)
    assert table["of"].tolist() == ["N", "Y"] or table["of"].tolist() == ["Y", "N"]
    assert table["observed"].sum() == rasch.n_obs


def test_what_cannot_be_checked_is_refused(va, fits):
    with pytest.raises(ValueError, match="No statistic 'total'.*'totals'"):
        fits("rasch").predictive_check("total")
    with pytest.raises(ValueError, match="n=3 simulations"):
        fits("rasch").predictive_check(n=3)
    with pytest.raises(eirt.DataError, match="no distribution to draw from"):
        fits("rasch_cml").predictive_check()
    plain = eirt.eirm(va.drop(columns="item"), "r2 ~ mode + (1 | id)", check=False)
    assert set(plain.predictive_check(n=10)["statistic"]) == {"totals", "scores"}
    with pytest.raises(eirt.DataError, match="does not know the items"):
        plain.predictive_check("pairs")
