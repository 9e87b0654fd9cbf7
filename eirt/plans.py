"""What is assumed of a study that is planned, and roughly its power."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from eirt.errors import DataError, listing

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Float

Features = Literal["binary", "normal"]
NODES = 41  # of normal distributions, in the approximation


class Plan(NamedTuple):
    """What is assumed of a study.

    Attributes:
        effects: of each feature on easiness.
        features: what features are like; see `power`.
        sds: of items' residuals, then of persons.
        intercept: easiness where all features are zero.
    """

    effects: Mapping[str, float]
    features: Features | pd.DataFrame
    sds: tuple[float, float]
    intercept: float

    @property
    def beta(self) -> Float[np.ndarray, " k"]:
        """The coefficients, the intercept first."""
        return np.array([self.intercept, *self.effects.values()])


def planned(
    effects: float | Mapping[str, float],
    features: Features | pd.DataFrame,
    item_sd: float | None,
    person_sd: float,
    intercept: float,
) -> Plan:
    """Return what is assumed of a study, checked; see `eirt.power`.

    Raises:
        ValueError: if a number is missing or impossible.
        DataError: if the frame of features lacks a column.
    """
    if item_sd is None:
        raise ValueError("Power depends on the sd of items' residuals; give item_sd=.")
    if item_sd < 0 or person_sd <= 0:
        raise ValueError(f"item_sd={item_sd} and person_sd={person_sd} must be positive.")
    if isinstance(features, str) and features not in ("binary", "normal"):
        raise ValueError(f"No features {features!r}; there are 'binary', 'normal' and frames.")
    if isinstance(effects, Mapping):
        known = {str(name): float(value) for name, value in effects.items()}
    elif isinstance(features, str):
        known = {"feature": float(effects)}
    else:
        known = {str(features.columns[0]): float(effects)}
    if not isinstance(features, str) and not set(known) <= set(features.columns):
        missing = [name for name in known if name not in features.columns]
        raise DataError(f"The frame of features has no column {listing(missing)}.")
    return Plan(known, features, (item_sd, person_sd), intercept)


def draw_features(plan: Plan, items: int, rng: np.random.Generator) -> Float[np.ndarray, "I k"]:
    """Draw the features of items, the intercept first."""
    size = len(plan.effects)
    if not isinstance(plan.features, str):
        x = plan.features[list(plan.effects)].to_numpy(float)
        if items != len(x):
            x = x[rng.integers(len(x), size=items)]
    elif plan.features == "normal":
        x = rng.normal(size=(items, size))
    else:
        x = rng.permuted(np.tile(np.arange(items)[:, None] % 2.0, (1, size)), axis=0)
    return np.column_stack([np.ones(items), x])


def approximate_power(
    plan: Plan, x: Float[np.ndarray, "I k"], persons: int, alpha: float
) -> Float[np.ndarray, " k-1"]:
    """Return the power of t tests of the features, without simulation.

    SE^2 = diag (X' W X)^-1,   1 / w_i = item_sd^2 + I / (I - 1) / (N E{p (1 - p)})
    """
    from scipy.special import nctdtr, stdtrit

    z, weights = np.polynomial.hermite_e.hermegauss(NODES)
    weights = weights / weights.sum()
    sd_items, sd_persons = plan.sds
    easiness = (x @ plan.beta)[:, None] + sd_items * z
    p = 1 / (1 + np.exp(-(easiness[:, :, None] + sd_persons * z)))
    known = (p * (1 - p)) @ weights  # of one person about an item
    noise = len(x) / ((len(x) - 1) * persons * known)
    precision = (1 / (sd_items**2 + noise)) @ weights
    se = np.sqrt(np.diagonal(np.linalg.pinv(x.T @ (precision[:, None] * x))))[1:]
    df = len(x) - x.shape[1]
    far, shift = stdtrit(df, 1 - alpha / 2), np.abs(plan.beta[1:]) / se
    return 1 - nctdtr(df, shift, far) + nctdtr(df, shift, -far)
