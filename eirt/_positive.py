"""Positive definite matrices, large ones without what is not needed of them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float

LARGE = 300  # rows of matrices with which it pays to compute no more than half


@dataclass(frozen=True, eq=False)
class Factored:
    """A large matrix that is factored once."""

    matrix: Float[np.ndarray, "n n"]

    @functools.cached_property
    def factor(self) -> Any:
        """Its Cholesky factor; None where it is not positive definite."""
        import scipy.linalg

        try:
            return scipy.linalg.cho_factor(self.matrix, lower=True, check_finite=False)
        except np.linalg.LinAlgError:
            return None

    @functools.cached_property
    def finite(self) -> bool:
        """Whether every number is finite."""
        return bool(np.isfinite(self.matrix).all())

    def solve(self, vector: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"] | None:
        """Return I^-1 times a vector; None where the information is not positive definite."""
        import scipy.linalg

        if self.factor is None:
            return None
        return scipy.linalg.cho_solve(self.factor, vector, check_finite=False)


def inverse(matrix: np.ndarray) -> np.ndarray | None:
    """Return the inverse of a matrix, if it is positive definite.

    >>> inverse(np.array([[4.0]])).tolist(), inverse(np.array([[-1.0]]))
    ([[0.25]], None)
    """
    if len(matrix) > LARGE:
        from scipy.linalg import lapack

        factor, failed = lapack.dpotrf(matrix, lower=True)
        if failed:
            return None
        found = np.tril(lapack.dpotri(factor, lower=True)[0])
        return found + np.tril(found, -1).T
    try:
        half = np.linalg.inv(np.linalg.cholesky(matrix))
    except np.linalg.LinAlgError:
        return None
    return half.T @ half


def smallest_scaled_eigenvalue(
    diagonal: np.ndarray, solve: Callable[[np.ndarray], np.ndarray | None]
) -> float:
    """Return the smallest eigenvalue of a positive definite matrix scaled to unit diagonal.

    Args:
        diagonal: that of the matrix.
        solve: divides a vector by the matrix.

    >>> d = np.arange(1.0, 9.0)
    >>> round(smallest_scaled_eigenvalue(d, lambda x: x / d), 6)
    1.0
    """
    from scipy.sparse.linalg import LinearOperator, eigsh

    scale = np.sqrt(np.maximum(diagonal, 1e-300))

    def inverse(vector: np.ndarray) -> np.ndarray:
        found = solve(scale * vector.ravel())
        assert found is not None
        return scale * found

    size = len(diagonal)
    operator: Any = LinearOperator((size, size), matvec=inverse, dtype=float)
    start = np.random.default_rng(0).standard_normal(size)
    return 1.0 / float(eigsh(operator, 1, tol=1e-3, v0=start, return_eigenvectors=False)[0])
