"""Published and peer numbers on real data: exact marginal likelihood, lme4, glmmTMB, mirt."""

import numpy as np
import pytest

import eirt
from tests.conftest import COLUMNS

LOGLIK = {
    "rasch": (-4036.90487, 1e-3),
    "1pl": (-4036.90487, 1e-3),
    "2pl": (-4016.42722, 1e-3),
    "lltm": (-4116.61312, 1e-3),
    "lltm_probit": (-4118.96402, 1e-3),
    "lltm_cloglog": (-4126.92393, 1e-3),
    "lltm_person": (-4109.64854, 1e-3),
    "latreg_rasch": (-4029.96162, 1e-3),
    "latreg_2pl": (-4008.7181, 1e-3),
    "laplace": (-4074.91195, 5e-4),
    "laplace_slope": (-4033.147, 1e-2),
    "nested": (-4071.5635, 3e-3),
    "rasch_laplace": (-4039.2485, 5e-3),
    "lsat6": (-2466.653, 1e-3),
    "lsat7": (-2658.805, 1e-3),
}


@pytest.mark.parametrize("name", LOGLIK)
def test_log_likelihood(fits, name):
    expected, tolerance = LOGLIK[name]
    fit = fits(name)
    assert fit.converged
    assert fit.loglik == pytest.approx(expected, abs=tolerance)


def test_rasch_items_against_exact(fits, reference):
    exact = reference("verbagg_rasch")["exact_rasch"]
    items = fits("rasch").items
    np.testing.assert_allclose(items["easiness"], exact["b"], atol=1e-4)
    np.testing.assert_allclose(items["se"], exact["se_b"], rtol=5e-3)
    random = fits("rasch").random
    assert random["sd"][0] == pytest.approx(exact["a"], abs=1e-4)
    assert random["se"][0] == pytest.approx(exact["se_a"], rel=5e-3)


def test_rasch_covariance_against_exact(fits, reference):
    exact = np.array(reference("verbagg_rasch")["exact_rasch"]["vcov"])
    np.testing.assert_allclose(fits("rasch").vcov, exact, rtol=1e-3, atol=1e-7)


def test_two_pl_items_against_exact(fits, reference):
    exact = reference("verbagg_rasch")["exact_2pl"]
    items = fits("2pl").items
    np.testing.assert_allclose(items["easiness"], exact["b"], atol=1e-4)
    np.testing.assert_allclose(items["discrimination"], exact["a"], atol=1e-4)
    np.testing.assert_allclose(items["se"], exact["se_b"], rtol=1e-2)
    np.testing.assert_allclose(items["discrimination_se"], exact["se_a"], rtol=1e-2)
    difficulty = fits("2pl").difficulty()
    expected = -np.array(exact["b"]) / np.array(exact["a"])
    np.testing.assert_allclose(difficulty["difficulty"], expected, atol=1e-3)


def test_two_pl_covariance_against_exact(fits, reference):
    exact = np.array(reference("verbagg_rasch")["exact_2pl"]["vcov"])
    np.testing.assert_allclose(fits("2pl").vcov, exact, rtol=2e-3, atol=1e-6)


@pytest.mark.parametrize("name", ["lltm", "lltm_probit", "lltm_cloglog"])
def test_lltm_against_exact(fits, reference, name):
    exact = reference("verbagg_exact")[name]
    fit = fits(name)
    np.testing.assert_allclose(fit.fixed["estimate"], exact["b"], atol=1e-4)
    np.testing.assert_allclose(fit.fixed["se"], exact["se_b"], rtol=1e-3)
    assert fit.random["sd"][0] == pytest.approx(exact["a"], abs=1e-4)
    assert fit.random["se"][0] == pytest.approx(exact["se_a"], rel=1e-3)


@pytest.mark.parametrize("name", ["lltm_person", "latreg_rasch"])
def test_person_predictors_against_exact(fits, reference, name):
    exact = reference("verbagg_exact")[name]
    fit = fits(name)
    np.testing.assert_allclose(fit.full, exact["est"], atol=1e-4)
    np.testing.assert_allclose(np.sqrt(np.diagonal(fit.vcov)), exact["se"], rtol=1e-3)


