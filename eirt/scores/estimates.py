"""Where a person stands: modes, weighted likelihood and posterior means, for ONE person.

Everything is in x, the person's effect, which is N(0, I) before the responses. As
eta_j = location_j + loading_j'x, derivatives in x follow from those in eta.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp

from eirt._compiled import compiled
from eirt._math import (
    Tree,
    cholesky,
    cholesky_solve,
    gauss_hermite_grid,
    upper_solve,
)
from eirt._modes import newton_mode
from eirt.model import CellParameters, Model
from eirt.responses import Response
from eirt.scores.answers import Answers

if TYPE_CHECKING:
    from jaxtyping import Array, Float

NODES = {1: 31, 2: 15, 3: 9}  # of each dimension, around a person's mode
LEAST = 1e-16  # information that variances are given by
FARTHEST = 30.0  # in the predictor, where weighted likelihood estimates are sought
STEPS = 100
TOGETHER = 256  # persons whose estimates are found in step
TINY = 1e-300


class Estimate(NamedTuple):
    """Estimates of x of persons (or of ONE), and their covariances."""

    x: Float[Array, "N D"]
    covariance: Float[Array, "N D D"]


class Slopes(NamedTuple):
    """First and second derivatives of log p(y | eta) of each response in eta."""

    first: Float[Array, " J"]
    second: Float[Array, " J"]


def log_likelihood(model: Model, one: Answers, x: Float[Array, " D"]) -> Float[Array, ""]:
    """Return the log-likelihood of ONE person."""
    each = jax.vmap(model.log_prob, (0, 0, None))(one.cells, one.y, x)
    return one.present @ each


def predictors(cells: CellParameters, x: Float[Array, " D"]) -> Float[Array, " J"]:
    """Return eta of each response of ONE person."""
    return cells.location + cells.loading @ x


def slopes(model: Model, one: Answers, x: Float[Array, " D"]) -> Slopes:
    """Return the derivatives of each log p of ONE person in eta, zero without a response."""
    first = jax.grad(model.response.log_prob, 1)
    both = jax.vmap(jax.value_and_grad(first, 1))(one.y, predictors(one.cells, x), one.cells.aux)
    return Slopes(*(one.present * part for part in both))


def gram(weight: Float[Array, " J"], loading: Float[Array, "J D"]) -> Float[Array, "D D"]:
    """Return the sum of weighted loading loading'."""
    return jnp.einsum("j,jd,je->de", weight, loading, loading)


def mode(model: Model, one: Answers, prior: float) -> tuple[Float[Array, " D"], Array]:
    """Return the maximiser of log L - prior x'x / 2 of ONE person, and minus the Hessian there.

    Where log L is not concave, steps follow the curvature of those responses that are.
    """
    # persons whom no response places stay where they are
    ridge = (prior + 1e-12) * jnp.eye(model.dimension)

    def expand(x: Array) -> tuple[Array, Array, Array, Array]:
        value = log_likelihood(model, one, x) - prior * (x @ x) / 2
        found, loading = slopes(model, one, x), one.cells.loading
        gradient = found.first @ loading - prior * x
        observed = gram(-found.second, loading) + ridge
        factor = cholesky(observed)
        safe = cholesky(gram(jnp.maximum(-found.second, 0.0), loading) + ridge)
        factor = jnp.where(jnp.all(jnp.isfinite(factor)), factor, safe)
        step = cholesky_solve(factor, gradient)
        return value, step, gradient @ step, observed

    return newton_mode(expand, jnp.zeros(model.dimension), tolerance=1e-15)


def _posterior_mode(model: Model, one: Answers) -> Estimate:
    x, information = mode(model, one, 1.0)
    return Estimate(x, cholesky_solve(cholesky(information), jnp.eye(len(x))))


def _posterior_mean(model: Model, one: Answers) -> Estimate:
    """Return posterior mean and covariance of ONE person, from nodes around the mode."""
    x, information = mode(model, one, 1.0)
    factor = cholesky(information)
    grid = gauss_hermite_grid(NODES.get(len(x), 5), len(x))
    nodes = x + upper_solve(factor, jnp.asarray(grid.nodes).T).T
    log_joint = jax.vmap(log_likelihood, (None, None, 0))(model, one, nodes)
    relative = (jnp.sum(grid.nodes**2, axis=1) - jnp.sum(nodes**2, axis=1)) / 2
    weights = jax.nn.softmax(log_joint + relative + grid.log_weights)
    mean = weights @ nodes
    centred = nodes - mean
    return Estimate(mean, jnp.einsum("k,kd,ke->de", weights, centred, centred))


