"""The distribution of ability that a conditional calibration leaves open, estimated afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from eirt._compiled import compiled
from eirt._math import equispaced_grid
from eirt.model import Model

if TYPE_CHECKING:
    from jaxtyping import Array, Float

    from eirt.scores.answers import Answers

NODES, REACH = 161, 7.0  # in standard deviations


class Population(NamedTuple):
    """Mean and standard deviation of a normal distribution of ability."""

    mean: float
    sd: float


def population(model: Model, answers: Answers) -> Population:
    """Return the normal distribution of ability that makes the responses most likely.

        max over (mu, sigma) of sum_p log integral p(y_p | theta) N(theta; mu, sigma^2) dtheta

    Items are as calibrated. A score says all about ability in the Rasch family: persons who
    answered the same items with the same score count as one.

    Args:
        model: the model.
        answers: responses on the scale of ability, mean 0 and scale 1.

    Source: Mislevy (1984), with a normal distribution.
    """
    from scipy.optimize import minimize

    one, counts = _distinct(answers)

    def objective(at: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = _value_and_grad(model, one, counts, jnp.asarray(at))
        return -float(value), -np.asarray(slope)

    found = minimize(objective, np.zeros(2), jac=True, method="BFGS", options={"gtol": 1e-8})
    return Population(float(found.x[0]), float(np.exp(found.x[1])))


def _distinct(answers: Answers) -> tuple[Answers, Float[np.ndarray, " n"]]:
    """Return one of the persons with the same items and score, and how many there are."""
    present = np.asarray(answers.present)
    score = (np.asarray(answers.y) * present).sum(axis=1)
    location = np.asarray(answers.cells.location) * present
    key = np.column_stack([score, present, location])
    _, first, count = np.unique(key, axis=0, return_index=True, return_counts=True)
    return jax.tree.map(lambda leaf: np.asarray(leaf)[first], answers), count.astype(float)


@compiled(0)
def _value_and_grad(
    model: Model, answers: Answers, counts: Float[Array, " n"], at: Float[Array, " 2"]
) -> tuple[Float[Array, ""], Float[Array, " 2"]]:
    """Return the marginal log-likelihood in (mean, log sd), per person, and its gradient."""
    grid = equispaced_grid(NODES, 1, REACH)

    def value(at: Array) -> Array:
        theta = at[0] + jnp.exp(at[1]) * grid.nodes[:, 0]

        def one(person: Answers) -> Array:
            each = jax.vmap(model.log_prob, (0, 0, None))
            every = jax.vmap(lambda x: person.present @ each(person.cells, person.y, x[None]))
            return jax.nn.logsumexp(every(theta) + grid.log_weights)

        return counts @ jax.lax.map(one, answers) / jnp.sum(counts)

    return jax.value_and_grad(value)(at)
