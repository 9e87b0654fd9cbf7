"""A formula for each parameter, groups, several dimensions: against exact and peer numbers."""

import numpy as np
import pandas as pd
import pytest

import eirt
from tests.conftest import COLUMNS, FEATURES

# exact marginal likelihood (mirt by EM at a fine grid, exact2d.R), or Laplace (galamm)
LOGLIK = {
    "lltm_2pl": (-4081.9230, 1e-3),
    "groups_rasch": (-4035.15566, 1e-3),
    "groups_2pl": (-4014.40084, 1e-3),
    "groups_slopes": (-3980.07736, 1e-3),
    "groups_free": (-3971.69795, 1e-3),
    "rasch_2d": (-3990.06336, 1e-3),
    "2pl_2d": (-3965.2602, 1e-3),
    "bifactor": (-3855.723, 2e-3),
    "nested_2d": (-4025.632, 2e-3),
    "loading_mode": (-4073.2888, 1e-3),
    "loading_btype_mode": (-4067.1291, 1e-3),
    "2pl_laplace": (-4019.1126, 1e-3),
}


@pytest.mark.parametrize("name", LOGLIK)
def test_log_likelihood(fits, name):
    expected, tolerance = LOGLIK[name]
    fit = fits(name)
    assert fit.converged
    assert fit.loglik == pytest.approx(expected, abs=tolerance)


def test_groups_against_mirt(fits, reference):
    pars = pd.DataFrame(reference("verbagg_mixedmirt")["mg_2pl_scalar"]["pars"])
    fit = fits("groups_2pl")
    free = pars[(pars["group"] == "M") & (pars["item"] == "GROUP")].set_index("name")["value"]
    estimates = fit.fixed.set_index("term")["estimate"]
    assert estimates["Gender[M]"] == pytest.approx(free["MEAN_1"], abs=1e-3)
    sd = np.sqrt(free["COV_11"])
    assert np.exp(estimates["log_sd[Gender[M]]"]) == pytest.approx(sd, abs=1e-3)
    women = pars[(pars["group"] == "F") & (pars["item"] != "GROUP")]
    slopes = women.loc[women["name"] == "a1", "value"]
    np.testing.assert_allclose(fit.items["discrimination"], slopes, atol=2e-3)


def test_latent_regression_with_slopes(fits):
    fit = fits("latreg_2pl")
    assert fit.loglik == pytest.approx(-4008.7181, abs=1e-3)
    fixed = fits("latreg_rasch").fixed.set_index("term")
    assert fixed.loc["Anger", "estimate"] == pytest.approx(0.05773, abs=1e-4)
    assert fixed.loc["Anger", "se"] == pytest.approx(0.0170, abs=1e-4)


def test_two_dimensional_rasch_against_exact(fits, reference):
    exact = reference("verbagg_exact2d")["rasch_2d_mode"]
    random = fits("rasch_2d").random
    np.testing.assert_allclose(random["sd"][:2], exact["sd"], atol=1e-3)
    assert random["correlation"][2] == pytest.approx(exact["corr"], abs=1e-3)
    items = fits("rasch_2d").fixed
    np.testing.assert_allclose(items["estimate"], exact["b"], atol=1e-3)
    np.testing.assert_allclose(items["se"], exact["se_b"], rtol=5e-3)


def test_crossed_two_dimensional_model_against_exact(fits, reference):
    exact = reference("verbagg_exact2d")["slope_mode_error"]
    fit = fits("nested_2d")
    assert fit.loglik == pytest.approx(exact["logLik_nested_laplace"], abs=2e-3)
    np.testing.assert_allclose(fit.fixed["estimate"], exact["b"], atol=1e-3)
    np.testing.assert_allclose(fit.fixed["se"], exact["se_b"], rtol=2e-2)
    random = fit.random
    np.testing.assert_allclose(random["sd"][:2], exact["sd_id"], atol=1e-3)
    assert random["correlation"][2] == pytest.approx(exact["corr"], abs=1e-3)
    assert random["sd"][3] == pytest.approx(exact["sd_item"], abs=1e-3)


