"""How well a fit foresees responses that it has not seen: log predictive densities."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from eirt._compiled import compiled
from eirt._config import double_precision
from eirt._math import Grid, equispaced_grid, gauss_hermite_grid
from eirt.effects import EASINESS, Slope, Target
from eirt.factors import factor_codes, first_of, level_codes
from eirt.forecasts import forecast
from eirt.model import Cell, Person
from eirt.predictions import rows_at
from eirt.responses import Response
from eirt.results import Fit
from eirt.tables import local_factor

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Array, Float

NODES = {1: 121, 2: 41, 3: 17}  # a dimension, over the abilities of persons
CHUNK = 64  # nodes at once
ROWS = 4096  # responses at once


class Row(NamedTuple):
    """What gives eta = easiness + steep . (ability + scale x) of one response (or of all).

    Attributes:
        easiness: that of the item, with the known effects of groups.
        steep: slope times covariate of each dimension.
        ability: what covariates and the person's known effects predict.
        scale: the factor of the person's prior.
        aux: extra parameters of the response.
    """

    easiness: Float[Array, ""]
    steep: Float[Array, " D"]
    ability: Float[Array, " D"]
    scale: Float[Array, "D D"]
    aux: Float[Array, " n_aux"]


def _rows(fit: Fit, frame: pd.DataFrame) -> tuple[Row, Float[Array, "n D"]]:
    """Return the rows of responses, and the covariates of their persons' effects."""
    model, rows = fit.model, rows_at(fit, frame, grouped=True)
    params = model.unpack(jnp.asarray(fit.full))
    gamma = params.beta[fit.design.person_columns]
    factor = model.local_factor(params)

    def one(cell: Cell, person: Person, own: Array, effects: Array) -> Row:
        found, standing = model.predictors(params, cell, own), model.standing(params, gamma, person)
        ahead = jnp.stack([found[Target("ability", d)] for d in range(model.dimension)])
        return Row(
            found[EASINESS],
            model.steepness(cell, found),
            ahead + standing.mean + factor @ effects,
            jnp.exp(standing.log_sd)[:, None] * factor,
            model.cell_parameters(params, cell, own).aux,
        )

    local = [z for effect, z in zip(model.effects, rows.cell.z, strict=True) if effect.local]
    return jax.vmap(one)(*rows), jnp.concatenate(local, axis=1)


@double_precision
def of_new_persons(
    fit: Fit, frame: pd.DataFrame, y: np.ndarray
) -> tuple[np.ndarray, Float[np.ndarray, " N"]]:
    """Return the log predictive density of all responses of each new person.

        log integral of product over responses of p(y | theta) over theta ~ N(z'gamma, Sigma)

    Parameters and effects of items are at their estimates.

    Args:
        fit: a fit of one to three dimensions of ability.
        frame: one row a response, of persons that the fit has not seen.
        y: the response codes.

    Returns:
        The number of each row's person, in order of `factor_codes`, and the log densities.

    Raises:
        ValueError: if there are no dimensions of ability, or more than three.
    """
    dimension = fit.model.dimension
    if dimension not in NODES:
        raise ValueError(f"Held-out persons need one to three dimensions of ability: {dimension}.")
    rows, _ = _rows(fit, frame)
    location = rows.easiness + jnp.sum(rows.steep * rows.ability, axis=1)
    loading = jnp.einsum("nd,nde->ne", rows.steep, rows.scale)
    person, labels = factor_codes(frame, str(fit.design.person).split(":"))
    log_prob = jax.jit(jax.vmap(jax.vmap(fit.model.response.log_prob, (None, 0, None))))
    grid = equispaced_grid(NODES[dimension], dimension)
    sums = np.zeros((len(labels), len(grid.nodes)))
    for begin in range(0, len(grid.nodes), CHUNK):
        some = slice(begin, begin + CHUNK)
        eta = location[:, None] + loading @ grid.nodes[some].T
        np.add.at(sums[:, some], person, np.asarray(log_prob(jnp.asarray(y), eta, rows.aux)))
    return person, np.logaddexp.reduce(sums + grid.log_weights, axis=1)


