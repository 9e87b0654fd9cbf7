"""How much items and the test tell of an ability."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import numpy as np

from eirt._compiled import compiled
from eirt._config import double_precision
from eirt.difficulty import ability_origin
from eirt.errors import DataError
from eirt.responses import Response
from eirt.results import Fit
from eirt.scores.answers import answers_of
from eirt.tables import local_factor

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Array, Float

WIDTH = 4.0  # standard deviations of ability


@double_precision
def information_function(
    fit: Fit, theta: np.ndarray | None = None, items: bool = False
) -> pd.DataFrame:
    """Return the expected (Fisher) information about ability, of the test or of each item.

        I_i(theta) = sum over categories of P'^2 / P,   I = sum of I_i,   se = 1 / sqrt(I)

    Args:
        fit: a fit with items and one ability.
        theta: abilities, by default 81 on +-4 standard deviations. Zero is the mean of persons
            whose covariates are zero (of difficulties, where the likelihood is conditional).
        items: whether to return a row for each item and ability.

    Returns:
        Columns theta, information, se (of maximum likelihood estimates); or item, theta,
        information.

    Raises:
        DataError: if there are several abilities, or the family has no expected information.

    Source: Birnbaum (1968); Samejima (1969) for several categories.

    >>> import eirt
    >>> eirt.rasch(eirt.load("lsat7"), wide=True).information_function([-1.0, 0.0]).round(2)
       theta  information    se
    0   -1.0         1.13  0.94
    1    0.0         0.82  1.10
    """
    import pandas as pd

    if fit.model.dimension != 1:
        raise DataError(f"Information is about one ability; {fit.name} has {fit.model.dimension}.")
    found = fit.item_parameters
    if theta is None:
        theta = _usual(fit)
    at = np.asarray(theta, float).ravel()
    own = at - ability_origin(fit)
    try:
        each = _information(fit.model.response, found.easiness, found.slope, found.aux, own)
    except NotImplementedError as error:
        raise DataError(str(error)) from None
    values = np.asarray(each)
    if items:
        return pd.DataFrame(
            {
                "item": np.repeat(fit.design.items, len(at)),
                "theta": np.tile(at, len(values)),
                "information": values.ravel(),
            }
        )
    total = values.sum(axis=0)
    with np.errstate(divide="ignore"):
        return pd.DataFrame({"theta": at, "information": total, "se": 1 / np.sqrt(total)})


def _usual(fit: Fit) -> Float[np.ndarray, " T"]:
    """Return abilities within four standard deviations of the mean."""
    around = np.linspace(-WIDTH, WIDTH, 81)
    if fit.likelihood.conditional:
        answers = answers_of(fit)
        return float(answers.mean[0, 0]) + around * float(answers.scale[0, 0, 0])
    return around * local_factor(fit)[0, 0]


@compiled(0)
def _information(
    response: Response,
    easiness: Float[Array, " I"],
    slope: Float[Array, " I"],
    aux: Float[Array, "I n_aux"],
    theta: Float[Array, " T"],
) -> Float[Array, "I T"]:
    """Return the information of every item at every ability."""

    def one(easiness: Array, slope: Array, aux: Array, theta: Array) -> Array:
        return slope**2 * response.information(easiness + slope * theta, aux)

    return jax.vmap(jax.vmap(one, (None, None, None, 0)), (0, 0, 0, None))(
        easiness, slope, aux, theta
    )
