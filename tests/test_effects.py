"""Covariance factors and slopes."""

import jax.numpy as jnp
import numpy as np
import pytest

from eirt._config import double_precision
from eirt.effects import COVARIANCES, SLOPES, Common, Free, Unit, Unstructured


@pytest.mark.parametrize("kind", COVARIANCES)
@pytest.mark.parametrize("dimension", [1, 2, 3])
@double_precision
def test_factor_is_lower_triangular_and_starts_at_the_given_sd(kind, dimension):
    covariance = kind(dimension)
    theta = covariance.start(0.7)
    assert theta.shape == (covariance.n_theta,)
    factor = np.asarray(covariance.factor(jnp.asarray(theta)))
    assert factor.shape == (dimension, dimension)
    np.testing.assert_array_equal(factor, np.tril(factor))
    expected = 0.7 if covariance.n_theta else 1.0
    np.testing.assert_allclose(np.sqrt(np.diagonal(factor @ factor.T)), expected)


@pytest.mark.parametrize("kind", COVARIANCES)
def test_a_name_per_parameter(kind):
    covariance = kind(2)
    assert len(covariance.names(("a", "b"))) == covariance.n_theta


@double_precision
def test_unstructured_reaches_any_covariance():
    target = np.array([[2.0, -0.6], [-0.6, 0.5]])
    theta = np.linalg.cholesky(target)[np.tril_indices(2)]
    factor = np.asarray(Unstructured(2).factor(jnp.asarray(theta)))
    np.testing.assert_allclose(factor @ factor.T, target)


@pytest.mark.parametrize("slope", [Unit(), Common(), Free(), Free(((1, 0), (1, 1), (0, 1)))])
@double_precision
def test_slopes_start_at_one_or_at_the_mask(slope):
    start = slope.start(3, 2)
    assert start.shape == (slope.n_slopes(3, 2),)
    expected = np.ones((3, 2)) if getattr(slope, "mask", None) is None else np.array(slope.mask)
    for item in range(3):
        found = slope.at(jnp.asarray(start), jnp.asarray(item), 2)
        np.testing.assert_array_equal(found, expected[item])


def test_every_slope_kind_is_listed():
    assert {Unit, Common, Free} == set(SLOPES)
