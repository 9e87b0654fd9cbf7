"""Whether a model describes the data as a whole: M2 and its relatives, RMSEA, SRMSR, CFI, TLI."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from eirt._config import double_precision
from eirt._math import equispaced_grid
from eirt.diagnostics.moments import (
    FINE,
    Basis,
    Statistic,
    basis,
    moment_covariance,
    moments_and_jacobian,
    sample_moments,
)
from eirt.diagnostics.residuals import require_independent, require_ordered
from eirt.errors import DataError, nearest
from eirt.likelihood.cells import Data
from eirt.results import Fit
from eirt.scores.answers import answers_of
from eirt.scores.sums import require_test

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Float

NODES = {1: 61, 2: 31, 3: 15}  # of each dimension
CLOSE = 0.05  # RMSEA and SRMSR of an adequate fit


class Quadratic(NamedTuple):
    """A quadratic form of residual moments and its degrees of freedom."""

    value: float
    df: int

    @property
    def excess(self) -> float:
        """What exceeds the expectation under the model."""
        return max(self.value - self.df, 0.0)


@double_precision
def model_fit(fit: Fit, statistic: Statistic | None = None) -> pd.DataFrame:
    """Test a model by the means and products of item responses that it implies.

        M2 = N r'(X^-1 - X^-1 D (D'X^-1 D)^-1 D'X^-1) r,   df = s - rank D

    where r are residual moments (observed minus implied), X is the covariance of sample moments
    and D the derivative of implied moments in the free parameters. RMSEA = sqrt((M2 - df) /
    (df (N - 1))) with a 90% interval; CFI and TLI compare with independent items; SRMSR is the root
    mean square of residual correlations.

    Args:
        fit: a fit of persons by quadrature, of one to three abilities, to one test that everybody
            answered, binary or ordered.
        statistic: "M2" (proportions of all categories and their pairs), "C2" (proportions of
            categories, products of response codes) or "M2*" (means and products of codes, for long
            tests). They agree for binary items; by default "M2" for these and "C2" otherwise.

    Returns:
        One row: statistic, value, df, p, rmsea, rmsea_lower, rmsea_upper, srmsr, cfi, tli, reading.

    Raises:
        ValueError: for an unknown statistic.
        DataError: if there is no such test for the model or the data, or there are too few items.

    Source: Maydeu-Olivares & Joe (2006, eq. 9); Cai & Hansen (2013) for M2*; Cai & Monroe (2014)
    for C2; Maydeu-Olivares & Joe (2014) for RMSEA and its interval, and for 0.05.

    >>> import eirt
    >>> fit = eirt.two_pl(eirt.load("lsat7"), wide=True)
    >>> fit.model_fit()[["value", "df", "p", "rmsea", "cfi"]].round(3)
        value  df      p  rmsea    cfi
    0  11.938   5  0.036  0.037  0.968
    """
    import pandas as pd
    from scipy.special import chdtrc

    y, n_categories = _responses(fit)
    kind = statistic or ("M2" if n_categories.max() == 2 else "C2")
    if kind not in FINE:
        raise ValueError(f"No statistic {kind!r}; there are M2, C2 and M2*.{nearest(kind, FINE)}")
    of, n = basis(kind, n_categories), len(y)
    observed = sample_moments(of, y)
    grid = equispaced_grid(NODES[fit.model.dimension], fit.model.dimension)
    data = jax.device_put(Data.of(fit.design, fit.restriction))
    size, psi = len(fit.design.labels), jnp.asarray(fit.psi)
    p, implied, derivative = moments_and_jacobian(fit.model, size, of, psi, data, grid)
    p = p[:, : n_categories.max()]
    weights = jnp.exp(jnp.asarray(grid.log_weights))
    covariance = moment_covariance(of, p, weights)
    found = _quadratic(n, observed - np.asarray(implied), covariance, derivative)
    if found.df < 1:
        raise DataError(
            f"{fit.name} has {fit.n_params} parameters for {len(observed)} moments: {kind} has no "
            "degrees of freedom; it takes more items or fewer parameters."
        )
    null = _independence(of, y, n_categories.max())
    lower, upper = (np.sqrt(x / (found.df * (n - 1))) for x in _noncentralities(found))
    table = {
        "statistic": kind,
        "value": found.value,
        "df": found.df,
        "p": float(chdtrc(found.df, found.value)),
        "rmsea": np.sqrt(found.excess / (found.df * (n - 1))),
        "rmsea_lower": lower,
        "rmsea_upper": upper,
        "srmsr": _residual_correlation(y, np.asarray(p), np.asarray(weights)),
        "cfi": 1 - found.excess / max(null.excess, found.excess, 1e-300),
        "tli": (null.value / null.df - found.value / found.df) / (null.value / null.df - 1),
    }
    close = table["rmsea"] <= CLOSE and table["srmsr"] <= CLOSE
    reading = "describes the data closely" if close else "does not describe the data closely"
    return pd.DataFrame([{**table, "reading": reading}])


def _responses(fit: Fit) -> tuple[np.ndarray, np.ndarray]:
    """Return responses, persons x items, and the number of categories of each item.

    Raises:
        DataError: if the model or the data have no such test.
    """
    require_ordered(fit)
    require_independent(fit)
    answers = answers_of(fit)
    require_test(fit, answers)
    y = np.asarray(answers.y).astype(int)
    return y, y.max(axis=0) + 1


def _quadratic(
    n: int,
    residual: Float[np.ndarray, " s"],
    covariance: Float[np.ndarray | jax.Array, "s s"],
    derivative: Float[np.ndarray | jax.Array, "s F"],
) -> Quadratic:
    """Return N times the squared length of what derivatives leave of whitened residuals."""
    from scipy.linalg import solve_triangular

    try:
        factor = np.linalg.cholesky(np.asarray(covariance))
    except np.linalg.LinAlgError:
        raise DataError(
            "Some items or categories are so rare that moments depend on each other; leave them "
            "out, or use statistic='M2*'."
        ) from None
    white = solve_triangular(factor, residual, lower=True)
    moved = solve_triangular(factor, np.asarray(derivative), lower=True)
    left, sizes, _ = np.linalg.svd(moved / np.maximum(np.linalg.norm(moved, axis=0), 1e-300), False)
    kept = left[:, sizes > 1e-8 * sizes.max()]
    value = n * float(white @ white - np.sum((kept.T @ white) ** 2))
    return Quadratic(value, len(residual) - kept.shape[1])


def _independence(of: Basis, y: np.ndarray, most: int) -> Quadratic:
    """Return the statistic of independent items, their proportions as observed."""
    shares = np.stack([np.bincount(column, minlength=most) for column in y.T]) / len(y)
    p, one = jnp.asarray(shares)[:, :, None], jnp.ones(1)
    mean = np.sum(of.second * shares[of.second_item], axis=1)
    first = np.sum(of.first * shares[of.first_item], axis=1)
    implied = np.concatenate([first, mean[of.left] * mean[of.right]])

    def moved(values: np.ndarray, item: np.ndarray) -> np.ndarray:
        by_item = np.zeros((len(item), len(shares), most))
        by_item[np.arange(len(item)), item] = values
        return by_item.reshape(len(item), -1)

    second = moved(of.second, of.second_item)
    products = second[of.left] * mean[of.right, None] + second[of.right] * mean[of.left, None]
    derivative = np.concatenate([moved(of.first, of.first_item), products])
    residual = sample_moments(of, y) - implied
    return _quadratic(len(y), residual, moment_covariance(of, p, one), derivative)


def _noncentralities(found: Quadratic) -> tuple[float, float]:
    """Return the 90% interval of the noncentrality of a chi-square."""
    from scipy.special import chdtr, chndtrinc

    def limit(chance: float) -> float:
        if chdtr(found.df, found.value) <= chance:
            return 0.0
        return float(chndtrinc(found.value, found.df, chance))

    return limit(0.95), limit(0.05)


def _residual_correlation(
    y: np.ndarray, p: Float[np.ndarray, "I C K"], weights: Float[np.ndarray, " K"]
) -> float:
    """Return the root mean square of observed minus implied correlations."""
    codes = np.arange(p.shape[1])
    at_node = np.einsum("ick,c->ik", p, codes)
    mean = at_node @ weights
    covariance = (at_node * weights) @ at_node.T - np.outer(mean, mean)
    variance = np.einsum("ick,c,k->i", p, codes**2, weights) - mean**2
    implied = covariance / np.sqrt(np.outer(variance, variance))
    pairs = np.triu_indices(len(mean), 1)
    return float(np.sqrt(np.mean((np.corrcoef(y.T) - implied)[pairs] ** 2)))