@pytest.mark.parametrize("link", ["probit", "cloglog"])
def test_rasch_other_links_against_exact(va, reference, link):
    exact = reference("verbagg_exact")[f"rasch_{link}"]
    fit = eirt.rasch(va, family=eirt.Bernoulli(link), **COLUMNS)
    assert fit.loglik == pytest.approx(exact["logLik"], abs=1e-3)
    np.testing.assert_allclose(fit.items["easiness"], exact["b"], atol=1e-4)
    np.testing.assert_allclose(fit.items["se"], exact["se_b"], rtol=5e-3)


def test_nested_against_nested_quadrature_and_importance_sampling(fits, reference):
    exact = reference("verbagg_exact")["lltm_error"]
    fit = fits("nested")
    assert fit.likelihood.name == "Nested"
    assert fit.loglik == pytest.approx(exact["logLik_nested_laplace"], abs=1e-5)
    np.testing.assert_allclose(fit.fixed["estimate"], exact["est"][:5], atol=1e-3)
    np.testing.assert_allclose(fit.fixed["se"], exact["se"][:5], rtol=1e-3)
    np.testing.assert_allclose(fit.random["sd"], [exact["sd_id"], exact["sd_item"]], atol=1e-4)
    # standard errors of log sd there, of sd here
    np.testing.assert_allclose(fit.random["se"] / fit.random["sd"], exact["se"][5:], rtol=1e-3)
    error, spread = fit.laplace_error, fit.certificate.laplace_error_se
    truth = exact["logLik_importance"] - exact["logLik_nested_laplace"]
    noise = np.hypot(spread, exact["logLik_importance_mcse"])
    assert abs(error - truth) < 3 * noise
    assert spread < 2e-3
    effects = fit.effects("item")
    np.testing.assert_allclose(effects["estimate"], exact["item_effect_mode"], atol=1e-3)
    np.testing.assert_allclose(effects["sd"], exact["item_effect_sd"], rtol=1e-3)


POLISHED = {
    "laplace": "lltm_error",
    "laplace_slope": "slope_mode_error",
    "rasch_laplace": "rasch",
}


@pytest.mark.parametrize("name", POLISHED)
def test_laplace_against_polished_glmmtmb(fits, reference, name):
    exact = reference("verbagg_laplace_polished")[POLISHED[name]]
    fit = fits(name)
    assert fit.loglik == pytest.approx(exact["logLik"], abs=1e-5)
    np.testing.assert_allclose(fit.fixed["estimate"], list(exact["fixef"].values()), atol=1e-4)
    np.testing.assert_allclose(fit.fixed["se"], exact["se_fixef"], rtol=1e-3)
    sds = [sd for block in exact["blocks"].values() for sd in block["sd"]]
    np.testing.assert_allclose(fit.random["sd"].dropna(), sds, rtol=1e-4)


def test_laplace_correlation_against_polished_glmmtmb(fits, reference):
    exact = reference("verbagg_laplace_polished")["slope_mode_error"]["blocks"]["id"]["corr"]
    correlation = fits("laplace_slope").random["correlation"].dropna()
    np.testing.assert_allclose(correlation, [exact[0][1]], atol=1e-4)


@pytest.mark.parametrize("link", ["probit", "cloglog"])
def test_laplace_other_links_use_observed_information(va, reference, link):
    exact = reference("verbagg_laplace_polished")[f"{link}_lltm"]
    formula = "~ btype + situ + mode"
    options = {"family": eirt.Bernoulli(link), **COLUMNS}
    fit = eirt.lltm(va, formula, likelihood=eirt.Laplace(), **options)
    assert fit.loglik == pytest.approx(exact["logLik"], abs=1e-4)
    expected = eirt.lltm(va, formula, likelihood=eirt.Laplace("expected"), **options)
    assert abs(expected.loglik - fit.loglik) > 0.05


@pytest.mark.parametrize("nodes", [3, 5, 7, 11])
def test_adaptive_quadrature_against_lme4(va, reference, nodes):
    exact = reference("verbagg_rasch_glmm")[f"glmer_agq{nodes}"]["logLik"]
    likelihood = eirt.AdaptiveQuadrature(nodes)
    fit = eirt.rasch(va, likelihood=likelihood, check=False, **COLUMNS)
    assert fit.loglik == pytest.approx(exact, abs=1e-3)


@pytest.mark.parametrize("name", ["lsat6", "lsat7"])
def test_two_pl_against_mirt(fits, reference, name):
    table = reference("mirt_datasets")[name]["pl2"]["pars"]
    values = {
        parameter: [
            v
            for v, p, g in zip(table["value"], table["name"], table["item"], strict=True)
            if p == parameter and g != "GROUP"
        ]
        for parameter in ("a1", "d")
    }
    items = fits(name).items
    np.testing.assert_allclose(items["discrimination"], values["a1"], atol=2e-3)
    np.testing.assert_allclose(items["easiness"], values["d"], atol=2e-3)


