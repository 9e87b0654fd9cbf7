"""Items that nobody has answered yet: what their features predict, and how far off that may be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from eirt._config import double_precision
from eirt._math import equispaced_grid
from eirt.errors import nearest
from eirt.forecasts import Forecast, forecast, require_freedom
from eirt.frames import to_pandas
from eirt.results import Fit

if TYPE_CHECKING:
    import pandas as pd

INTERVALS = ("t", "normal")
NODES = 801  # over +-6.5 sd
HALVINGS = 60


@double_precision
def predict_items(
    fit: Fit,
    features: Any,
    level: float = 0.95,
    interval: Literal["t", "normal"] = "t",
) -> pd.DataFrame:
    """Return what their features predict of new items: difficulty, easiness, discrimination.

        e = x'beta + r,   log a = v'alpha + s,   b = -e / a,   (r, s) ~ N(0, Sigma)

    The prediction is that of an item whose residuals are zero, and its standard error that of
    this mean. The interval is for the item itself: it adds the variance of what features leave
    unexplained, of all terms of items together; without any, it claims that features explain
    items perfectly. A group of items, as in `(1 | template)`, counts by its estimated effect where
    `features` names a known level, by its variance otherwise; the item itself is always new. As
    in `fit.items`, covariates of persons are zero; ability has mean zero.

    Args:
        fit: a fit whose items are described by features.
        features: one row an item, with the columns of the item formulas; an item column names
            the rows.
        level: probability of the prediction intervals.
        interval: "t" allows for the small number of items as regression does: it reaches
            sqrt(items / d) sd times the quantile of Student's t with d = items - coefficients
            degrees of freedom; for an item of a new group, with groups and the coefficients that
            describe groups. "normal" takes the estimated variances as known: 1.96 sd.

    Returns:
        One row an item: difficulty (of one ability dimension), easiness and, where slopes are
        estimated, discrimination; each with `_se` (of the mean), `_sd` (of a new item) and
        `_lower`, `_upper` (prediction interval). Where slopes are estimated, the limits of
        difficulty are quantiles of -e / a, by quadrature, and its `_se` and `_sd` come from the
        delta method.

    Raises:
        ValueError: if `level` is no probability, or there is no such interval.
        DataError: if items are free (`0 + item`), or there are too few for "t".
        FormulaError: if `features` lacks a column.

    Source: Janssen, Schepers & Peres (2004); De Boeck (2008); intervals, Searle, Casella &
    McCulloch (1992), chapter 7.

    >>> import eirt
    >>> import pandas as pd
    >>> fit = eirt.lltm(eirt.load("verbagg"), "~ btype + situ + mode + (1 | item)", response="r2")
    >>> new = pd.DataFrame({"btype": ["curse", "shout"], "situ": "self", "mode": "do"})
    >>> columns = ["difficulty", "difficulty_se", "difficulty_lower", "difficulty_upper"]
    >>> fit.predict_items(new)[columns].round(2)
       difficulty  difficulty_se  difficulty_lower  difficulty_upper
    0       -0.01           0.19             -0.94              0.91
    1        2.09           0.19              1.16              3.02
    """
    import pandas as pd

    frame = to_pandas(features)
    found = forecast(fit, frame)
    reach = _reach(found, level, interval)
    item = fit.design.item
    names = frame[item] if item in frame.columns else np.arange(1, len(frame) + 1)
    table = {"item": names}
    if fit.model.dimension == 1:
        table |= _columns("difficulty", _difficulty(found, reach))
    table |= _columns("easiness", _easiness(found, reach))
    if fit.has_slopes:
        table |= _columns("discrimination", _discrimination(found, reach))
    return pd.DataFrame(table)


def _reach(found: Forecast, level: float, interval: str) -> np.ndarray:
    """Return how many sd the interval of each item reaches."""
    from scipy.special import ndtri, stdtrit

    if not 0 < level < 1:
        raise ValueError(f"level={level} is no probability; write 0.95 for 95% intervals.")
    if interval not in INTERVALS:
        raise ValueError(
            f"No interval {interval!r}; there are 't' and 'normal'.{nearest(interval, INTERVALS)}"
        )
    if interval == "normal":
        return np.full(len(found.free), ndtri((1 + level) / 2))
    least = int(np.argmin(found.free))
    require_freedom(int(found.levels[least]), int(found.free[least]))
    return stdtrit(found.free, (1 + level) / 2) * np.sqrt(found.levels / found.free)


def _columns(name: str, values: tuple[np.ndarray, ...]) -> dict[str, np.ndarray]:
    suffixes = ("", "_se", "_sd", "_lower", "_upper")
    return {name + suffix: column for suffix, column in zip(suffixes, values, strict=True)}


def _easiness(found: Forecast, reach: np.ndarray) -> tuple[np.ndarray, ...]:
    mean = found.mean[:, 0]
    se, sd = np.sqrt(found.estimation[:, 0, 0]), np.sqrt(found.total[:, 0, 0])
    return mean, se, sd, mean - reach * sd, mean + reach * sd


def _slopes(found: Forecast) -> tuple[np.ndarray, np.ndarray]:
    """Return discriminations and their derivatives in their predictors."""
    both = jax.vmap(jax.value_and_grad(found.slope.at))(jnp.asarray(found.mean[:, 1]))
    return np.asarray(both[0]), np.asarray(both[1])


def _discrimination(found: Forecast, reach: np.ndarray) -> tuple[np.ndarray, ...]:
    slope, change = _slopes(found)
    se, sd = np.sqrt(found.estimation[:, 1, 1]), np.sqrt(found.total[:, 1, 1])
    limits = (
        np.asarray(jax.vmap(found.slope.at)(jnp.asarray(found.mean[:, 1] + side * reach * sd)))
        for side in (-1, 1)
    )
    return slope, change * se, change * sd, *limits


def _difficulty(found: Forecast, reach: np.ndarray) -> tuple[np.ndarray, ...]:
    from scipy.special import ndtr

    slope, change = _slopes(found)
    difficulty = -found.mean[:, 0] / slope
    gradient = np.stack([-1 / slope, -difficulty / slope * change], axis=1)
    se, sd = (
        np.sqrt(np.einsum("ia,iab,ib->i", gradient, covariance, gradient))
        for covariance in (found.estimation, found.total)
    )
    lower, upper = (_quantile(found, ndtr(side * reach)) for side in (-1, 1))
    return difficulty, se, sd, lower, upper


def _quantile(found: Forecast, probability: np.ndarray) -> np.ndarray:
    """Return a quantile of -e / a of each item.

        P(-e / a <= t) = integral of P(e >= -t a | a) over the predictor of a

    The inner probability is normal, the outer integral a sum over nodes, and t is found by
    bisection.
    """
    from scipy.special import ndtr

    grid = equispaced_grid(NODES)
    total = found.total
    sd = np.sqrt(total[:, 1, 1])
    tilt = total[:, 0, 1] / np.maximum(sd, 1e-300)
    spread = np.sqrt(np.maximum(total[:, 0, 0] - tilt**2, 1e-24))
    nodes = grid.nodes[:, 0]
    easiness = found.mean[:, :1] + tilt[:, None] * nodes
    slope = np.asarray(found.slope.at(jnp.asarray(found.mean[:, 1:] + sd[:, None] * nodes)))

    def below(t: np.ndarray) -> np.ndarray:
        z = np.sign(slope) * (easiness + t[:, None] * slope) / spread[:, None]
        return ndtr(z) @ np.exp(grid.log_weights)

    lower, upper = -np.ones(len(sd)), np.ones(len(sd))
    while np.any(short := below(lower) > probability):
        lower[short] *= 2
    while np.any(short := below(upper) < probability):
        upper[short] *= 2
    for _ in range(HALVINGS):
        middle = (lower + upper) / 2
        above = below(middle) > probability
        lower, upper = np.where(above, lower, middle), np.where(above, middle, upper)
    return (lower + upper) / 2
