"""Profile likelihood, bootstrap and simulation."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.stats

import eirt
from eirt.profiles import find_root
from eirt.refits import anchors_of, on_design
from eirt.samples import of_persons
from tests.conftest import COLUMNS, FEATURES

# ---- profile likelihood ----------------------------------------------------------------------


@pytest.mark.slow
def test_profile_agrees_with_lme4(fits, reference):
    there = reference("verbagg_profile")["profile"]
    theirs = dict(zip(there["rows"], there["values"], strict=True))
    names = {"mode[do]": "modedo", "sd[item|(Intercept)]": ".sig02"}
    found = fits("laplace").profile(list(names)).set_index("parameter")
    for ours, name in names.items():
        # lme4 interpolates between the points of its profile
        np.testing.assert_allclose(found.loc[ours, ["lower", "upper"]].astype(float),
                                   theirs[name], atol=2e-3)  # fmt: skip


def test_at_its_limits_the_likelihood_ratio_is_critical(va):
    fit = eirt.lltm(va, f"~ {FEATURES}", **COLUMNS)
    name = "sd[id|(Intercept)]"
    row = fit.profile(name, level=0.9).iloc[0]
    assert row["estimate"] == dict(zip(fit.names, fit.full, strict=True))[name]
    for value in row[["lower", "upper"]]:
        there = eirt.lltm(va, f"~ {FEATURES}", anchors={name: value}, **COLUMNS)
        lost = 2 * (fit.loglik - there.loglik)
        assert lost == pytest.approx(scipy.stats.chi2.isf(0.1, 1), abs=1e-4)


def test_a_standard_deviation_has_no_limit_below_zero(va):
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"id": np.repeat(np.arange(60), 6), "item": np.tile(list("abcdef"), 60)})
    eta = np.linspace(-1, 1, 6)[pd.factorize(frame["item"])[0]]
    eta = eta + 0.3 * np.repeat(rng.normal(size=60), 6)
    frame["resp"] = (rng.random(360) < 1 / (1 + np.exp(-eta))).astype(int)
    fit = eirt.rasch(frame)
    row = fit.profile("sd[id|(Intercept)]").iloc[0]
    assert row["lower"] == 0.0
    assert row["upper"] > row["estimate"]


def test_conditional_estimates_have_profiles(fits):
    fit = fits("lltm_cml")
    found, own = fit.profile("mode[do]").iloc[0], fit.fixed.set_index("term").loc["mode[do]"]
    assert found["lower"] == pytest.approx(own["lower"], abs=2e-3)
    assert anchors_of(fit, fit.names)["(Intercept)"] == 0.0


def test_roots_are_found():
    assert find_root(lambda x: x, 1.0, 2.0, 3.0, 50.0) == pytest.approx(1.0)
    assert find_root(lambda x: np.tanh(x), 0.0, 1.0, 1.96, 50.0) == np.inf
    assert find_root(lambda x: np.expm1(x), 0.0, 1.0, 1.96, 50.0) == pytest.approx(
        np.log(2.96), abs=1e-5
    )


# ---- limits ----------------------------------------------------------------------------------


def test_wald_limits_are_those_of_the_table(fits):
    fit = fits("lltm")
    table, fixed = fit.confint().set_index("parameter"), fit.fixed.set_index("term")
    np.testing.assert_allclose(table.loc[fixed.index, "lower"], fixed["lower"])
    narrow = fit.confint("mode[do]", level=0.5).iloc[0]
    assert narrow["upper"] - narrow["estimate"] == pytest.approx(0.67449 * narrow["se"], rel=1e-4)
    robust = fit.confint("mode[do]", kind="sandwich").iloc[0]
    assert robust["se"] == np.sqrt(fit.covariance("sandwich").loc["mode[do]", "mode[do]"])


def test_limits_that_cannot_be_had_are_refused(fits):
    fit = fits("lltm")
    with pytest.raises(ValueError, match="No method 'walt'"):
        fit.confint(method="walt")
    with pytest.raises(ValueError, match=r"no parameter 'mode\[d\]'.*'mode\[do\]'"):
        fit.profile("mode[d]")
    with pytest.raises(ValueError, match="is fixed: it has no interval"):
        fits("lltm_cml").profile("(Intercept)")


def test_cells_that_nobody_is_left_in_change_nothing():
    """With a predictor of its own for each response, resampled designs have fewer cells."""
    rng = np.random.default_rng(5)
    person, x = np.repeat(np.arange(60), 5), rng.normal(size=300)
    ability = rng.normal(size=60)[person]
    y = (rng.random(300) < 1 / (1 + np.exp(-ability - 0.5 * x))).astype(int)
    fit = eirt.eirm(pd.DataFrame({"id": person, "x": x, "y": y}), "y ~ x + (1 | id)")
    chosen = rng.integers(60, size=60)
    fewer, whole = (of_persons(fit.design, chosen, keep_cells=kept) for kept in (False, True))
    assert len(fewer.x) < len(whole.x) == 300
    a, b = (on_design(fit, design, "again", fit.full) for design in (fewer, whole))
    assert a.loglik == pytest.approx(b.loglik, abs=1e-8)
    np.testing.assert_allclose(a.full, b.full, atol=1e-6)
    np.testing.assert_allclose(a.vcov, b.vcov, atol=1e-6)


# ---- simulation ------------------------------------------------------------------------------


def test_simulated_frames_are_like_the_data(fits, va):
    fit = fits("lltm_person")
    frame = fit.simulate(seed=1)
    assert list(frame.columns) == ["id", "btype", "situ", "mode", "r2"]
    assert len(frame) == len(va)
    assert set(frame["r2"]) == {"N", "Y"}
    assert frame.equals(fit.simulate(seed=1))
    assert not frame["r2"].equals(fit.simulate(seed=2)["r2"])
    features = frame[["btype", "situ", "mode"]].astype(str)
    pd.testing.assert_frame_equal(features, va[features.columns].astype(str), check_like=True)
    several = fit.simulate(3, seed=1)
    assert several["simulation"].value_counts().tolist() == [len(va)] * 3


def test_responses_are_drawn_from_given_parameters(fits, va):
    fit = fits("nested")
    given = {"mode[do]": -2.0, "btype[scold]": 0.0, "sd[item|(Intercept)]": 0.0}
    frame = fit.simulate(8, seed=3, parameters=given)
    again = eirt.lltm(
        frame.assign(id=frame["id"].astype(str) + "." + frame["simulation"].astype(str)),
        "~ btype + situ + mode",
        **COLUMNS,
    )
    found = again.fixed.set_index("term")[["estimate", "se"]]
    assert found.loc["mode[do]", "estimate"] == pytest.approx(-2.0, abs=0.1)
    assert found.loc["btype[scold]", "estimate"] == pytest.approx(0.0, abs=0.1)
    kept = fit.fixed.set_index("term").loc["situ[self]", "estimate"]
    assert found.loc["situ[self]", "estimate"] == pytest.approx(kept, abs=0.1)
    with pytest.raises(ValueError, match="Did you mean 'mode"):
        fit.simulate(parameters={"mode[does]": 0.0})


@pytest.mark.parametrize("name", ["lltm_person", "groups_rasch", "2pl"])
def test_simulated_responses_have_the_moments_of_the_model(fits, name):
    """Means of items, and the variance of scores that abilities make."""
    fit = fits(name)
    y = (fit.simulate(60, seed=4)["r2"] == "Y").to_numpy().reshape(60, -1).astype(float)
    design = fit.design
    expected = fit.predict(effects="average")
    mean, se = y.mean(), y.mean(axis=1).std() / np.sqrt(60)
    assert abs(mean - expected.mean()) < 4 * se
    scores = np.array([np.bincount(design.obs_person, row) for row in y])
    observed = np.bincount(design.obs_person, design.y)
    assert scores.var(axis=1).mean() == pytest.approx(observed.var(), rel=0.15)


def test_estimated_effects_keep_persons_apart(fits):
    fit = fits("nested")
    old = fit.simulate(40, seed=1, effects="estimated").groupby(["id"])["r2"]
    rate = old.agg(lambda column: (column == "Y").mean())
    ability = fit.effects("id").set_index("level")["estimate"]
    ability.index = ability.index.astype(str)
    assert np.corrcoef(rate, ability.loc[rate.index.astype(str)])[0, 1] > 0.95
    new = fit.simulate(40, seed=1).groupby("id")["r2"].agg(lambda column: (column == "Y").mean())
    assert new.std() < 0.5 * rate.std()


def test_what_cannot_be_simulated_is_refused(fits):
    with pytest.raises(eirt.DataError, match="no distribution to draw from"):
        fits("rasch_cml").simulate()
    with pytest.raises(ValueError, match="No effects 'old'"):
        fits("rasch").simulate(effects="old")
    with pytest.raises(ValueError, match="n=0"):
        eirt.simulate(fits("rasch"), 0)


def test_categories_keep_their_labels(va):
    fit = eirt.rsm(va, check=False)
    frame = fit.simulate(seed=3)
    assert set(frame["resp"]) == {"no", "perhaps", "yes"}
    share = frame["resp"].value_counts(normalize=True)
    own = va["resp"].value_counts(normalize=True)
    np.testing.assert_allclose(share[own.index], own, atol=0.05)


# ---- bootstrap -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["parametric", "cluster"])
def test_bootstrap_errors_are_like_those_of_the_information(va, kind):
    fit = eirt.lltm(va, "~ btype + mode", check=False, **COLUMNS)
    found = fit.bootstrap(60, kind, seed=1)
    assert len(found.estimates) + found.failed == 60
    sd = np.sqrt(np.diag(found.covariance()))
    kinds = {"parametric": "observed", "cluster": "sandwich"}
    se = np.sqrt(np.diag(fit.covariance(kinds[kind])))
    np.testing.assert_allclose(sd, se, rtol=0.35)
    table = found.confint("mode[do]").iloc[0]
    assert table["lower"] < table["estimate"] < table["upper"]
    again = fit.confint("mode[do]", method="bootstrap", n=60, kind=kind, seed=1).iloc[0]
    assert again["lower"] == table["lower"]
    assert repr(found).startswith(f"<{kind} bootstrap of LLTM: ")


def test_studentised_limits_by_hand(va):
    fit = eirt.lltm(va, "~ mode", check=False, **COLUMNS)
    found = fit.bootstrap(40, seed=2)
    assert found.errors.shape == found.estimates.shape
    se = np.sqrt(np.diag(fit.vcov))
    np.testing.assert_allclose(found.errors.mean(), se, rtol=0.1)
    name = "sd[id|(Intercept)]"
    place = fit.names.index(name)
    t = (found.estimates[name] - fit.full[place]) / found.errors[name]
    row = fit.confint(name, 0.8, method="bootstrap-t", n=40, seed=2).iloc[0]
    assert row["lower"] == pytest.approx(fit.full[place] - se[place] * t.quantile(0.9))
    assert row["upper"] == pytest.approx(fit.full[place] - se[place] * t.quantile(0.1))
    with pytest.raises(ValueError, match="No method 'z'"):
        found.confint(method="z")


def test_conditional_fits_resample_persons(fits, va):
    fit = fits("lltm_cml")
    found = fit.bootstrap(25, "cluster", cluster="id", data=va)
    assert list(found.estimates.columns) == [name for name in fit.design.x_names if name[0] != "("]
    np.testing.assert_allclose(found.estimates.std(), fit.fixed["se"][1:], rtol=0.6)
    with pytest.raises(eirt.DataError, match="no distribution"):
        fit.bootstrap(3)


def test_replicates_without_estimates_are_counted():
    """In so small a sample an item is sometimes solved by all: its easiness is infinite."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame((rng.random((25, 4)) < 0.8).astype(int))
    frame[4] = np.arange(25) > 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", eirt.ConvergenceWarning)
        fit = eirt.rasch(frame.astype(int), wide=True, likelihood=eirt.Conditional())
        found = fit.bootstrap(12, "cluster", seed=3)
    assert found.failed > 0
    assert len(found.estimates) == 12 - found.failed


def test_bootstraps_that_cannot_be_made_are_refused(fits):
    with pytest.raises(ValueError, match="No bootstrap 'wild'"):
        fits("rasch").bootstrap(kind="wild")
    with pytest.raises(ValueError, match="n=1 replicates"):
        fits("rasch").bootstrap(1)
    with pytest.raises(eirt.DataError, match="persons have no cluster"):
        fits("rasch").bootstrap(3, "cluster", cluster={"1": "a"})
