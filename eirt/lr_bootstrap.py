"""Likelihood ratios of data drawn from the smaller of two models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import numpy as np

from eirt._config import double_precision
from eirt.refits import converged_on
from eirt.results import Fit
from eirt.samples import in_order, with_responses
from eirt.simulation import draw

if TYPE_CHECKING:
    from jaxtyping import Float


@double_precision
def bootstrap_ratios(small: Fit, large: Fit, n: int, seed: int) -> Float[np.ndarray, " n"]:
    """Return 2 (log L_large - log L_small) of both models refitted to data from the smaller fit.

    Replicates in which one of them does not converge are left out.

    Args:
        small: the fit that is the truth.
        large: a fit that contains it, to the same responses in any order of rows.
        n: replicates.
        seed: of the random numbers.

    Raises:
        DataError: if the likelihood is conditional: there is no distribution to draw from.

    Source: Davison & Hinkley (1997), section 4.2.3.
    """
    items = small.design.item is not None and large.design.item is not None
    here, there = in_order(small.design, items), in_order(large.design, items)
    found = []
    for key in jax.random.split(jax.random.PRNGKey(seed), n):
        y = draw(small, key)
        same = np.empty_like(y)
        same[there] = y[here]
        fits = (
            converged_on(small, with_responses(small.design, y)),
            converged_on(large, with_responses(large.design, same)),
        )
        if fits[0] is not None and fits[1] is not None:
            found.append(max(2 * (fits[1].loglik - fits[0].loglik), 0.0))
    return np.array(found)
