"""Grids, stable logarithms, the mode finder."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from eirt._config import double_precision
from eirt._math import (
    BY_ROWS,
    UNROLLED,
    cholesky,
    cholesky_solve,
    equispaced_grid,
    gauss_hermite_grid,
    log1mexp,
    lower_solve,
    upper_solve,
)
from eirt._modes import newton_mode, secant_mode
from eirt.likelihood.polynomials import orthonormal, polynomials, powers_up_to


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


@double_precision
def test_secants_mend_a_wrong_curvature():
    # f = -x'Ax / 2 - sum of log cosh x; the curvature at hand is thrice too large, or too small
    half = np.random.default_rng(1).normal(size=(6, 6))
    matrix = half @ half.T + np.eye(6)
    count = []

    def expand(x):
        jax.debug.callback(lambda: count.append(1))
        gradient = -matrix @ x + 1.0 - jnp.tanh(x)
        return -x @ matrix @ x / 2 + x.sum() - jnp.sum(jnp.log(jnp.cosh(x))), gradient

    for factor in (0.4, 3.0):
        count.clear()
        start = jnp.ones(6)
        mode, found = secant_mode(
            expand, lambda g, c=factor: jnp.linalg.solve(c * matrix, g), start, 1e-18, 30
        )
        assert bool(found)
        assert np.abs(expand(mode)[1]).max() < 1e-8
        assert len(count) < 20
    _, found = secant_mode(expand, lambda g: g / 1e6, jnp.ones(6), 1e-18, 3)
    assert not bool(found)


@pytest.mark.parametrize("n", [1, 2, 3, UNROLLED, UNROLLED + 1, BY_ROWS, BY_ROWS + 1])
@double_precision
def test_small_matrices_are_solved_as_large_ones(n):
    half = np.random.default_rng(n).normal(size=(n, n))
    matrix, b = half @ half.T + np.eye(n), half[:, :1]
    factor = cholesky(jnp.asarray(matrix))
    np.testing.assert_allclose(factor, np.linalg.cholesky(matrix), atol=1e-12)
    np.testing.assert_allclose(factor @ lower_solve(factor, b), b, atol=1e-12)
    np.testing.assert_allclose(factor.T @ upper_solve(factor, b), b, atol=1e-12)
    np.testing.assert_allclose(cholesky_solve(factor, b[:, 0]), np.linalg.solve(matrix, b[:, 0]))
    assert not np.all(np.isfinite(cholesky(jnp.asarray(-matrix))))


@pytest.mark.parametrize("dimension", [1, 2])
@double_precision
def test_polynomials_are_uncorrelated_under_each_posterior(dimension):
    grid = equispaced_grid(31, dimension)
    rng = np.random.default_rng(0)
    centre, slope = rng.normal(size=(5, dimension)), 1.5
    weights = np.exp(-(slope**2) * ((grid.nodes - centre[:, None]) ** 2).sum(axis=-1))
    weights /= weights.sum(axis=1, keepdims=True)
    powers = powers_up_to(dimension, 4)
    v = orthonormal(polynomials(jnp.asarray(weights), grid, powers), jnp.asarray(weights))
    assert v.shape[1] == {1: 4, 2: 14}[dimension]
    products = np.einsum("nk,nqk,nrk->nqr", weights, v, v)
    identity = np.broadcast_to(np.eye(v.shape[1]), products.shape)
    np.testing.assert_allclose(products, identity, atol=1e-9)
    np.testing.assert_allclose(np.einsum("nk,nqk->nq", weights, v), 0.0, atol=1e-9)


@double_precision
def test_a_mode_whose_start_is_no_number_ends_at_once():
    evaluations = []

    def expand(x):
        jax.debug.callback(lambda: evaluations.append(1))
        return jnp.nan * x[0], x, x @ x, ()

    newton_mode(expand, jnp.ones(1))
    assert len(evaluations) == 1
