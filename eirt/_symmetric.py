"""Elementary symmetric functions, for items of two or more categories.

    gamma_r = sum over patterns with score r of prod_i w_i(y_i),   w_i(0) = 1

They are the coefficients of the product of the items' polynomials sum_y w_i(y) x^y, multiplied one
by one: sums of products of positive numbers, in which nothing cancels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

if TYPE_CHECKING:
    from jaxtyping import Array, Float

FARTHEST = 60.0  # ability at which the mean score is looked for
HALVINGS = 40


def log_symmetric(
    log_weights: Float[Array, "n c"], counts: Float[Array, " S"]
) -> Float[Array, " S"]:
    """Return log gamma_r for scores r that occur, and 0 for the others.

        log gamma_r = log P(score = r | theta) - r theta + sum_i log{1 + sum_y w_i(y) e^(y theta)}

    at the ability theta where the mean score is expected, so that no gamma is too large or small.

    Args:
        log_weights: of each item's categories above the lowest.
        counts: how many persons have each score, 0 to n c.

    Source: Fischer (1974), the summation algorithm; Liou (1994) for its stability.

    >>> found = log_symmetric(jnp.log(jnp.asarray([[2.0], [3.0]])), jnp.ones(3))
    >>> jnp.exp(found).round(4).tolist()
    [1.0, 5.0, 6.0]
    """
    theta = _balance(log_weights, counts)
    log_probs = _log_probs(log_weights, theta)
    chances = jnp.exp(log_probs)
    score = jax.lax.scan(lambda so_far, item: (_times(item, so_far), None), _one(counts), chances)
    chance = jnp.where(counts > 0, score[0], 1.0)
    tilted = jnp.log(chance) - jnp.arange(counts.size) * theta - jnp.sum(log_probs[:, 0])
    return jnp.where(counts > 0, tilted, 0.0)


def score_information(
    log_weights: Float[Array, "n c"], counts: Float[Array, " S"]
) -> Float[Array, "m m"]:
    """Return the covariance of category indicators given the scores, summed over persons.

    It is the Hessian of sum_r n_r log gamma_r in the log weights, item by item. For items i < j

        E(indicators of i and j) = sum_s u_i(s) w_j(y) h_j(s + y)

    where u_i multiplies the items before j, item i held in one category, and h_j sums n_r / gamma_r
    times what the items after j contribute.

    Args:
        log_weights: as for `log_symmetric`.
        counts: as for `log_symmetric`.

    >>> log_weights = jnp.log(jnp.asarray([[2.0], [3.0]]))
    >>> score_information(log_weights, jnp.asarray([0, 25, 0])).round(4).tolist()
    [[6.0, -6.0], [-6.0, 6.0]]
    """
    n, c = log_weights.shape
    chances = jnp.exp(_log_probs(log_weights, _balance(log_weights, counts)))
    scores = jax.lax.scan(lambda so_far, item: (_times(item, so_far), None), _one(counts), chances)
    chance = jnp.where(counts > 0, scores[0], 1.0)

    def multiply(so_far: tuple[Array, Array], item: tuple) -> tuple[tuple, tuple]:
        before, held = so_far
        place, own, rest = item
        later = own[1:, None] * _shifts(rest, -c)
        found = jnp.einsum("ics,ds->dic", held, later), later @ before
        held = _times(own, held).at[place].set(own[1:, None] * _shifts(before, c))
        return (_times(own, before), held), found

    start = _one(counts), jnp.zeros((n, c, counts.size))
    items = jnp.arange(n), chances, _later(chances, counts / chance)
    (_, held), (pairs, expected) = jax.lax.scan(multiply, start, items)
    below, given = pairs.reshape(n * c, n * c), held.reshape(n * c, -1) / chance
    return below + below.T + jnp.diag(expected.ravel()) - (given * counts) @ given.T


def _later(chances: Float[Array, "n C"], ratio: Float[Array, " S"]) -> Float[Array, "n S"]:
    """Return for each item, and score up to it, the sum over what the later items contribute."""

    def multiply(later: Array, item: Array) -> tuple[Array, Array]:
        shifted = jnp.concatenate([later[None], _shifts(later, 1 - item.size)])
        return item @ shifted, later

    return jax.lax.scan(multiply, ratio, chances, reverse=True)[1]


def _one(counts: Float[Array, " S"]) -> Float[Array, " S"]:
    """Return the polynomial that is one, with room for all scores."""
    return jnp.zeros(counts.size).at[0].set(1.0)


def _times(item: Float[Array, " C"], product: Float[Array, "... S"]) -> Float[Array, "... S"]:
    """Multiply polynomials by that of one item; there is room for the product."""
    shifted = jnp.concatenate([product[None], _shifts(product, item.size - 1)])
    return jnp.tensordot(item, shifted, 1)


def _shifts(product: Float[Array, "... S"], most: int) -> Float[Array, "c ... S"]:
    """Return polynomials times x, x^2, ... (or divided by them, where `most` is negative)."""
    size, n = product.shape[-1], abs(most)
    ends = (n, 0) if most > 0 else (0, n)
    wide = jnp.pad(product, [(0, 0)] * (product.ndim - 1) + [ends])
    starts = range(n - 1, -1, -1) if most > 0 else range(1, n + 1)
    return jnp.stack([wide[..., start : start + size] for start in starts])


def _log_probs(log_weights: Float[Array, "n c"], theta: Float[Array, ""]) -> Float[Array, "n C"]:
    """Return the log probability of each item's categories at an ability."""
    steps = jnp.pad(log_weights, ((0, 0), (1, 0)))
    return jax.nn.log_softmax(steps + theta * jnp.arange(steps.shape[1]), axis=1)


def _balance(log_weights: Float[Array, "n c"], counts: Float[Array, " S"]) -> Float[Array, ""]:
    """Return the ability at which the expected score is the mean score, by bisection."""
    log_weights = jax.lax.stop_gradient(log_weights)
    mean = counts @ jnp.arange(counts.size) / jnp.sum(counts)

    def halve(_: int, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        middle = (ends[0] + ends[1]) / 2
        chances = jnp.exp(_log_probs(log_weights, middle))
        low = jnp.sum(chances @ jnp.arange(chances.shape[1])) < mean
        return jnp.where(low, middle, ends[0]), jnp.where(low, ends[1], middle)

    far = jnp.full_like(mean, FARTHEST)
    low, high = jax.lax.fori_loop(0, HALVINGS, halve, (-far, far))
    return (low + high) / 2
