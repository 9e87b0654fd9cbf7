"""Grids, stable logarithms, the mode finder."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from eirt._config import double_precision
from eirt._math import equispaced_grid, gauss_hermite_grid, log1mexp, newton_mode


@pytest.mark.parametrize("dimension", [0, 1, 2])
@pytest.mark.parametrize(
    "grid", [lambda d: equispaced_grid(41, d), lambda d: gauss_hermite_grid(9, d)]
)
def test_grids_integrate_moments_of_the_normal(grid, dimension):
    nodes, log_weights = grid(dimension)
    weights = np.exp(log_weights)
    assert nodes.shape == (len(weights), dimension)
    assert weights.sum() == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_allclose(weights @ nodes, 0.0, atol=1e-10)
    second = np.einsum("k,ki,kj->ij", weights, nodes, nodes)
    np.testing.assert_allclose(second, np.eye(dimension), atol=1e-8)


@pytest.mark.parametrize("x", [1e-300, 1e-10, 0.5, 0.7, 5.0, 700.0])
@double_precision
def test_log1mexp(x):
    expected = np.log(-np.expm1(-x)) if x < 30 else -np.exp(-x)
    assert float(log1mexp(jnp.asarray(x))) == pytest.approx(expected, rel=1e-12)
    assert np.isfinite(float(jax.grad(log1mexp)(jnp.asarray(x))))


@double_precision
def test_newton_mode_halves_steps_that_overshoot():
    # log cosh: a full Newton step from 3 diverges
    def expand(x):
        value = -jnp.sum(jnp.log(jnp.cosh(x)))
        gradient, curvature = -jnp.tanh(x), 1 / jnp.cosh(x) ** 2
        step = gradient / curvature
        return value, step, gradient @ step, ()

    mode, _ = newton_mode(expand, jnp.asarray([3.0]))
    assert abs(float(mode[0])) < 1e-8