def _likelihood_mode(model: Model, one: Answers) -> Estimate:
    """Return the maximum likelihood estimate of ONE person.

    Where the likelihood has no maximum x stays where it is flat, and variances are huge.
    """
    x, information = mode(model, one, 0.0)
    values, vectors = jnp.linalg.eigh(information)
    spread = 1 / jnp.maximum(values, LEAST)
    return Estimate(x, (vectors * spread) @ vectors.T)


def expected_slopes(
    response: Response, n_categories: int, eta: Float[Array, ""], aux: Array
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Return I = sum P'^2 / P and J = sum P'P'' / P over the categories of ONE response, in eta."""
    codes = jnp.arange(n_categories, dtype=eta.dtype)
    slope = jax.value_and_grad(response.log_prob, 1)

    def each(y: Array) -> tuple[Array, Array, Array]:
        (log_p, s), (_, ds) = jax.jvp(lambda at: slope(y, at, aux), (eta,), (jnp.ones_like(eta),))
        return jnp.exp(log_p), s, ds

    p, s, ds = jax.vmap(each)(codes)
    return jnp.sum(p * s**2), jnp.sum(p * s * (s**2 + ds))


def _weighted_likelihood(model: Model, n_categories: int, one: Answers) -> Estimate:
    """Return the root of score + J / (2 I) of ONE person, by Newton's method between bounds."""
    cells, loading = one.cells, one.cells.loading[:, 0]
    each = jax.vmap(expected_slopes, (None, None, 0, 0))

    def expected(x: Array) -> tuple[Array, Array]:
        i, j = each(model.response, n_categories, predictors(cells, x[None]), cells.aux)
        return one.present @ (i * loading**2), one.present @ (j * loading**3)

    def equation(x: Array) -> Array:
        i, j = expected(x)
        score = slopes(model, one, x[None]).first @ loading
        return score + jnp.where(i > TINY, j / (2 * jnp.maximum(i, TINY)), 0.0)

    def unfinished(state: tuple) -> Array:
        _, step, _, count = state
        return (jnp.abs(step) > 1e-10) & (count < STEPS)

    def advance(state: tuple) -> tuple:
        x, _, (lower, upper), count = state
        value, slope = jax.jvp(equation, (x,), (jnp.ones_like(x),))
        lower, upper = jnp.where(value > 0, x, lower), jnp.where(value > 0, upper, x)
        newton = x - value / jnp.where(slope < 0, slope, -TINY)
        inside = (newton > lower) & (newton < upper)
        new = jnp.where(inside, newton, (lower + upper) / 2)
        return new, new - x, (lower, upper), count + 1

    steepest = jnp.max(jnp.abs(loading) * one.present)
    reach = (FARTHEST + jnp.max(jnp.abs(cells.location) * one.present)) / steepest
    x = jax.lax.while_loop(
        unfinished, advance, (jnp.zeros(()), jnp.full((), jnp.inf), (-reach, reach), 0)
    )[0]
    return Estimate(x[None], (1 / expected(x)[0])[None, None])


@compiled(0, 1, 2)
def estimates(model: Model, method: str, n_categories: int, answers: Answers) -> Estimate:
    """Return estimates of every person.

    Args:
        model: the model.
        method: "EAP", "MAP", "ML" or "WLE".
        n_categories: of the responses, which weighted likelihood sums over.
        answers: the responses.
    """

    def one(person: Answers) -> Estimate:
        if method == "WLE":
            return _weighted_likelihood(model, n_categories, person)
        of = {"EAP": _posterior_mean, "MAP": _posterior_mode, "ML": _likelihood_mode}[method]
        return of(model, person)

    return _of_each(one, answers)


@compiled(0)
def posterior_modes(model: Model, answers: Answers) -> tuple[Array, Array]:
    """Return each person's posterior mode, and the Cholesky factor of the curvature there."""

    def one(person: Answers) -> tuple[Array, Array]:
        x, information = mode(model, person, 1.0)
        return x, cholesky(information)

    return _of_each(one, answers)


def _of_each(one: Callable[[Answers], Tree], answers: Answers) -> Tree:
    """Return what is found for every person (this is where persons are vmapped)."""
    if len(answers.y) <= TOGETHER:
        return jax.vmap(one)(answers)
    # some need many steps, those with extreme responses most: they wait for each other alone
    order = jnp.argsort(jnp.sum(answers.y * answers.present, axis=1))
    some = jax.tree.map(lambda leaf: leaf[order], answers)
    found = jax.lax.map(one, some, batch_size=TOGETHER)
    return jax.tree.map(lambda leaf: jnp.zeros_like(leaf).at[order].set(leaf), found)