def test_loadings_against_galamm(fits, reference):
    peer = reference("verbagg_factor")["galamm_load_mode_item"]
    fit = fits("loading_mode")
    beta = list(peer["fixef"].values())
    np.testing.assert_allclose(fit.fixed["estimate"][:5], beta, atol=2e-3)
    steep = np.exp(fit.fixed["estimate"][5:].to_numpy())
    assert steep[1] / steep[0] == pytest.approx(peer["loadings"][1][0], abs=2e-3)
    assert steep[0] ** 2 == pytest.approx(peer["varcorr"]["id"]["var"][0][0], abs=5e-3)


def test_formulas_contain_the_named_models(va, fits):
    by_formula = eirt.explain(
        va, easiness="~ 0 + item", discrimination="~ 0 + item", name="2PL", **COLUMNS
    )
    assert by_formula.loglik == pytest.approx(fits("2pl").loglik, abs=1e-6)
    steep = np.exp(by_formula.fixed["estimate"][24:])
    np.testing.assert_allclose(steep, fits("2pl").items["discrimination"], atol=1e-4)
    common = eirt.explain(va, easiness=f"~ {FEATURES}", discrimination="~ 1", **COLUMNS)
    assert common.loglik == pytest.approx(fits("lltm").loglik, abs=1e-6)
    sd = np.exp(common.fixed["estimate"].iloc[-1])
    assert sd == pytest.approx(fits("lltm").random["sd"][0], abs=1e-4)


def test_residuals_on_both_parameters(fits):
    """The boundary is found: with 24 items the two residuals correlate perfectly."""
    fit = fits("explained")
    assert fit.converged
    assert fit.loglik == pytest.approx(-4066.974, abs=2e-3)
    assert fit.loglik > fits("nested").loglik + 4
    assert fit.random["term"].tolist() == [
        "(Intercept)",
        "(Intercept)",
        "log_discrimination",
        "(Intercept) ~ log_discrimination",
    ]
    assert fit.boundary == ("item|(Intercept) ~ log_discrimination",)
    assert "at one or minus one" in str(fit)
    assert set(fit.effects("item")["term"]) == {"(Intercept)", "log_discrimination"}


def test_items_of_an_explained_fit(fits):
    fit = fits("explained")
    items = fit.items.set_index("item")
    effects = fit.effects("item").pivot(index="level", columns="term", values="estimate")
    beta = fit.fixed.set_index("term")["estimate"]
    mode = np.char.find(items.index.to_numpy(str), "Do") > 0
    expected = np.exp(
        beta["log_discrimination"]
        + mode * beta["log_discrimination[mode[do]]"]
        + effects.loc[items.index, "log_discrimination"]
    )
    np.testing.assert_allclose(items["discrimination"], expected, atol=1e-8)
    assert (items["discrimination_se"] > 0).all()


def test_independent_residuals_are_a_term_each(va):
    fit = eirt.explain(
        va, easiness=f"~ {FEATURES} + (1 || item)", discrimination="~ 1 + (1 | item)", **COLUMNS
    )
    assert fit.random["correlation"].isna().all()
    assert len(fit.random) == 3


def test_testlets(fits):
    fit = fits("testlets")
    assert fit.random["group"].tolist() == ["id", "id:mode"]
    # compound symmetry of two modes: the two-dimensional model with equal variances
    sd, own = fit.random["sd"]
    assert 0 < own < sd
    assert len(fit.effects("id:mode")) == 2 * 316


def test_persons_of_several_dimensions(fits):
    table = fits("2pl_2d").persons()
    assert table["dimension"].unique().tolist() == ["want", "do"]
    assert len(table) == 2 * 316
    assert table.attrs["reliability"] == pytest.approx([0.82, 0.83], abs=0.05)