@pytest.mark.parametrize("method", ["EAP", "MAP"])
def test_scores_against_mirt(fits, reference, method):
    exact = reference("verbagg_scores")["rasch"][method]
    persons = fits("rasch").persons(method)
    theta = np.array(exact["theta"] if isinstance(exact, dict) else exact)
    np.testing.assert_allclose(persons["ability"], theta, atol=2e-3)


FEATURES = "btype + situ + mode"
ORDINAL = {
    "clmm_id_laplace": (f"{FEATURES} + (1 | id)", eirt.Laplace(), "logit"),
    "clmm_id_agq15": (f"{FEATURES} + (1 | id)", eirt.AdaptiveQuadrature(15), "logit"),
    "clmm_item_fixed_agq15": ("item + (1 | id)", eirt.AdaptiveQuadrature(15), "logit"),
    "clmm_crossed": (f"{FEATURES} + (1 | id) + (1 | item)", eirt.Laplace(), "logit"),
    "clmm_crossed_person": (
        f"Anger + Gender + {FEATURES} + (1 | id) + (1 | item)",
        eirt.Laplace(),
        "logit",
    ),
    "clmm_crossed_slope": (f"{FEATURES} + (1 + mode | id) + (1 | item)", eirt.Laplace(), "logit"),
    "clmm_probit": (f"{FEATURES} + (1 | id) + (1 | item)", eirt.Laplace(), "probit"),
}


@pytest.mark.parametrize("name", ORDINAL)
def test_cumulative_against_ordinal(va, reference, name):
    formula, likelihood, link = ORDINAL[name]
    exact = reference("verbagg_ordinal")[name]
    fit = eirt.eirm(
        va,
        f"resp ~ {formula}",
        family=eirt.Cumulative(link),
        likelihood=likelihood,
        check=False,
    )
    assert fit.converged
    assert fit.loglik == pytest.approx(exact["logLik"], abs=2e-3)
    # there logit P(y <= c) = threshold - eta: thresholds are minus our intercepts
    thresholds = -fit.response_parameters["estimate"].to_numpy()
    coefficients = list(exact["coef"].values())
    np.testing.assert_allclose(thresholds, coefficients[:2], atol=2e-3)
    np.testing.assert_allclose(fit.fixed["estimate"], coefficients[2:][: len(fit.fixed)], atol=2e-3)


MIXED_MODELS = {
    "null": "1 + (1 | id) + (1 | item)",
    "lltm": "btype + situ + mode + (1 | id)",
    "lltm_error_person": "btype + situ + mode + Anger + Gender + (1 | id) + (1 | item)",
    "slope_mode": "btype + situ + mode + (0 + mode | id)",
    "slope_int_btype": "btype + situ + mode + (1 + btype | id) + (1 | item)",
    "slope_intercept_mode_uncor": (
        "btype + situ + mode + (1 | id) + (0 + dummy_do | id) + (1 | item)"
    ),
    "dif_gender_btype": "Anger + Gender + btype + situ + mode + Gender:btype + (1 | id)",
    "bates_doran": "(Anger + Gender + btype + situ)**2 + (1 | id) + (1 | item)",
    "rasch_2d_mode": "0 + item + (0 + mode | id)",
    "random_item_gender": "btype + situ + mode + Gender + (1 | id) + (1 + Gender | item)",
}


@pytest.mark.parametrize("name", MIXED_MODELS)
def test_mixed_models_by_laplace_against_polished_glmmtmb(va, reference, name):
    exact = reference("verbagg_laplace_polished")[name]
    data = va.assign(dummy_do=(va["mode"] == "do").astype(float))
    formula = f"r2 ~ {MIXED_MODELS[name]}"
    fit = eirt.eirm(data, formula, likelihood=eirt.Laplace(), check=False)
    assert fit.converged
    assert fit.loglik == pytest.approx(exact["logLik"], abs=1e-5)
    fixed = sorted(exact["fixef"].values())
    np.testing.assert_allclose(sorted(fit.fixed["estimate"]), fixed, atol=1e-5)
    sds = sorted(sd for block in exact["blocks"].values() for sd in block["sd"])
    np.testing.assert_allclose(sorted(fit.random["sd"].dropna()), sds, atol=1e-5)
