"""Predictions at the data and at new rows."""

import numpy as np
import pandas as pd
import pytest

import eirt


@pytest.mark.parametrize("name", ["rasch", "2pl", "nested", "nested_person", "latreg_2pl"])
def test_predictions_at_the_data_equal_those_at_the_same_rows(va, fits, name):
    fit = fits(name)
    for effects in ("conditional", "average", "zero"):
        here = fit.predict(effects=effects)
        there = fit.predict(va.iloc[:50], effects=effects)
        np.testing.assert_allclose(here[:50], there, atol=1e-12)


def test_some_rows_at_a_time_change_nothing(va, fits, monkeypatch):
    fit, new = fits("latreg_2pl"), va.iloc[100:150]
    whole = [fit.predict(), fit.predict(new)]
    monkeypatch.setattr("eirt.predictions.ELEMENTS", 600)
    parts = [fit.predict(), fit.predict(new)]
    for found, expected in zip(parts, whole, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_scales(fits):
    fit = fits("nested")
    p = fit.predict()
    np.testing.assert_allclose(fit.predict(scale="odds"), p / (1 - p))
    np.testing.assert_allclose(fit.predict(scale="logit"), np.log(p / (1 - p)), atol=1e-9)


def test_population_average_matches_the_data(va, fits):
    fit = fits("rasch")
    observed = (va["r2"] == "Y").groupby(va["item"], observed=True).mean()
    predicted = (
        va.assign(p=fit.predict(effects="average")).groupby("item", observed=True)["p"].mean()
    )
    np.testing.assert_allclose(predicted, observed, atol=0.01)


def test_unseen_levels_get_no_effect(va, fits):
    row = va.iloc[[0]].assign(id="nobody", item="new")
    fit = fits("nested")
    assert fit.predict(row)[0] == pytest.approx(fit.predict(row, effects="zero")[0])


def test_two_pl_carries_covariates_through_its_slopes(va, fits):
    fit = fits("latreg_2pl")
    row = va.iloc[[0]]
    older = row.assign(Anger=row["Anger"] + 1)
    change = fit.predict(older, scale="logit") - fit.predict(row, scale="logit")
    slope = fit.items.set_index("item")["discrimination"][row["item"].iloc[0]]
    gamma = fit.fixed.set_index("term")["estimate"]["Anger"]
    assert change[0] == pytest.approx(slope * gamma)


def test_feature_effects(fits):
    table = fits("nested_person").feature_effects().set_index("term")
    assert table.loc["btype[shout]", "odds_ratio"] == pytest.approx(np.exp(-2.105), abs=2e-3)
    assert -0.40 < table.loc["btype[shout]", "probability"] < -0.30
    assert table.loc["Anger", "probability"] > 0
    assert "(Intercept)" not in table.index


def test_refusals(va, fits):
    fit = fits("lltm")
    with pytest.raises(ValueError, match="No scale"):
        fit.predict(scale="percent")
    with pytest.raises(eirt.FormulaError, match="'mode'"):
        fit.predict(va.drop(columns="mode"))
    with pytest.raises(eirt.FormulaError, match="do not fit"):
        fit.predict(va.iloc[:2].assign(mode=["think", "want"]))


def test_categories(va):
    fit = eirt.grm(va, slopes="unit")
    for effects in ("conditional", "average", "zero"):
        table = fit.predict(scale="categories", effects=effects)
        assert table.shape == (len(va), 3)
        np.testing.assert_allclose(table.sum(axis=1), 1.0, rtol=1e-9)
        np.testing.assert_allclose(table @ [0, 1, 2], fit.predict(effects=effects), rtol=1e-9)
    average = fit.predict(scale="categories", effects="average")[va["item"] == "S1DoCurse"][0]
    observed = va.loc[va["item"] == "S1DoCurse", "resp"].value_counts(normalize=True, sort=False)
    np.testing.assert_allclose(average, observed[list(fit.design.labels)], atol=0.01)


def test_binary_categories_and_none(fits):
    fit = fits("nested")
    table = fit.predict(scale="categories")
    np.testing.assert_allclose(table[:, 1], fit.predict(), rtol=1e-12)
    data = pd.DataFrame({"a": [3, 5, 2, 9], "b": [1, 2, 0, 4], "c": [4, 4, 3, 7]})
    counts = eirt.poisson_counts(data, wide=True)
    with pytest.raises(ValueError, match="Poisson are no categories; scale='response'"):
        counts.predict(scale="categories")
