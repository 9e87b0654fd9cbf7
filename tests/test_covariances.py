"""Covariance structures against their definitions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from eirt._config import double_precision
from eirt.covariances import (
    AR1,
    COVARIANCES,
    RANKED,
    STRUCTURES,
    CompoundSymmetry,
    Correlation,
    Diagonal,
    Factor,
    HeterogeneousCompoundSymmetry,
    ReducedRank,
    Repeated,
    Scalar,
    Standard,
    Unstructured,
    covariance_of,
)

MEMBERS = {
    Standard: [Standard(1), Standard(3)],
    Scalar: [Scalar(1), Scalar(3)],
    Diagonal: [Diagonal(1), Diagonal(3)],
    Unstructured: [Unstructured(1), Unstructured(4)],
    CompoundSymmetry: [CompoundSymmetry(2), CompoundSymmetry(5)],
    HeterogeneousCompoundSymmetry: [HeterogeneousCompoundSymmetry(q) for q in (2, 4)],
    AR1: [AR1(2), AR1(5)],
    ReducedRank: [ReducedRank(1), ReducedRank(3), ReducedRank(4, 2), ReducedRank(3, 3)],
    Factor: [Factor(3), Factor(5, 2)],
    Correlation: [Correlation(1), Correlation(2), Correlation(4)],
    Repeated: [Repeated(Scalar(1), 3), Repeated(Unstructured(2), 2), Repeated(Correlation(2), 2)],
}
ALL = pytest.mark.parametrize("covariance", sum(MEMBERS.values(), []), ids=str)
SINGULAR = (ReducedRank,)


def lower(entries, dimension, columns):
    matrix = np.zeros((dimension, dimension))
    values = iter(entries)
    for row in range(dimension):
        for column in range(min(row + 1, columns)):
            matrix[row, column] = next(values)
    return matrix


def exchangeable(t, dimension):
    rho = (np.exp(t) - 1) / (np.exp(t) + dimension - 1)
    return np.where(np.eye(dimension) == 1, 1.0, rho)


def serial(t, dimension):
    steps = np.arange(dimension)
    return (t / np.sqrt(1 + t**2)) ** np.abs(steps[:, None] - steps)


def common(covariance, theta):
    loadings = lower(theta[: -covariance.dimension], covariance.dimension, covariance.rank)
    return loadings @ loadings.T + np.diag(theta[-covariance.dimension :] ** 2)


def free_correlations(covariance, theta):
    unit, values = np.eye(covariance.dimension), iter(theta)
    for row in range(covariance.dimension):
        for column in range(row):
            unit[row, column] = next(values)
    product = unit @ unit.T
    return product / np.sqrt(np.outer(np.diagonal(product), np.diagonal(product)))


def blocks(covariance, theta):
    block = DEFINITIONS[type(covariance.inner)](covariance.inner, theta)
    return np.kron(np.eye(covariance.times), block)


def square(matrix):
    return matrix @ matrix.T


DEFINITIONS = {
    Standard: lambda c, theta: np.eye(c.dimension),
    Scalar: lambda c, theta: theta[0] ** 2 * np.eye(c.dimension),
    Diagonal: lambda c, theta: np.diag(theta**2),
    Unstructured: lambda c, theta: square(lower(theta, c.dimension, c.dimension)),
    CompoundSymmetry: lambda c, theta: theta[0] ** 2 * exchangeable(theta[1], c.dimension),
    HeterogeneousCompoundSymmetry: lambda c, theta: (
        np.outer(theta[:-1], theta[:-1]) * exchangeable(theta[-1], c.dimension)
    ),
    AR1: lambda c, theta: theta[0] ** 2 * serial(theta[1], c.dimension),
    ReducedRank: lambda c, theta: square(lower(theta, c.dimension, c.rank)),
    Factor: common,
    Correlation: free_correlations,
    Repeated: blocks,
}


def product(covariance, theta):
    return square(covariance.factor(jnp.asarray(theta)))


def test_every_structure_is_listed():
    assert set(COVARIANCES) == set(MEMBERS) == set(DEFINITIONS)
    assert len(COVARIANCES) == len(MEMBERS)


@ALL
@double_precision
def test_factor_is_the_triangle_of_the_covariance_as_defined(covariance):
    thetas = np.random.default_rng(0).normal(size=(20, covariance.n_theta))
    factors = np.asarray(jax.vmap(covariance.factor)(jnp.asarray(thetas)))
    for theta, factor in zip(thetas, factors, strict=True):
        assert factor.shape == (covariance.dimension, covariance.dimension)
        np.testing.assert_array_equal(factor, np.tril(factor))
        expected = DEFINITIONS[type(covariance)](covariance, theta)
        np.testing.assert_allclose(factor @ factor.T, expected, rtol=1e-9, atol=1e-10)
        if not isinstance(covariance, SINGULAR):
            assert np.linalg.eigvalsh(factor @ factor.T)[0] > 0


@ALL
@double_precision
def test_start_gives_the_sd(covariance):
    theta = covariance.start(0.7)
    assert theta.shape == (covariance.n_theta,)
    found = np.asarray(product(covariance, theta))
    fixed = isinstance(getattr(covariance, "inner", covariance), Standard | Correlation)
    np.testing.assert_allclose(np.sqrt(np.diagonal(found)), 1.0 if fixed else 0.7)
    # factors start with loadings, since zero is a stationary point of any likelihood
    if not isinstance(covariance, Factor | ReducedRank):
        np.testing.assert_array_equal(found, np.diag(np.diagonal(found)))


@ALL
@double_precision
def test_derivatives(covariance):
    n = covariance.n_theta
    for theta in (covariance.start(0.7), *np.random.default_rng(1).normal(size=(3, n))):
        derivative = jax.jit(jax.jacfwd(covariance.factor))(jnp.asarray(theta))
        points = jnp.asarray(theta + 1e-6 * np.concatenate([np.eye(n), -np.eye(n)]))
        up, down = jnp.split(jax.vmap(covariance.factor)(points), 2)
        difference = jnp.moveaxis((up - down) / 2e-6, 0, -1)
        np.testing.assert_allclose(derivative, difference, atol=1e-7)


@ALL
@double_precision
def test_third_derivatives_are_finite_at_the_start_and_without_variance(covariance):
    third = jax.jit(jax.jacfwd(jax.jacfwd(jax.jacfwd(covariance.factor))))
    for theta in (covariance.start(0.7), np.zeros(covariance.n_theta)):
        assert np.isfinite(third(jnp.asarray(theta))).all()


@ALL
def test_a_name_per_parameter(covariance):
    names = covariance.names(tuple("abcdefgh"[: covariance.dimension]))
    assert len(set(names)) == len(names) == covariance.n_theta


@pytest.mark.parametrize(
    ("covariance", "names"),
    [
        (Scalar(1), ("a",)),
        (Scalar(2), ("common",)),
        (Unstructured(2), ("a", "b~a", "b")),
        (CompoundSymmetry(2), ("common", "rho")),
        (HeterogeneousCompoundSymmetry(2), ("a", "b", "rho")),
        (AR1(3), ("common", "rho")),
        (ReducedRank(3, 2), ("a~f1", "b~f1", "b~f2", "c~f1", "c~f2")),
        (Factor(3), ("a~f1", "b~f1", "c~f1", "a", "b", "c")),
        (Correlation(3), ("b~a", "c~a", "c~b")),
        (Repeated(Scalar(1), 3), ("a",)),
    ],
    ids=str,
)
def test_names(covariance, names):
    assert covariance.names(("a", "b", "c")[: covariance.dimension]) == names


@pytest.mark.parametrize("covariance", [CompoundSymmetry(4), AR1(4), Correlation(4)], ids=str)
@pytest.mark.parametrize("t", [-20.0, -3.0, 3.0, 20.0])
@double_precision
def test_correlations_stay_valid_far_out(covariance, t):
    theta = np.ones(covariance.n_theta)
    theta[-1] = t
    factor = jnp.asarray(covariance.factor(jnp.asarray(theta)))
    assert (jnp.diagonal(factor) > 0).all()
    np.testing.assert_allclose(jnp.diagonal(factor @ factor.T), 1.0)
    assert np.isfinite(jax.jacfwd(covariance.factor)(jnp.asarray(theta))).all()


@double_precision
def test_compound_symmetry_reaches_both_ends():
    low, high = (np.asarray(product(CompoundSymmetry(4), [1.0, t]))[0, 1] for t in (-30, 30))
    np.testing.assert_allclose([low, high], [-1 / 3, 1.0])


@double_precision
def test_unstructured_reaches_any_covariance():
    target = np.array([[2.0, -0.6], [-0.6, 0.5]])
    theta = np.linalg.cholesky(target)[np.tril_indices(2)]
    np.testing.assert_allclose(product(Unstructured(2), theta), target)


@double_precision
def test_a_factor_may_leave_nothing_specific():
    theta = jnp.asarray([1.0, 0.5, -0.8, 0.0, 0.0, 0.0])
    expected = product(ReducedRank(3), theta[:3])
    np.testing.assert_allclose(product(Factor(3), theta), expected, atol=1e-11)
    assert np.isfinite(jax.jacfwd(Factor(3).factor)(theta)).all()


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: CompoundSymmetry(1), r"homcs\(0 \+ C\(wave\) \| person\)"),
        (lambda: HeterogeneousCompoundSymmetry(1), "cs correlates two effects or more"),
        (lambda: AR1(1), "ar1 correlates two effects or more"),
        (lambda: Factor(2), "4 parameters for 3 entries"),
        (lambda: Factor(4, 0), "rank of 4 effects is from 1 to 4, not 0"),
        (lambda: ReducedRank(3, 4), "from 1 to 3, not 4"),
    ],
)
def test_structures_that_cannot_be_say_why(build, says):
    with pytest.raises(ValueError, match=says):
        build()


@pytest.mark.parametrize("structure", STRUCTURES)
def test_named_structures(structure):
    found = covariance_of(structure, 5, rank=2)
    assert type(found) in COVARIANCES
    assert found.dimension == 5
    assert getattr(found, "rank", None) == (2 if structure in RANKED else None)


def test_plain_terms():
    assert covariance_of(None, 1) == covariance_of(None, 1, correlated=False) == Scalar(1)
    assert covariance_of(None, 2) == Unstructured(2)
    assert covariance_of(None, 2, correlated=False) == Diagonal(2)
