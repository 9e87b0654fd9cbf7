"""Comparison of fits."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats

import eirt
from eirt.inference import nested_in
from eirt.lr_bootstrap import bootstrap_ratios
from tests.conftest import COLUMNS


def test_compare_orders_and_tests(fits):
    table = eirt.compare(fits("2pl"), fits("lltm"), fits("rasch"))
    assert list(table["model"]) == ["LLTM", "Rasch", "2PL"]
    assert list(table["against"].fillna("")) == ["", "LLTM", "Rasch"]
    np.testing.assert_allclose(table["chi2"][1:], [159.4165, 40.9553], atol=1e-3)
    assert list(table["df"][1:]) == [19, 23]
    assert table["p"][2] == pytest.approx(scipy.stats.chi2.sf(40.9553, 23), rel=1e-3)


def test_an_added_variance_is_tested_at_its_boundary(fits):
    table = eirt.compare(fits("lltm"), fits("nested"))
    chi2 = 2 * (fits("nested").loglik - fits("lltm").loglik)
    assert table["p"][1] == pytest.approx(scipy.stats.chi2.sf(chi2, 1) / 2, rel=1e-9)


def test_what_is_not_nested_is_not_tested(fits):
    table = eirt.compare(fits("nested"), fits("rasch"))
    assert table["against"].isna().all()
    assert not nested_in(fits("rasch"), fits("1pl"))
    assert nested_in(fits("lltm"), fits("nested_person"))
    # Laplace's log-likelihood is not comparable with quadrature's
    assert not nested_in(fits("lltm"), fits("laplace"))
    assert "kind" not in table
    table = eirt.compare(fits("lltm"), fits("laplace"))
    assert table["kind"].tolist() == ["marginal", "Laplace"]


def test_different_data_are_refused(va, fits):
    fewer = eirt.rasch(va[va["id"].astype(str) != "1"], **COLUMNS)
    with pytest.raises(eirt.DataError, match="different responses"):
        eirt.compare(fits("rasch"), fewer)
    moved = va.assign(r2=np.roll(va["r2"].to_numpy(), 1000))  # as many, with the same total
    with pytest.raises(eirt.DataError, match="different responses"):
        eirt.compare(fits("lltm"), eirt.rasch(moved, **COLUMNS))
    with pytest.raises(ValueError, match="two fits"):
        eirt.compare(fits("rasch"))


def test_the_order_of_rows_does_not_hide_that_models_are_nested(va, fits):
    shuffled = va.sample(frac=1.0, random_state=2)
    lltm = eirt.lltm(shuffled, "~ btype + situ + mode", **COLUMNS)
    assert nested_in(lltm, fits("rasch"))


# ---- features of few items -------------------------------------------------------------------


def test_features_are_tested_on_items(fits):
    fit = fits("lltm_residuals")
    table, fixed = fit.feature_tests(), fit.fixed
    assert table["term"].tolist() == fixed["term"].tolist()
    np.testing.assert_allclose(table["estimate"], fixed["estimate"])
    np.testing.assert_allclose(table["se"], fixed["se"] * np.sqrt(24 / 19))
    assert (table["df"] == 19).all()
    expected = scipy.stats.t(19)
    np.testing.assert_allclose(table["p"], 2 * expected.sf(table["t"].abs()))
    np.testing.assert_allclose(
        table["upper"], table["estimate"] + expected.ppf(0.975) * table["se"]
    )


def test_features_of_groups_are_tested_on_groups():
    rng = np.random.default_rng(7)
    template = np.arange(30) // 3
    x, w = rng.normal(size=10)[template], rng.normal(size=30)
    easiness = 0.5 * x + 0.3 * w + 0.5 * rng.normal(size=10)[template]
    eta = rng.normal(size=(200, 1)) + easiness
    resp = (rng.random(eta.shape) < 1 / (1 + np.exp(-eta))).astype(int)
    frame = pd.DataFrame({"id": np.repeat(np.arange(200), 30), "resp": resp.ravel()})
    items = {"item": np.arange(30), "template": template, "x": x, "w": w}
    frame = frame.assign(**{name: np.tile(values, 200) for name, values in items.items()})
    formula = "~ x + w + (1 | template)"
    both = eirt.lltm(frame, f"{formula} + (1 | item)").feature_tests().set_index("term")
    assert both.loc[["x", "w"], "df"].tolist() == [8, 27]
    groups = eirt.lltm(frame, formula)
    found = groups.feature_tests().set_index("term")
    assert found.loc[["x", "w"], "df"].tolist() == [8, np.inf]
    there = groups.fixed.set_index("term").loc["w"]
    assert found.loc["w", "p"] == pytest.approx(there["p"])
    assert found.loc["w", "lower"] == pytest.approx(there["lower"])


def test_families_within_others():
    """At the bound of a parameter the statistic is zero half of the time (Self & Liang, 1987)."""
    poisson, negative = eirt.Poisson(), eirt.NegativeBinomial()
    assert negative.beyond(poisson) == 1
    assert poisson.beyond(negative) is None
    assert eirt.ZeroInflated(poisson).beyond(poisson) == 1
    assert eirt.ZeroInflated(negative).beyond(poisson) == 2
    assert eirt.ZeroInflated(negative).beyond(eirt.ZeroInflated(poisson)) == 1
    assert eirt.Hurdle(negative).beyond(eirt.Hurdle(poisson)) == 1
    assert eirt.Hurdle(poisson).beyond(poisson) is None
    assert eirt.BetaBinomial(4).beyond(eirt.Binomial(4)) == 1
    assert eirt.BetaBinomial(4).beyond(eirt.Binomial(5)) is None
    assert eirt.Nominal(3).beyond(eirt.Adjacent(3)) == 0
    assert eirt.Guessing().beyond(eirt.Bernoulli()) == 1
    assert eirt.Guessing().beyond(eirt.Guessing(0.25)) == 0
    assert eirt.Guessing(upper=None).beyond(eirt.Guessing()) == 1
    assert eirt.Guessing(0.25).beyond(eirt.Guessing()) is None
    assert eirt.Guessing().beyond(eirt.Bernoulli("probit")) is None


def test_a_family_against_a_special_case():
    ticks = eirt.load("grouseticks")
    fits = [
        eirt.eirm(ticks, "TICKS ~ YEAR + (1 | BROOD)", family=family)
        for family in (eirt.Poisson(), eirt.NegativeBinomial())
    ]
    test = eirt.compare(*fits).iloc[1]
    assert test["df"] == 1
    assert test["p"] == pytest.approx(scipy.stats.chi2.sf(test["chi2"], 1) / 2)


def test_values_that_are_given_are_no_free_effects():
    ticks, family = eirt.load("grouseticks"), eirt.Poisson()

    def fit(formula):
        return eirt.eirm(ticks, f"TICKS ~ {formula} + (1 | BROOD)", family=family, check=False)

    plain, free = fit("1"), fit("YEAR + cHEIGHT")
    given, both = fit("offset(cHEIGHT / 100)"), fit("YEAR + offset(cHEIGHT / 100)")
    assert nested_in(plain, free)
    assert nested_in(given, free)
    assert nested_in(given, both)
    assert not nested_in(plain, both)


def test_features_need_residuals_of_items(fits):
    with pytest.raises(eirt.DataError, match="no random residuals of items"):
        fits("lltm").feature_tests()


def test_a_fit_without_items_is_nested_in_one_with_them(va):
    features = "btype + situ + mode"
    small = eirt.eirm(va, f"r2 ~ {features} + (1 | id)", check=False)
    large = eirt.lltm(va, f"~ {features} + btype:mode", check=False, **COLUMNS)
    test = eirt.compare(small, large).iloc[1]
    assert test["df"] == 2
    assert test["chi2"] == pytest.approx(2 * (large.loglik - small.loglik), abs=1e-9)


# ---- parametric bootstrap --------------------------------------------------------------------


def test_bootstrap_ratios_follow_their_chi_square(va):
    """Where persons are many, in any order of rows."""
    shuffled = va.sample(frac=1.0, random_state=3)
    small = eirt.lltm(va, "~ btype + mode", check=False, **COLUMNS)
    large = eirt.lltm(shuffled, "~ btype * mode", check=False, **COLUMNS)
    ratios = bootstrap_ratios(small, large, 80, 1)
    assert len(ratios) == 80
    assert scipy.stats.kstest(ratios, scipy.stats.chi2(2).cdf).pvalue > 0.01
    table = eirt.compare(small, large, bootstrap=80, seed=1)
    beyond = np.sum(ratios >= table["chi2"][1])
    assert table["p_bootstrap"][1] == (1 + beyond) / 81
    assert table["replicates"].fillna(0).tolist() == [0, 80]
    assert pd.isna(table["p_bootstrap"][0])


def test_few_items_make_likelihood_ratios_large():
    """Eight items, one feature that does nothing: the bootstrap corrects the chi-square."""
    rng = np.random.default_rng(4)
    x = np.arange(8) % 2.0
    eta = rng.normal(size=(150, 1)) + 0.9 * rng.normal(size=8)
    resp = (rng.random(eta.shape) < 1 / (1 + np.exp(-eta))).astype(int)
    person, item = np.indices(eta.shape).reshape(2, -1)
    frame = pd.DataFrame({"id": person, "item": item, "x": x[item], "resp": resp.ravel()})
    small, large = (eirt.lltm(frame, f"~ {f} + (1 | item)", check=False) for f in ("1", "x"))
    ratios = bootstrap_ratios(small, large, 150, 1)
    assert (ratios > scipy.stats.chi2.isf(0.05, 1)).mean() > 0.06
    assert ratios.mean() > 1.1


def test_conditional_likelihoods_are_not_drawn_from(fits):
    with pytest.raises(eirt.DataError, match="no distribution to draw from"):
        eirt.compare(fits("lltm_cml"), fits("rasch_cml"), bootstrap=3)


def test_the_conditional_criterion_counts_the_trace_of_the_hat_matrix():
    """Vaida & Blanchard (2005) for a Gaussian random intercept, by dense matrices."""
    rng = np.random.default_rng(0)
    group, x = np.repeat(np.arange(30), 6), rng.normal(size=180)
    y = 1 + 0.5 * x + 0.8 * rng.normal(size=30)[group] + 0.7 * rng.normal(size=180)
    data = pd.DataFrame({"id": group, "x": x, "y": y})
    fit = eirt.eirm(data, "y ~ x + (1 | id)", family=eirt.Gaussian())
    found = fit.conditional_aic()
    sd, s = fit.random["sd"].iloc[0], float(fit.response_parameters["estimate"].iloc[0])
    c = np.column_stack([np.ones(180), x, group[:, None] == np.arange(30)])
    penalty = np.diag(np.r_[0, 0, np.full(30, s**2 / sd**2)])
    hat = c @ np.linalg.solve(c.T @ c + penalty, c.T)
    residual = y - hat @ y
    loglik = -90 * np.log(2 * np.pi * s**2) - residual @ residual / (2 * s**2)
    assert found.edf == pytest.approx(np.trace(hat) + 1, abs=1e-6)  # and the residual sd
    assert found.loglik == pytest.approx(loglik, abs=1e-6)
    assert found.aic == pytest.approx(-2 * found.loglik + 2 * found.edf)


def test_the_conditional_criterion_needs_random_effects(fits):
    conditional = eirt.rasch(eirt.load("lsat7"), wide=True, likelihood=eirt.Conditional())
    with pytest.raises(eirt.DataError, match="no random effects to condition on"):
        conditional.conditional_aic()