class _Held(NamedTuple):
    """One response to a new item: eta = e + tilt x + slope(steep + sd x) z theta, x ~ N(0, 1).

    Attributes:
        y: its code.
        aux: extra parameters of the response.
        easiness: mean of e.
        tilt: by how much e moves with the predictor of discrimination.
        spread: variance of e beside that.
        steep: mean of the predictor of discrimination, and `sd` its standard deviation.
        z: covariate of ability.
        ability: posterior mean of theta, and `doubt` its variance.
    """

    y: Float[Array, ""]
    aux: Float[Array, " n_aux"]
    easiness: Float[Array, ""]
    tilt: Float[Array, ""]
    spread: Float[Array, ""]
    steep: Float[Array, ""]
    sd: Float[Array, ""]
    z: Float[Array, ""]
    ability: Float[Array, ""]
    doubt: Float[Array, ""]


@double_precision
def of_new_items(fit: Fit, frame: pd.DataFrame, y: np.ndarray) -> Float[np.ndarray, " n"]:
    """Return the log predictive density of each response to new items, each by itself.

        log integral of p(y | e + a theta) over theta | other responses, and (e, log a) | features

    The posterior of theta is taken as normal, with its mean and variance (the prior of a person
    without other responses); easiness and log discrimination are normal around what features
    predict, with the errors of estimation and the variance of the residuals.

    Args:
        fit: a fit of one dimension of ability.
        frame: one row a response, to items that the fit has not seen.
        y: the response codes.

    Raises:
        ValueError: if there are several dimensions of ability.
        DataError: as for `eirt.new_items.predict_items`.
    """
    if fit.model.dimension != 1:
        raise ValueError("Held-out items need a model of one dimension of ability.")
    rows, z = _rows(fit, frame)
    code = factor_codes(frame, [str(fit.design.item)])[0]
    found = forecast(fit, frame.iloc[first_of(code)])
    sd = np.sqrt(found.total[:, 1, 1])
    tilt = found.total[:, 0, 1] / np.where(sd > 0, sd, 1.0)
    spread = np.maximum(found.total[:, 0, 0] - tilt**2, 0.0)
    person = level_codes(frame, str(fit.design.person).split(":"), fit.design.persons)
    posterior = (local_factor(fit)[0, 0] ** 2 * fit.moments.covariance[:, 0, 0])[person]
    doubt = jnp.where(person < 0, rows.scale[:, 0, 0] ** 2, posterior)
    held = _Held(
        y=jnp.asarray(y),
        aux=rows.aux,
        easiness=rows.easiness,
        tilt=jnp.asarray(tilt[code]),
        spread=jnp.asarray(spread[code]),
        steep=jnp.asarray(found.mean[code, 1]),
        sd=jnp.asarray(sd[code]),
        z=z[:, 0],
        ability=rows.ability[:, 0],
        doubt=doubt,
    )
    outer = gauss_hermite_grid(15 if np.any(sd > 0) else 1)
    return np.asarray(_foreseen(held, outer, fit.model.response, found.slope))


@compiled(2, 3)
def _foreseen(held: _Held, outer: Grid, response: Response, slope: Slope) -> Float[Array, " n"]:
    """Return the log predictive densities of responses."""
    inner = gauss_hermite_grid(41)

    def one(row: _Held) -> Array:
        at = outer.nodes[:, 0]
        steep = jax.vmap(slope.at)(row.steep + row.sd * at) * row.z
        centre = row.easiness + row.tilt * at + steep * row.ability
        sd = jnp.sqrt(row.spread + steep**2 * row.doubt)
        eta = centre[:, None] + sd[:, None] * inner.nodes[:, 0]
        each = jax.vmap(jax.vmap(response.log_prob, (None, 0, None)), (None, 0, None))
        log_weights = outer.log_weights[:, None] + inner.log_weights
        return jax.nn.logsumexp(each(row.y, eta, row.aux) + log_weights)

    return jax.lax.map(one, held, batch_size=ROWS)
