"""Power to find effects of item features."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats

import eirt
from eirt.plans import Plan, approximate_power


def test_the_approximation_is_regression_where_persons_abound():
    """Then items are observed without error, and power is that of a two-sample t test."""
    table = eirt.power(0.7, persons=10**9, items=24, item_sd=0.8, replicates=0)
    se = 0.8 * np.sqrt(2 / 12)
    found = scipy.stats.nct(22, 0.7 / se)
    far = scipy.stats.t(22).ppf(0.975)
    assert table["approximate"][0] == pytest.approx(found.sf(far) + found.cdf(-far), abs=1e-6)
    assert table.loc[0, "power":"coverage"].isna().all()


def test_without_residuals_persons_limit_the_approximation():
    """Conditional likelihood of two item types: information N E{p (1 - p)} an item, less one."""
    x = np.column_stack([np.ones(2000), np.arange(2000) % 2])
    plan = Plan({"x": 0.1}, "binary", (0.0, 1e-6), 0.0)
    p = 1 / (1 + np.exp(-np.array([0.0, 0.1])))
    se = np.sqrt(np.sum(1 / (1000 * 50 * p * (1 - p))))
    power = scipy.stats.norm.sf(1.96 - 0.1 / se)
    assert approximate_power(plan, x, 50, 0.05)[0] == pytest.approx(power, abs=2e-3)


@pytest.mark.slow
def test_simulation_and_approximation_agree():
    table = eirt.power(0.8, persons=120, items=[16, 30], item_sd=0.7, replicates=150, seed=2)
    assert table["items"].tolist() == [16, 30]
    assert (table["power"] - table["approximate"]).abs().max() < 3 * table["power_se"].max()
    assert (table["coverage"] - 0.95).abs().max() < 0.055
    assert (table["estimate"] - 0.8).abs().max() < 3 * 0.4 / np.sqrt(150)
    np.testing.assert_allclose(table["se"] / table["se_z"], np.sqrt([16 / 14, 30 / 28]))
    assert (table["power_z"] >= table["power"]).all()
    assert (table["replicates"] == 150).all()


def test_several_features_of_given_items():
    frame = pd.DataFrame(
        {"a": [0, 1] * 6, "b": np.linspace(-1, 1, 12), "name": list("abcdefghijkl")}
    )
    effects = {"b": 1.0, "a": 0.0}
    table = eirt.power(effects, persons=[40, 80], item_sd=0.3, features=frame, replicates=2)
    assert table["term"].tolist() == ["b", "a"] * 2
    assert table["persons"].tolist() == [40, 40, 80, 80]
    assert table["effect"].tolist() == [1.0, 0.0] * 2
    again = eirt.power(effects, persons=80, item_sd=0.3, features=frame, replicates=2)
    pd.testing.assert_frame_equal(table[2:].reset_index(drop=True), again)
    assert again["approximate"][1] == pytest.approx(0.05)


def test_a_fit_is_taken_as_the_truth(fits):
    fit = fits("lltm_residuals")
    table = eirt.power(fit, replicates=4, seed=1)
    truth = fit.fixed.set_index("term")["estimate"].drop("(Intercept)")
    np.testing.assert_allclose(table.set_index("term")["effect"], truth)
    assert (table["persons"] == 316).all()
    np.testing.assert_allclose(table["estimate"], truth, atol=0.5)
    fewer = eirt.power(fits("lltm"), persons=60, replicates=3)
    assert fewer[["se", "power"]].isna().all(axis=None)  # no residuals, no t tests
    assert fewer["se_z"].to_numpy() == pytest.approx(
        fits("lltm").fixed["se"][1:] * np.sqrt(316 / 60), rel=0.25
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"items": 20, "item_sd": 1.0}, "number of persons; give persons="),
        ({"persons": 20, "item_sd": 1.0}, "number of items; give items="),
        ({"persons": 20, "items": 20}, "give item_sd="),
        ({"persons": 20, "items": 2, "item_sd": 1.0}, "2 items leave nothing"),
        ({"persons": 1, "items": 20, "item_sd": 1.0}, "persons=1 cannot vary"),
        ({"persons": 9, "items": 20, "item_sd": -1.0}, "item_sd=-1.0"),
        ({"persons": 9, "items": 20, "item_sd": 1.0, "alpha": 5}, "alpha=5"),
        ({"persons": 9, "items": 20, "item_sd": 1.0, "features": "odd"}, "No features 'odd'"),
    ],
)
def test_impossible_plans_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        eirt.power(0.5, **options)


def test_plans_that_do_not_fit_what_is_given_are_refused(fits):
    with pytest.raises(ValueError, match="has its own items"):
        eirt.power(fits("lltm"), items=20)
    with pytest.raises(eirt.DataError, match="no column c"):
        eirt.power({"c": 1.0}, persons=50, item_sd=1.0, features=pd.DataFrame({"a": [0, 1] * 5}))
