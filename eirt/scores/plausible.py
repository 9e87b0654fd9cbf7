"""Plausible values: draws from the posterior distribution of each person's ability."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from eirt._compiled import compiled
from eirt._config import double_precision
from eirt._math import upper_solve
from eirt.model import Model
from eirt.results import Fit
from eirt.scores.answers import Answers, answers_of, counts_of
from eirt.scores.estimates import log_likelihood, posterior_modes
from eirt.scores.persons import about, refuse_method

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Array, Float

CHAIN = 20  # proposals for each draw; few are refused
HEAVY = 5  # degrees of freedom of the proposals


@double_precision
def plausible_values(fit: Fit, n: int = 5, seed: int = 0) -> pd.DataFrame:
    """Draw plausible values of each person's ability.

        theta ~ p(theta | y, z),   proportional to p(y | theta) N(theta; z'gamma, Sigma)

    Statistics of the population (means, variances, regressions on the covariates z that the model
    has) are unbiased when computed from each column and averaged, where those of EAP or WLE are
    not. Parameters and effects of items are at their estimates.

    Args:
        fit: a fit with a local group.
        n: how many values for each person.
        seed: of the random numbers.

    Returns:
        The person column, n, score, then pv1, pv2, ...; with several dimensions a row per person
        and dimension.

    Raises:
        ValueError: if the model has no person effects, or n is not positive.

    Source: Mislevy (1991); drawn by independent Metropolis steps (Tierney, 1994) from t
    distributions around posterior modes.

    >>> import eirt
    >>> fit = eirt.rasch(eirt.load("lsat7"), wide=True)
    >>> values = fit.plausible_values(2, seed=1)
    >>> list(values.columns)
    ['id', 'n', 'score', 'pv1', 'pv2']
    >>> bool(abs(values["pv1"].std() - fit.random["sd"][0]) < 0.1)
    True
    """
    import pandas as pd

    refuse_method(fit, "EAP")
    if n < 1:
        raise ValueError(f"n={n} plausible values; ask for 1 or more.")
    answers = answers_of(fit)
    drawn = posterior_draws(fit, answers, n, seed)
    values = {f"pv{k + 1}": answers.ability(x).ravel() for k, x in enumerate(drawn)}
    return pd.concat([about(fit, counts_of(fit)), pd.DataFrame(values)], axis=1)


def posterior_draws(
    fit: Fit, answers: Answers, n: int, seed: int
) -> Iterator[Float[np.ndarray, "N D"]]:
    """Yield draws of every person's x from the posterior."""
    centre, factor = posterior_modes(fit.model, answers)
    rng = np.random.default_rng(seed)
    for _ in range(n):
        z, chance = _proposals(rng, *centre.shape)
        yield np.asarray(_draws(fit.model, answers, centre, factor, z, chance))


def _proposals(rng: np.random.Generator, n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Return draws from the standard t distribution, and those that decide on acceptance."""
    spread = rng.chisquare(HEAVY, (n, CHAIN, 1)) / HEAVY
    return rng.standard_normal((n, CHAIN, d)) / np.sqrt(spread), rng.random((n, CHAIN))


@compiled(0)
def _draws(
    model: Model,
    answers: Answers,
    centre: Float[Array, "N D"],
    factor: Float[Array, "N D D"],
    z: Float[Array, "N T D"],
    chance: Float[Array, "N T"],
) -> Float[Array, "N D"]:
    """Return one draw of x for every person (this is where persons are vmapped)."""
    return jax.vmap(functools.partial(_draw, model))(answers, centre, factor, z, chance)


def _draw(
    model: Model,
    one: Answers,
    centre: Float[Array, " D"],
    factor: Float[Array, "D D"],
    z: Float[Array, "T D"],
    chance: Float[Array, " T"],
) -> Float[Array, " D"]:
    """Return one draw of x of ONE person: the last state of a chain of independent proposals.

    Args:
        model: the model.
        one: the responses.
        centre: posterior mode.
        factor: Cholesky factor of the curvature there.
        z: draws from the standard t distribution.
        chance: uniform draws, which decide on acceptance.
    """
    x = centre + upper_solve(factor, z.T).T
    target = jax.vmap(log_likelihood, (None, None, 0))(model, one, x) - jnp.sum(x**2, axis=1) / 2
    proposal = -(HEAVY + z.shape[1]) / 2 * jnp.log1p(jnp.sum(z**2, axis=1) / HEAVY)
    ratio = target - proposal

    def step(now: Array, new: Array) -> tuple[Array, None]:
        accepted = jnp.log(chance[new]) < ratio[new] - ratio[now]
        return jnp.where(accepted, new, now), None

    last, _ = jax.lax.scan(step, jnp.zeros((), int), jnp.arange(1, CHAIN))
    return x[last]
