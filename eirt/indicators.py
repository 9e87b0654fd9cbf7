"""A matrix with a single one in each row, known by the places of the ones."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float, Int


@functools.partial(jax.tree_util.register_dataclass, data_fields=("place",), meta_fields=("size",))
@dataclass(frozen=True, eq=False)
class Indicators:
    """A matrix with a single one in each row: what a factor of many levels contributes.

    It stands in for an array where its rows are taken or it multiplies a vector; asked for
    anything else it becomes an array.

    Attributes:
        place: the column of each row's one; of ONE row, a number.
        size: columns.

    >>> x = Indicators(np.array([1, 0, 1]), 2)
    >>> x @ np.array([5.0, 7.0])
    array([7., 5., 7.])
    >>> x.sums(np.array([1.0, 2.0, 4.0]))
    array([2., 5.])
    >>> x[:2].shape, np.asarray(x[1:]).tolist(), x[:, 1].tolist()
    ((2, 2), [[1.0, 0.0], [0.0, 1.0]], [1.0, 0.0, 1.0])
    """

    place: Int[np.ndarray, " n"]
    size: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns."""
        return (*self.place.shape, self.size)

    def __len__(self) -> int:
        return len(self.place)

    def __matmul__(self, vector: Any) -> Any:
        return vector[self.place]

    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, tuple):
            return Indicators(self.place[key], self.size)
        rows, columns = key
        return np.equal.outer(self.place[rows], np.arange(self.size)[columns]).astype(float)

    def sums(self, values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " size"]:
        """Return the sum of what rows hold by column: the transpose times a vector."""
        return np.bincount(self.place, values, self.size)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        dense = np.zeros(self.shape, dtype or float)
        dense[np.arange(len(self)), self.place] = 1.0
        return dense


def least_squares(x: np.ndarray | Indicators, y: np.ndarray) -> np.ndarray:
    """Return the coefficients of x that come closest to y.

    >>> least_squares(Indicators(np.array([1, 0, 1]), 2), np.array([4.0, 3.0, 6.0]))
    array([3., 5.])
    """
    if isinstance(x, Indicators):
        return x.sums(y) / np.maximum(x.sums(np.ones(len(x))), 1)
    return np.linalg.lstsq(x, y, rcond=None)[0]
