"""Informations of any kind: matrices, or what stands for them where parameters are many."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from eirt._positive import LARGE, Factored, inverse, smallest_scaled_eigenvalue
from eirt.errors import DataError
from eirt.separable import Separable

if TYPE_CHECKING:
    from jaxtyping import Float

LEAST = 1e-3  # eigenvalue of an information in a step, relative to the largest
MOST_TOGETHER = 10_000  # parameters whose covariance is a table


@dataclass(frozen=True, eq=False)
class Secants:
    """An information updated by what gradients told since, a pair for each step.

    Attributes:
        first: the information before.
        steps, changes: steps, and by how much the gradient fell along each.

    Source: Nocedal & Wright (2006), algorithm 7.4.
    """

    first: Separable | Factored
    steps: tuple[Float[np.ndarray, " n"], ...] = ()
    changes: tuple[Float[np.ndarray, " n"], ...] = ()

    @property
    def finite(self) -> bool:
        """Whether every number is finite."""
        return self.first.finite

    def solve(self, vector: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"] | None:
        """Return I^-1 times a vector; None where the information is not positive definite."""
        pairs, shares = list(zip(self.steps, self.changes, strict=True)), []
        for step, change in reversed(pairs):
            shares.append(step @ vector / (step @ change))
            vector = vector - shares[-1] * change
        found = self.first.solve(vector)
        if found is None:
            return None
        for (step, change), share in zip(pairs, reversed(shares), strict=True):
            found = found + (share - change @ found / (step @ change)) * step
        return found


Information = np.ndarray | Separable | Secants


def finite(information: Information) -> bool:
    """Return whether every number is finite."""
    if isinstance(information, np.ndarray):
        return bool(np.isfinite(information).all())
    return information.finite


def solved(information: Information, vector: np.ndarray) -> np.ndarray | None:
    """Return I^-1 times a vector; None where the information is not positive definite.

    >>> solved(np.eye(1), np.ones(1)), solved(-np.eye(1), np.ones(1))
    (array([1.]), None)
    """
    if not isinstance(information, np.ndarray):
        return information.solve(vector)
    if len(information) > LARGE:
        return Factored(information).solve(vector)
    try:
        np.linalg.cholesky(information)  # only to know whether it is positive definite
    except np.linalg.LinAlgError:
        return None
    return np.linalg.solve(information, vector)


def uphill(information: Information, gradient: np.ndarray) -> np.ndarray:
    """Return a step uphill where the information is not positive definite.

    Its eigenvalues are taken as positive; where it is sparse, blocks are raised.

    >>> uphill(np.diag([4.0, -2.0]), np.ones(2)).tolist()
    [0.25, 0.5]
    """
    first = information.first if isinstance(information, Secants) else information
    if isinstance(first, Factored):
        first = first.matrix
    if isinstance(first, np.ndarray):
        values, vectors = np.linalg.eigh(first)
        values = np.maximum(np.abs(values), LEAST * np.abs(values).max())
        return vectors @ ((vectors.T @ gradient) / values)
    complete = first.complete
    largest = np.max(complete.diagonal)
    step = complete.plus(np.full(len(gradient), LEAST * largest)).solve(gradient)
    return gradient / largest if step is None else step


def updated(information: Information, step: np.ndarray, change: np.ndarray) -> Information:
    """Return the information updated by how far the gradient fell along a step.

    Source: Nocedal & Wright (2006), eq. 6.19.

    >>> updated(np.eye(1), np.ones(1), np.full(1, 3.0)).tolist()
    [[3.0]]
    """
    if isinstance(information, np.ndarray) and len(information) > LARGE:
        return Secants(Factored(information), (step,), (change,))
    if isinstance(information, Separable):
        return Secants(information, (step,), (change,))
    if isinstance(information, Secants):
        steps, changes = (*information.steps, step), (*information.changes, change)
        return replace(information, steps=steps, changes=changes)
    before = information @ step
    return (
        information
        - np.outer(before, before) / (step @ before)
        + np.outer(change, change) / (step @ change)
    )


def plus_diagonal(
    information: np.ndarray | Separable, diagonal: np.ndarray
) -> np.ndarray | Separable:
    """Return the information with something added to its diagonal.

    >>> plus_diagonal(np.eye(2), np.array([0.0, 2.0])).tolist()
    [[1.0, 0.0], [0.0, 3.0]]
    """
    if isinstance(information, Separable):
        return information.plus(diagonal)
    return information + np.diag(diagonal)


def smallest_eigenvalue(information: np.ndarray | Separable) -> float:
    """Return the smallest eigenvalue of an information scaled to unit diagonal.

    >>> smallest_eigenvalue(np.array([[4.0, 0.0], [0.0, 9.0]]))
    1.0
    """
    if not finite(information):
        return float("nan")
    if isinstance(information, Separable):
        return information.smallest_eigenvalue
    if len(information) > LARGE and (large := Factored(information)).factor is not None:
        return smallest_scaled_eigenvalue(np.diagonal(information), large.solve)
    scale = np.sqrt(np.maximum(np.diagonal(information), 1e-300))
    return float(np.linalg.eigvalsh(information / np.outer(scale, scale)).min(initial=1.0))


def reflected(information: np.ndarray | Separable, signs: np.ndarray) -> np.ndarray | Separable:
    """Return the information of parameters with other signs.

    >>> reflected(np.ones((2, 2)), np.array([1.0, -1.0])).tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    if isinstance(information, Separable):
        return information.reflected(signs)
    return signs[:, None] * information * signs


def covariance(information: np.ndarray | Separable) -> np.ndarray:
    """Return the inverse of an information; not a number where that is not finite.

    Raises:
        DataError: if parameters are too many for a table.

    >>> covariance(np.array([[4.0]])).tolist()
    [[0.25]]
    """
    if isinstance(information, Separable):
        if information.n > MOST_TOGETHER:
            raise DataError(
                f"{information.n} parameters are too many for a table of their covariance. "
                "fit.items, fit.fixed and fit.difficulty() have standard errors, and "
                "fit.covariance_of(places) the covariance of some of them."
            )
        return information.inverse
    if not finite(information):
        return np.full_like(information, np.nan)
    found = inverse(information)
    return np.linalg.pinv(information, hermitian=True) if found is None else found
