"""Sum scores: their distribution at an ability, and what they tell of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from eirt._compiled import compiled
from eirt._config import double_precision
from eirt._math import equispaced_grid
from eirt.errors import DataError
from eirt.model import CellParameters, Model
from eirt.results import Fit
from eirt.scores.answers import Answers, answers_of
from eirt.scores.estimates import predictors

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Array, Float

NODES = {1: 121, 2: 41, 3: 17}  # of each dimension
REACH = 8.0


class OneTest(NamedTuple):
    """A test that everybody answered.

    Attributes:
        nodes: points of x.
        weights: of the normal density there.
        probabilities: of each item's categories at the nodes.
    """

    nodes: Float[np.ndarray, "K D"]
    weights: Float[np.ndarray, " K"]
    probabilities: Float[np.ndarray, "I C K"]


def one_test(fit: Fit, answers: Answers) -> OneTest:
    """Return the test that everybody answered.

    Raises:
        DataError: if they did not.
    """
    require_test(fit, answers)
    grid = equispaced_grid(NODES[fit.model.dimension], fit.model.dimension, REACH)
    cells = jax.tree.map(lambda leaf: leaf[0], answers.cells)
    nodes, size = np.asarray(grid.nodes), len(fit.design.labels)
    probabilities = np.asarray(category_probabilities(fit.model, size, cells, nodes))
    return OneTest(nodes, np.exp(grid.log_weights), probabilities)


def require_test(fit: Fit, answers: Answers) -> None:
    """Refuse what sum scores of one test cannot be computed for.

    Raises:
        DataError: saying what is in the way, and what to use instead.
    """
    present, cells = np.asarray(answers.present), jax.tree.leaves(answers.cells)
    if not fit.design.labels:
        raise DataError("Sum scores are of responses in categories; these are not.")
    if fit.model.dimension not in NODES:
        raise DataError(
            f"Sum scores are for one to three abilities; {fit.name} has {fit.model.dimension}."
        )
    same = np.ptp(np.asarray(answers.item), axis=0).max(initial=0) == 0
    differ = max(np.ptp(np.asarray(leaf), axis=0).max(initial=0.0) for leaf in cells)
    if not np.all(present) or not same or differ > 1e-9:
        raise DataError(
            "This needs one test: everybody answered the same items, whose parameters and the "
            "distribution of ability are the same for all; use what looks at single responses "
            "(persons('EAP'), item_fit(), q3()), or fit persons without missing responses."
        )


@compiled(0, 1)
def category_probabilities(
    model: Model, n_categories: int, cells: CellParameters, nodes: Float[Array, "K D"]
) -> Float[Array, "I C K"]:
    """Return the probability of each category of each item at every node."""
    codes = jnp.arange(n_categories, dtype=cells.location.dtype)

    def one(code: Array, eta: Array, aux: Array) -> Array:
        return jnp.exp(model.response.log_prob(code, eta, aux))

    every = jax.vmap(jax.vmap(jax.vmap(one, (None, 0, None)), (0, None, None)), (None, 0, 0))
    eta = jax.vmap(predictors, (None, 0), 1)(cells, nodes)
    return every(codes, eta, cells.aux)


def sum_distribution(probabilities: Float[np.ndarray, "I C K"]) -> Float[np.ndarray, "S K"]:
    """Return P(sum = s | node) of independent items, an item at a time.

        L_i(s) = sum_c P_i(c) L_{i-1}(s - c)

    Source: Lord & Wingersky (1984); Thissen et al. (1995) for several categories.

    >>> sum_distribution(np.full((2, 2, 1), 0.5))[:, 0].tolist()
    [0.25, 0.5, 0.25]
    """
    n, size, k = probabilities.shape
    total = np.zeros((n * (size - 1) + 1, k))
    total[0] = 1.0
    for item in probabilities:
        total = sum(
            np.concatenate([np.zeros((c, k)), total[: len(total) - c]]) * item[c]
            for c in range(size)
        )
    return total


def _posterior(test: OneTest) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return probability, posterior mean and covariance of x by sum score."""
    joint = sum_distribution(test.probabilities) * test.weights
    chance = joint.sum(axis=1)
    with np.errstate(invalid="ignore"):
        weights = joint / chance[:, None]
    mean = weights @ test.nodes
    second = np.einsum("sk,kd,ke->sde", weights, test.nodes, test.nodes)
    return chance, mean, second - mean[:, :, None] * mean[:, None, :]


def posterior_of_sums(fit: Fit, answers: Answers) -> tuple[np.ndarray, np.ndarray]:
    """Return each person's posterior mean and standard deviation of ability given the sum score."""
    _, mean, covariance = _posterior(one_test(fit, answers))
    score = np.asarray(answers.y).sum(axis=1).astype(int)
    return answers.ability(mean[score]), answers.spread(covariance[score])


@double_precision
def sum_scores(fit: Fit) -> pd.DataFrame:
    """Return what each sum score says of ability, and how often it was expected and observed.

        E(theta | s) = integral of theta L(s | theta) phi(theta) / P(s)

    Args:
        fit: a fit to one test that everybody answered, responses in categories.

    Returns:
        Columns score, ability, se (posterior mean and standard deviation given the sum score; of
        the first dimension), expected and observed (persons). Where several abilities are
        measured, ability_2, se_2 and so on follow.

    Raises:
        DataError: if persons answered different items, or have different priors.

    Source: Lord & Wingersky (1984); Thissen, Pommerich, Billeaud & Williams (1995).

    >>> import eirt
    >>> eirt.rasch(eirt.load("lsat7"), wide=True).sum_scores().round(2).head(2)
       score  ability    se  expected  observed
    0      0    -1.93  0.71     10.54        12
    1      1    -1.43  0.70     43.44        40
    """
    import pandas as pd

    answers = answers_of(fit)
    test = one_test(fit, answers)
    chance, mean, covariance = _posterior(test)
    observed = np.bincount(np.asarray(answers.y).sum(axis=1).astype(int), minlength=len(chance))
    possible = chance > 0
    one = answers._replace(mean=answers.mean[:1], scale=answers.scale[:1])
    ability, se = one.ability(mean), one.spread(covariance)
    table = {"score": np.arange(len(chance))}
    for d in range(ability.shape[1]):
        end = f"_{d + 1}" if d else ""
        table |= {f"ability{end}": ability[:, d], f"se{end}": se[:, d]}
    table |= {"expected": len(answers.y) * chance, "observed": observed}
    return pd.DataFrame(table)[possible].reset_index(drop=True)
