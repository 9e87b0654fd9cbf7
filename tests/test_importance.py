"""Crossed models against the exact integral by importance sampling (reference/importance.py)."""

import numpy as np
import pytest

RECIPE = {
    "null": "nested_null",
    "lltm_error": "nested",
    "lltm_error_person": "nested_person",
    "slope_mode_error": "nested_2d",
    "slope_mode_person_error": "nested_2d_person",
    "slope_intercept_mode_uncor": "nested_2d_increment",
    "dif_gender_btype_error": "nested_dif_btype",
    "dif_gender_mode_error": "nested_dif_mode",
    "bates_doran": "nested_bates_doran",
    "random_item_gender": "nested_item_gender",
    "loading_mode": "nested_loading",
    "explained": "explained",
    "ordered": "nested_ordered",
}
# fitted for other tests as well; the rest take ten seconds or more where nothing is compiled yet
QUICK = {"lltm_error", "lltm_error_person", "slope_mode_error", "explained", "ordered"}
TARGET = 0.05  # log-likelihood units


def models():
    """Return the models as parameters of a test, those that take long marked."""
    return [pytest.param(n, marks=[] if n in QUICK else pytest.mark.slow) for n in RECIPE]


def test_every_model_is_tested(reference):
    assert set(RECIPE) == set(reference("importance")) - {"meta"}


@pytest.mark.parametrize("name", RECIPE)
def test_the_reference_is_sound(reference, name):
    exact = reference("importance")[name]
    assert exact["logLik_se"] < 0.01
    assert exact["logLik_t_se"] < 0.01
    noise = np.hypot(exact["logLik_se"], exact["logLik_t_se"])
    assert abs(exact["logLik"] - exact["logLik_t"]) < 3 * noise
    assert abs(exact["quadrature_error"]) < 1e-6
    assert exact["gradient_at_mode"] < 1e-6


@pytest.mark.parametrize("name", models())
def test_nested_is_the_likelihood_that_it_names(fits, reference, name):
    """The same Laplace step over items, written independently."""
    exact = reference("importance")[name]
    fit = fits(RECIPE[name])
    assert fit.converged
    assert fit.likelihood.name == "Nested"
    assert fit.loglik == pytest.approx(exact["logLik_nested_laplace"], abs=2e-4)


@pytest.mark.parametrize("name", [model for model in models() if model.values != ("explained",)])
def test_nested_is_near_the_exact_log_likelihood(fits, reference, name):
    """All but residuals on two parameters at once, whose posterior is skewed: an error of 0.1."""
    exact = reference("importance")[name]
    error = exact["logLik"] - fits(RECIPE[name]).loglik
    assert abs(error) <= TARGET + 3 * exact["logLik_se"]


@pytest.mark.parametrize("name", models())
def test_laplace_error_is_estimated_honestly(fits, reference, name):
    exact = reference("importance")[name]
    fit = fits(RECIPE[name])
    errors = fit.check()
    noise = np.hypot(errors["laplace_se"], exact["logLik_se"])
    assert abs(errors["laplace"] - (exact["logLik"] - fit.loglik)) <= 4 * noise
    assert abs(errors["quadrature"]) < 1e-3