def test_effects_of_schools_on_ability():
    rng = np.random.default_rng(1)
    n, k, schools = 300, 10, 15
    school = np.arange(n) % schools
    ability = rng.normal(size=n) + 0.8 * rng.normal(size=schools)[school]
    steep, easy = rng.uniform(0.7, 1.6, k), rng.normal(size=k)
    y = rng.uniform(size=(n, k)) < 1 / (1 + np.exp(-(steep * ability[:, None] + easy)))
    frame = pd.DataFrame({
        "id": np.repeat(np.arange(n), k),
        "school": np.repeat(school, k),
        "item": np.tile([f"i{j}" for j in range(k)], n),
        "resp": y.ravel().astype(int),
    })  # fmt: skip
    fit = eirt.explain(
        frame,
        easiness="~ 0 + item",
        discrimination="~ 0 + item",
        discrimination_link="identity",
        ability="~ (1 | school)",
    )
    assert fit.converged
    sd = fit.random.set_index("group")["sd"]
    assert sd["school"] == pytest.approx(0.8, abs=0.35)


def test_anchors_ties_and_priors(va, fits):
    names = [f"discrimination[{item}]" for item in va["item"].cat.categories]
    tied = eirt.two_pl(va, anchors=dict.fromkeys(names[1:], names[0]), **COLUMNS)
    assert tied.n_params == fits("1pl").n_params
    assert tied.loglik == pytest.approx(fits("1pl").loglik, abs=1e-6)
    fixed = eirt.two_pl(va, anchors={names[0]: 1.0}, **COLUMNS)
    assert fixed.items["discrimination"][0] == 1.0
    assert fixed.n_params == 47
    prior = {"discrimination": eirt.LogNormal(0.0, 1e-3)}
    near = eirt.two_pl(va, priors=prior, **COLUMNS)
    np.testing.assert_allclose(near.items["discrimination"], 1.0, atol=0.01)


def test_guessing_with_a_prior():
    rng = np.random.default_rng(2)
    n, k = 1500, 20
    ability, easy = rng.normal(size=n), rng.normal(size=k)
    p = 0.2 + 0.8 / (1 + np.exp(-(1.4 * ability[:, None] + easy)))
    data = pd.DataFrame((rng.uniform(size=(n, k)) < p).astype(int)).add_prefix("i")
    fit = eirt.one_pl(
        data, wide=True, family=eirt.Guessing(), priors={"logit_guessing": eirt.Beta(5, 17)}
    )
    assert fit.response_parameters["estimate"][0] == pytest.approx(0.2, abs=0.06)
    fixed = eirt.one_pl(data, wide=True, family=eirt.Guessing(lower=0.2))
    assert fixed.items["discrimination"][0] == pytest.approx(1.4, abs=0.2)
    np.testing.assert_allclose(fixed.items["easiness"], easy, atol=0.4)


def test_refusals(va):
    def refused(says, error, **formulas):
        with pytest.raises(error, match=says):
            eirt.explain(va, **formulas, **COLUMNS)

    refused("'colour', which is not a column", eirt.FormulaError, discrimination="~ colour")
    refused("persons' effects belong to ability", eirt.FormulaError, discrimination="~ (1 | id)")
    refused("discrimination_link", ValueError, discrimination="~ 1", discrimination_link="probit")
    refused("no left-hand side", eirt.FormulaError, easiness="r2 ~ mode")
    refused("varies within persons", eirt.DataError, ability_sd="~ mode")
    items = list(va["item"].unique())
    with pytest.raises(eirt.DataError, match="belong to no dimension"):
        eirt.mirt(va, {"some": items[:10]}, **COLUMNS)
    with pytest.raises(eirt.DataError, match="'S1WantCurze', which is not"):
        eirt.mirt(va, {"all": [*items, "S1WantCurze"]}, **COLUMNS)
    with pytest.raises(eirt.DataError, match="name of a column"):
        eirt.mirt(va, {"mode": items}, **COLUMNS)
