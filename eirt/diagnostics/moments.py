"""Means and products of item responses under a model, and how they vary from sample to sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from eirt._compiled import compiled
from eirt._math import Grid
from eirt.likelihood.cells import Data, cell_parameters
from eirt.model import Model
from eirt.scores.sums import category_probabilities

if TYPE_CHECKING:
    from jaxtyping import Array, Float, Int

    Values = np.ndarray | Array

Statistic = Literal["M2", "C2", "M2*"]
FINE = {"M2": (True, True), "C2": (True, False), "M2*": (False, False)}


class Basis(NamedTuple):
    """Functions of single responses whose means, and means of products, are compared.

    Attributes:
        first: values at each category, for means; `first_item` the item of each.
        second: the same for products; `second_item` the item of each.
        left, right: the two functions of each product, of different items.
    """

    first: Float[np.ndarray, "a C"]
    first_item: Int[np.ndarray, " a"]
    second: Float[np.ndarray, "g C"]
    second_item: Int[np.ndarray, " g"]
    left: Int[np.ndarray, " m"]
    right: Int[np.ndarray, " m"]


def basis(statistic: Statistic, n_categories: Int[np.ndarray, " I"]) -> Basis:
    """Return the functions of a statistic: indicators of categories, or response codes.

    Args:
        statistic: "M2" (indicators), "C2" (indicators, products of codes), "M2*" (codes).
        n_categories: of each item.

    >>> [len(part) for part in basis("C2", np.array([3, 3, 2]))[::2]]
    [5, 3, 3]
    """
    most = n_categories.max()

    def functions(fine: bool) -> tuple[np.ndarray, np.ndarray]:
        if not fine:
            codes = np.tile(np.arange(float(most)), (len(n_categories), 1))
            return codes, np.arange(len(n_categories))
        item = np.repeat(np.arange(len(n_categories)), n_categories - 1)
        category = np.concatenate([np.arange(1, n) for n in n_categories])
        return np.eye(most)[category], item

    first, second = (functions(fine) for fine in FINE[statistic])
    left, right = np.nonzero(second[1][:, None] < second[1][None, :])
    return Basis(*first, *second, left, right)


def sample_moments(of: Basis, y: Int[np.ndarray, "N I"]) -> Float[np.ndarray, " s"]:
    """Return the moments of a sample."""
    first = of.first[np.arange(len(of.first)), y[:, of.first_item]]
    second = of.second[np.arange(len(of.second)), y[:, of.second_item]]
    products = second.T @ second / len(y)
    return np.concatenate([first.mean(axis=0), products[of.left, of.right]])


def model_moments(
    of: Basis, probabilities: Float[Array, "I C K"], weights: Float[Array, " K"]
) -> Float[Array, " s"]:
    """Return the moments of items that are independent at each node."""
    first = jnp.einsum("ac,ack->ak", of.first, probabilities[of.first_item])
    second = jnp.einsum("gc,gck->gk", of.second, probabilities[of.second_item])
    return jnp.concatenate([first, second[of.left] * second[of.right]]) @ weights


@compiled()
def moment_covariance(
    of: Basis, probabilities: Float[Array, "I C K"], weights: Float[Array, " K"]
) -> Float[Array, "s s"]:
    """Return the covariance of the moments of ONE person.

    At a node, E(f g) is the product of E f and E g unless they are functions of one item: with
    Q_fg = E(f g) / (E f E g), the mean of any product of functions, at most two of an item, is the
    product of their means and of all their Q.

    Source: Maydeu-Olivares & Joe (2006), equation 5, for what it is.
    """
    n = len(of.first)

    def ratio(a: Values, a_item: Values, b: Values, b_item: Values, p: Array) -> Array:
        own = a_item[:, None] == b_item[None, :]
        together = jnp.einsum("ac,bc,ac->ab", a, b, p[a_item])
        apart = _means(a, a_item, p)[:, None] * _means(b, b_item, p)[None, :]
        return jnp.where(own & (apart > 0), together / jnp.where(apart > 0, apart, 1.0), 1.0)

    def add(total: Array, node: tuple[Array, Array]) -> tuple[Array, None]:
        p, weight = node
        first, second = (of.first, of.first_item), (of.second, of.second_item)
        mean = _means(*first, p), _means(*second, p)
        product = mean[1][of.left] * mean[1][of.right]
        across = ratio(*first, *second, p)
        within = ratio(*second, *second, p)
        left, right = within[of.left], within[of.right]
        blocks = (
            ratio(*first, *first, p),
            across[:, of.left] * across[:, of.right],
            left[:, of.left] * left[:, of.right] * right[:, of.left] * right[:, of.right],
        )
        all_means = jnp.concatenate([mean[0], product])
        joined = jnp.block([[blocks[0], blocks[1]], [blocks[1].T, blocks[2]]])
        return total + weight * joined * jnp.outer(all_means, all_means), None

    size = n + len(of.left)
    nodes = (jnp.moveaxis(probabilities, 2, 0), weights)
    second_moments = jax.lax.scan(add, jnp.zeros((size, size)), nodes)[0]
    moments = model_moments(of, probabilities, weights)
    return second_moments - jnp.outer(moments, moments)


def _means(values: Values, item: Values, p: Float[Array, "I C"]) -> Array:
    return jnp.sum(values * p[item], axis=1)


def probabilities_at(
    model: Model, n_categories: int, psi: Array, data: Data, nodes: Float[Values, "K D"]
) -> Float[Array, "I C K"]:
    """Return the probabilities of all categories as a function of the free parameters."""
    cells = cell_parameters(model, data.restriction.expand(psi), data, jnp.zeros(0))
    return category_probabilities(model, n_categories, cells, nodes)


@compiled(0, 1)
def moments_and_jacobian(
    model: Model, n_categories: int, of: Basis, psi: Array, data: Data, grid: Grid
) -> tuple[Float[Array, "I C K"], Float[Array, " s"], Float[Array, "s F"]]:
    """Return probabilities, moments, and derivatives of these in the free parameters."""

    def moments(psi: Array) -> Array:
        p = probabilities_at(model, n_categories, psi, data, grid.nodes)
        return model_moments(of, p, jnp.exp(grid.log_weights))

    def along(direction: Array) -> Array:
        return jax.jvp(moments, (psi,), (direction,))[1]

    p = probabilities_at(model, n_categories, psi, data, grid.nodes)
    return p, moments(psi), jax.lax.map(along, jnp.eye(len(psi))).T
