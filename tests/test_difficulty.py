"""Easiness and difficulty, Rasch and 1PL, constraints: there and back, covariance together."""

import jax.numpy as jnp
import numpy as np
import pytest

from eirt._config import double_precision
from eirt.difficulty import from_easiness, identified, on_scale, rescale, shift, to_easiness


@double_precision
def test_slope_intercept_and_back():
    easiness, slope = jnp.asarray([1.0, -0.5, 0.2]), jnp.asarray([0.7, 1.5, 2.0])
    items = from_easiness(easiness, slope, 1.3)
    moved = shift(rescale(items, jnp.asarray(1.7)), jnp.asarray(0.4))
    back = rescale(shift(moved, jnp.asarray(-0.4)), jnp.asarray(1 / 1.7))
    for found, expected in zip(to_easiness(back), (easiness, slope), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    # the origin and the unit do not change what is predicted
    for found, expected in zip(to_easiness(moved)[:1], (easiness,), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_one_pl_is_rasch_on_another_scale(fits):
    rasch, one = fits("rasch"), fits("1pl")
    assert one.loglik == pytest.approx(rasch.loglik, abs=1e-8)
    as_one, as_rasch = rasch.difficulty(scale="standard"), one.difficulty(scale="rasch")
    for found, expected in ((as_one, one.difficulty()), (as_rasch, rasch.difficulty())):
        for column in ("difficulty", "discrimination"):
            np.testing.assert_allclose(found[column], expected[column], atol=1e-8)
        np.testing.assert_allclose(found["se"], expected["se"], atol=1e-8)
        np.testing.assert_allclose(
            found["discrimination_se"], expected["discrimination_se"], atol=1e-8
        )
    assert as_rasch.attrs["ability_sd"] == pytest.approx(rasch.random["sd"][0], abs=1e-8)
    assert as_rasch.attrs["ability_sd_se"] == pytest.approx(rasch.random["se"][0], abs=1e-8)


def test_rasch_difficulty_is_minus_easiness(fits):
    table, items = fits("rasch").difficulty(), fits("rasch").items
    np.testing.assert_allclose(table["difficulty"], -items["easiness"])
    np.testing.assert_allclose(table["se"], items["se"])
    np.testing.assert_allclose(table["z"], table["difficulty"] / table["se"])
    assert set(table["discrimination"]) == {1.0}


def test_two_pl_delta_method(fits):
    fit = fits("2pl")
    items, vcov = fit.items, fit.vcov.to_numpy()
    i = 3
    easiness, slope = items["easiness"][i], items["discrimination"][i]
    gradient = np.array([-1 / slope, easiness / slope**2])
    covariance = vcov[np.ix_([i, 24 + i], [i, 24 + i])]
    expected = np.sqrt(gradient @ covariance @ gradient)
    assert fit.difficulty()["se"][i] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", ["rasch", "1pl", "2pl"])
def test_constraints_by_name(fits, name):
    fit = fits(name)
    centred = fit.difficulty("items")
    assert centred["difficulty"].mean() == pytest.approx(0.0, abs=1e-12)
    reference = fit.difficulty("S2DoCurse")
    place = list(reference["item"]).index("S2DoCurse")
    assert reference["difficulty"][place] == 0.0
    assert reference["se"][place] == pytest.approx(0.0, abs=1e-9)
    apart = fit.difficulty()["difficulty"].diff().dropna()
    np.testing.assert_allclose(centred["difficulty"].diff().dropna(), apart, atol=1e-12)
    np.testing.assert_allclose(reference["difficulty"].diff().dropna(), apart, atol=1e-12)
    average = fit.difficulty()["difficulty"].mean()
    assert centred.attrs["ability_mean"] == pytest.approx(-average, abs=1e-12)


def test_centred_rasch_errors_against_conditional_maximum_likelihood(fits, reference):
    # eRm's sum-zero standard errors: the two estimators agree closely on complete data
    exact = reference("verbagg_rasch")["eRm_RM"]
    table = fits("rasch").difficulty("items")
    np.testing.assert_allclose(
        table["difficulty"], -np.array(list(exact["easiness"].values())), atol=0.07
    )
    np.testing.assert_allclose(table["se"], exact["se_beta"], rtol=0.05)


@double_precision
def test_every_scale_predicts_the_same():
    easiness, slope = jnp.asarray([1.0, -0.5]), jnp.asarray([0.7, 1.5])
    items = from_easiness(easiness, slope, 1.3)
    second = np.array([1])
    for scale in ("model", "standard", "rasch"):
        for origin in ("ability", "items", "item"):
            found = to_easiness(identified(on_scale(items, scale), origin, second))[0]
            np.testing.assert_allclose(found, easiness, rtol=1e-12)


def test_unknown_names_are_refused(fits):
    with pytest.raises(ValueError, match="No scale 'rash'.*Did you mean 'rasch'"):
        fits("rasch").difficulty(scale="rash")
    with pytest.raises(ValueError, match="Did you mean 'S2DoCurse'"):
        fits("rasch").difficulty("S2DoCurs")
    with pytest.raises(ValueError, match="one ability dimension"):
        fits("laplace_slope").difficulty()
