"""Wald tests of terms, contrasts and linear hypotheses, and functions of the parameters."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from eirt._config import double_precision
from eirt.errors import nearest
from eirt.few_items import item_freedom
from eirt.results import Fit
from eirt.robust import covariance as covariance_of
from eirt.tables import LEVEL, difference

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Float

Hypothesis = str | Sequence[str] | np.ndarray
LEVELS = re.compile(r"\[[^\]]*\]")
STEP = 1e-3  # of differences, in standard errors


class Linear(NamedTuple):
    """Linear hypotheses L psi = c."""

    matrix: Float[np.ndarray, "k P"]
    value: Float[np.ndarray, " k"]


@double_precision
def wald_test(
    fit: Fit,
    *hypotheses: Hypothesis,
    covariance: str | pd.DataFrame = "observed",
    df: Literal["items"] | None = None,
) -> pd.DataFrame:
    """Test linear hypotheses about the parameters (Wald).

        chi2 = (L psi - c)' (L V L')^-1 (L psi - c),   df = rank of L V L'

    Where items are random and few, chi-squares reject too often: `df="items"` gives F tests,
    F = chi2 / df with the covariances of features larger by I / d, on df and d = items - features
    degrees of freedom, as `fit.feature_tests` gives t tests. Of several coefficients the fewest
    degrees of freedom count; effects of persons have no such limit.

    Args:
        fit: the fit.
        *hypotheses: each gives a row. A term of a formula ("btype": all its coefficients are
            zero), a parameter, a contrast ("btype[scold] - btype[shout]"), an equation
            ("2 * btype[scold] = btype[shout] - 0.5"), a list of these that are tested together, or
            a matrix with a column for each fixed effect or each parameter. All terms by default.
        covariance: a kind of `fit.covariance`, or a covariance that it returned.
        df: "items" for F tests on the items.

    Returns:
        A row per hypothesis: hypothesis; estimate of L psi - c and its se, where it is one
        equation; chi2, df, p; or f, df, df_items, p (df_items infinite where items do not limit).

    Raises:
        ValueError: for a name that is no parameter, or a hypothesis about fixed parameters only.
        DataError: if `df="items"` and the fit has no random residuals of items.

    Source: Wald (1943); Agresti (2013), section 1.3; Schluchter & Elashoff (1990) for F.

    >>> import eirt
    >>> fit = eirt.lltm(eirt.load("verbagg"), "~ btype + mode", response="r2")
    >>> table = wald_test(fit, "btype", "btype[scold] = btype[shout]")
    >>> table[["hypothesis", "chi2", "df"]].round(1)
                        hypothesis   chi2  df
    0                        btype  719.0   2
    1  btype[scold] = btype[shout]  188.2   1
    """
    import pandas as pd

    if isinstance(covariance, str):
        covariance = covariance_of(fit, covariance)
    if df not in (None, "items"):
        raise ValueError(f"No df={df!r}; there is 'items', or none.")
    v = covariance.to_numpy()
    limit = np.full(len(v), np.inf)
    if df == "items":
        freedom = item_freedom(fit)
        larger = np.ones(len(v))
        larger[freedom.places], limit[freedom.places] = np.sqrt(freedom.inflation), freedom.df
        v = larger[:, None] * v * larger
    asked = hypotheses or tuple(_terms(fit))
    rows = []
    for one in asked:
        linear = _linear(fit, one)
        row = _wald(fit, v, _written(one), linear)
        if df == "items":
            row = _as_f(row, limit[linear.matrix.any(axis=0)].min(initial=np.inf))
        rows.append(row)
    return pd.DataFrame(rows)


def _as_f(row: dict[str, Any], d: float) -> dict[str, Any]:
    """Return the F test on d degrees of freedom in the place of a chi-square test."""
    from scipy.special import fdtrc

    f = row["chi2"] / row["df"]
    found = {name: row[name] for name in ("hypothesis", "estimate", "se")}
    p = float(fdtrc(row["df"], d, f)) if np.isfinite(d) else row["p"]
    return found | {"f": f, "df": row["df"], "df_items": d, "p": p}


def _terms(fit: Fit) -> list[str]:
    """Return the terms of the fixed part that are free, in the order of their coefficients."""
    free = np.diagonal(fit.vcov.to_numpy())[: fit.model.n_fixed] > 0
    names = [name for name, some in zip(fit.design.x_names, free, strict=True) if some]
    return list(dict.fromkeys(LEVELS.sub("", name) for name in names))


def _written(hypothesis: Hypothesis) -> str:
    if isinstance(hypothesis, str):
        return hypothesis
    if isinstance(hypothesis, np.ndarray):
        return f"{len(np.atleast_2d(hypothesis))} linear combinations"
    return ", ".join(hypothesis)


def _wald(fit: Fit, v: np.ndarray, written: str, linear: Linear) -> dict[str, object]:
    """Return the test of one set of linear hypotheses."""
    from scipy.special import chdtrc

    gap = linear.matrix @ fit.full - linear.value
    spread = linear.matrix @ v @ linear.matrix.T
    df = int(np.linalg.matrix_rank(spread, hermitian=True))
    if df == 0:
        raise ValueError(f"{written!r} is about parameters that are fixed: nothing to test.")
    chi2 = float(gap @ np.linalg.pinv(spread, hermitian=True) @ gap)
    single = len(gap) == 1
    return {
        "hypothesis": written,
        "estimate": float(gap[0]) if single else np.nan,
        "se": float(np.sqrt(spread[0, 0])) if single else np.nan,
        "chi2": chi2,
        "df": df,
        "p": float(chdtrc(df, chi2)),
    }


def _linear(fit: Fit, hypothesis: Hypothesis) -> Linear:
    """Read a hypothesis."""
    if isinstance(hypothesis, str):
        return _read(fit, hypothesis)
    if isinstance(hypothesis, np.ndarray):
        return _matrix(fit, np.atleast_2d(np.asarray(hypothesis, float)))
    parts = [_read(fit, one) for one in hypothesis]
    return Linear(*(np.concatenate(side) for side in zip(*parts, strict=True)))


def _matrix(fit: Fit, matrix: np.ndarray) -> Linear:
    """Return a matrix with a column for each parameter."""
    columns, p, every = matrix.shape[1], fit.model.n_fixed, len(fit.names)
    if columns not in (p, every):
        raise ValueError(
            f"The matrix has {columns} columns; give one for each of the {p} fixed effects, or of "
            f"the {every} parameters in fit.names."
        )
    return Linear(np.pad(matrix, ((0, 0), (0, every - columns))), np.zeros(len(matrix)))


def _read(fit: Fit, text: str) -> Linear:
    """Read a term, a contrast or an equation."""
    text = text.strip()
    if text not in fit.names:
        own = [k for k, name in enumerate(fit.names) if LEVELS.sub("", name) == text]
        if own:
            return Linear(np.eye(len(fit.names))[own], np.zeros(len(own)))
    left, _, right = text.partition("=")
    row, constant = _combination(fit, left)
    if right:
        other, value = _combination(fit, right)
        row, constant = row - other, constant - value
    return Linear(row[None], -np.array([constant]))


def _combination(fit: Fit, text: str) -> tuple[Float[np.ndarray, " P"], float]:
    """Read a linear combination of parameters and a constant."""
    names = "|".join(re.escape(name) for name in sorted(fit.names, key=len, reverse=True))
    number = r"\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+"
    token = re.compile(
        rf"\s*(?P<sign>[+-]?)\s*(?:(?P<by>{number})\s*\*\s*)?(?:(?P<name>{names})|(?P<value>{number}))"
    )
    row, constant, place = np.zeros(len(fit.names)), 0.0, 0
    text = text.rstrip()
    while place < len(text):
        found = token.match(text, place)
        if found is None or (place and not found["sign"]):
            rest = text[place:].strip()
            raise ValueError(
                f"No parameter in {rest!r}; write names as in fit.names, with +, - and numbers."
                + nearest(rest.lstrip("+- "), fit.names)
            )
        factor = float(found["by"] or 1.0) * (-1.0 if found["sign"] == "-" else 1.0)
        if found["name"] is None:
            constant += factor * float(found["value"])
        else:
            row[fit.names.index(found["name"])] += factor
        place = found.end()
    return row, constant


@double_precision
def transform(
    fit: Fit,
    function: Callable[[pd.Series], Any],
    level: float = LEVEL,
    covariance: str | pd.DataFrame = "observed",
) -> pd.DataFrame:
    """Return functions of the parameters with standard errors by the delta method.

        V{f(psi)} = J V J',   J = df / dpsi by central differences

    Args:
        fit: the fit.
        function: takes a series of all parameters by name (`fit.names`), and returns a number, or
            several: a mapping or series from what they are called, or an array.
        level: of the limits.
        covariance: as for `wald_test`.

    Returns:
        A row per number: quantity, estimate, se, lower, upper.

    Source: van der Vaart (1998), chapter 3.

    >>> import eirt
    >>> fit = eirt.lltm(eirt.load("verbagg"), "~ btype + mode", response="r2")
    >>> ratio = transform(fit, lambda psi: psi["btype[shout]"] / psi["btype[scold]"])
    >>> ratio[["estimate", "se"]].round(2)
       estimate    se
    0      1.94  0.11
    """
    import pandas as pd
    from scipy.special import ndtri

    if isinstance(covariance, str):
        covariance = covariance_of(fit, covariance)
    names: list[object] = []

    def numbers(full: np.ndarray) -> np.ndarray:
        found = function(pd.Series(full, fit.names))
        if isinstance(found, Mapping | pd.Series):
            names[:] = list(found.keys())
            found = list(found.values()) if isinstance(found, Mapping) else found.to_numpy()
        return np.atleast_1d(np.asarray(found, float)).ravel()

    v = covariance.to_numpy()
    sd = np.sqrt(np.diagonal(v))
    moves = sd > 0
    estimate = numbers(fit.full)
    spread = np.zeros((len(estimate), len(estimate)))
    if moves.any():
        place = np.eye(len(sd))[:, moves]
        jacobian = difference(
            lambda by: numbers(fit.full + place @ by), np.zeros(moves.sum()), STEP * sd[moves]
        )
        spread = jacobian @ v[np.ix_(moves, moves)] @ jacobian.T
    se = np.sqrt(np.maximum(np.diagonal(spread), 0.0))
    half = ndtri((1 + level) / 2) * se
    return pd.DataFrame(
        {
            "quantity": names or [f"f[{k + 1}]" for k in range(len(estimate))],
            "estimate": estimate,
            "se": se,
            "lower": estimate - half,
            "upper": estimate + half,
        }
    )
