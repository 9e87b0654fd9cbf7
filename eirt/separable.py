"""An information in which items are tied by persons alone, fewer than there are parameters."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from eirt._positive import smallest_scaled_eigenvalue
from eirt.errors import DataError

if TYPE_CHECKING:
    from jaxtyping import Float, Int

AT_A_TIME = 512
MOST_BETWEEN = 200  # parameters of several items whose covariance is found one by one


@dataclass(frozen=True, eq=False)
class Separable:
    """The observed information where each item has parameters of its own, and persons tie them.

        I = B - V V'

    B, the complete information, has a block for each item and a border for what items share; V has
    a column for each person and function of ability whose posterior variance is lost (Louis, 1982),
    and a row for each parameter, most of them zero: persons answer few of many items. Nothing here
    is parameters x parameters; what is persons x persons is factored (Woodbury, 1950).

    Attributes:
        n: number of free parameters.
        own: places of each item's parameters among them; -1 where one is not free.
        shared: places of the others.
        blocks: complete information of each item's parameters.
        border: the same between these and the shared ones.
        corner: the same of the shared ones.
        persons: who answered each item; their number where there is nobody.
        loads: rows of V of each item's parameters, by who answered.
        shared_loads: rows of V of the shared ones, by person.
    """

    n: int
    own: Int[np.ndarray, "C k"]
    shared: Int[np.ndarray, " s"]
    blocks: Float[np.ndarray, "C k k"]
    border: Float[np.ndarray, "C k s"]
    corner: Float[np.ndarray, "s s"]
    persons: Int[np.ndarray, "C A"]
    loads: Float[np.ndarray, "C A q k"]
    shared_loads: Float[np.ndarray, "N q s"]

    @property
    def complete(self) -> Self:
        """B alone, which is never indefinite."""
        nothing = self.loads[:, :, :0], self.shared_loads[:, :0]
        return replace(self, loads=nothing[0], shared_loads=nothing[1])

    def reflected(self, signs: Float[np.ndarray, " n"]) -> Self:
        """Return the information of parameters with other signs."""
        own = np.where(self.own < 0, 1.0, signs[self.own])
        shared = signs[self.shared]
        return replace(
            self,
            blocks=own[:, :, None] * self.blocks * own[:, None, :],
            border=own[:, :, None] * self.border * shared,
            corner=shared[:, None] * self.corner * shared,
            loads=self.loads * own[:, None, None, :],
            shared_loads=self.shared_loads * shared,
        )

    def plus(self, diagonal: Float[np.ndarray, " n"]) -> Self:
        """Return the information with something added to its diagonal."""
        own = np.where(self.own < 0, 0.0, diagonal[self.own])
        return replace(
            self,
            blocks=self.blocks + own[:, :, None] * np.eye(own.shape[1]),
            corner=self.corner + np.diag(diagonal[self.shared]),
        )

    @property
    def finite(self) -> bool:
        """Whether every number is finite."""
        parts = (self.blocks, self.border, self.corner, self.loads, self.shared_loads)
        return all(bool(np.isfinite(part).all()) for part in parts)

    @functools.cached_property
    def diagonal(self) -> Float[np.ndarray, " n"]:
        """Its diagonal."""
        own = np.einsum("ckk->ck", self.blocks) - np.einsum("caqk,caqk->ck", self.loads, self.loads)
        shared = np.diagonal(self.corner) - np.einsum("nqs,nqs->s", *[self.shared_loads] * 2)
        return self._joined(own, shared)

    def solve(self, vector: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"] | None:
        """Return I^-1 times a vector; None where the information is not positive definite."""
        if self._factored is None:
            return None
        own = np.where(self.own < 0, 0.0, vector[self.own])
        shared = vector[self.shared]
        solved = self._factored.solve(own.reshape(-1, 1))[:, 0]
        if len(shared):
            across, carried, rest = self._bordered
            found = np.linalg.solve(rest, shared - across.T @ solved)
            return self._joined((solved - carried @ found).reshape(own.shape), found)
        return self._joined(solved.reshape(own.shape), shared)

    @property
    def inverse(self) -> Float[np.ndarray, "n n"]:
        """I^-1, a table of all parameters."""
        columns = [self.solve(row) for row in np.eye(self.n)]
        nothing = np.full(self.n, np.nan)
        return np.stack([nothing if column is None else column for column in columns], axis=1)

    @functools.cached_property
    def smallest_eigenvalue(self) -> float:
        """The smallest eigenvalue of the information scaled to unit diagonal."""
        if self._factored is None:
            return -1.0
        return smallest_scaled_eigenvalue(self.diagonal, self.solve)

    def covariance_of(self, places: Int[np.ndarray, "sets k"]) -> Float[np.ndarray, "sets k k"]:
        """Return what I^-1 holds of sets of parameters, each of one item and what items share.

        Args:
            places: among the free parameters; -1 for one that is not free.

        Raises:
            DataError: if there are many sets of parameters of several items.
        """
        item, order = (np.full(self.n + 1, -1) for _ in range(2))
        k = self.own.shape[1]
        item[self.own] = np.arange(len(self.own))[:, None]
        order[self.own] = np.arange(k)
        order[self.shared] = k + np.arange(len(self.shared))
        order[-1] = item[-1] = -1  # what is not free
        of = np.max(item[places], axis=-1, initial=-1)
        others = (item[places] >= 0) & (item[places] != of[:, None])
        if others.any():
            return self._between_items(places)
        if not len(places) or not np.any(places >= 0):
            return np.zeros((*places.shape, places.shape[-1]))
        blocks, across, of_shared = self._covariance
        blocks, across = blocks[of], across[of]
        shared = np.broadcast_to(of_shared, (len(of), *of_shared.shape))
        upper = np.concatenate([blocks, across], axis=2)
        lower = np.concatenate([across.swapaxes(1, 2), shared], axis=2)
        every = np.pad(np.concatenate([upper, lower], axis=1), ((0, 0), (0, 1), (0, 1)))
        own = order[places]
        return every[np.arange(len(of))[:, None, None], own[:, :, None], own[:, None, :]]

    def _between_items(self, places: Int[np.ndarray, "sets k"]) -> Float[np.ndarray, "sets k k"]:
        used = np.unique(places[places >= 0])
        if len(used) > MOST_BETWEEN:
            raise DataError(
                f"The covariance of {len(used)} parameters of different items would be that of "
                f"all {self.n}: ask for at most {MOST_BETWEEN} at a time."
            )
        found = np.zeros((len(used) + 1, len(used) + 1))  # the last stands for what is not free
        for place, own in enumerate(used):
            column = self.solve((np.arange(self.n) == own) * 1.0)
            found[:-1, place] = np.nan if column is None else column[used]
        own = np.where(places < 0, len(used), np.searchsorted(used, places))
        return found[own[:, :, None], own[:, None, :]]

    @functools.cached_property
    def _covariance(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What I^-1 holds: of each item's parameters, between these and shared, of shared.

        Not a number where the information is not positive definite.
        """
        if self._factored is None:
            parts = self.blocks, self.border, self.corner
            return tuple(np.full_like(part, np.nan) for part in parts)  # type: ignore[return-value]
        blocks = self._factored.blocks()
        if not len(self.shared):
            return blocks, self.border, self.corner
        _, carried, rest = self._bordered
        of_shared = np.linalg.inv(rest)
        carried = carried.reshape(self.border.shape)
        across = -carried @ of_shared
        return blocks - across @ carried.swapaxes(1, 2), across, of_shared

    def _joined(self, own: np.ndarray, shared: np.ndarray) -> np.ndarray:
        found = np.zeros(self.n)
        found[self.own[self.own >= 0]] = own[self.own >= 0]
        found[self.shared] = shared
        return found

    @functools.cached_property
    def _factored(self) -> _Items | None:
        return _Items.of(self)

    @functools.cached_property
    def _bordered(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The border, A^-1 times it for the information A of items, what is left of the corner."""
        assert self._factored is not None
        s = len(self.shared)
        of_persons = self.shared_loads.reshape(-1, s)
        across = self.border.reshape(-1, s) - self._factored.carried(of_persons)
        carried = self._factored.solve(across)
        corner = self.corner - of_persons.T @ of_persons
        return across, carried, corner - across.T @ carried


@dataclass(frozen=True, eq=False)
class _Items:
    """The information of items, factored: A = L (I - W W') L', with L L' the blocks.

    Attributes:
        half: inverse Cholesky factors of the blocks.
        w: W, items' parameters x persons' functions, sparse.
        between: the Cholesky factor of I - W'W.
    """

    half: Float[np.ndarray, "C k k"]
    w: Any
    between: Float[np.ndarray, "M M"]

    @classmethod
    def of(cls, information: Separable) -> _Items | None:
        """Factor; None where the information is not positive definite."""
        import scipy.linalg

        fixed = (information.own < 0)[:, :, None] * np.eye(information.own.shape[1])
        try:
            half = np.linalg.inv(np.linalg.cholesky(information.blocks + fixed))
            w = _sparse(information, half)
            between = np.asarray(_left(w))
            # a symmetric matrix is its own transpose, and LAPACK's order is that of columns
            scipy.linalg.cholesky(between.T, lower=True, overwrite_a=True, check_finite=False)
        except np.linalg.LinAlgError:
            return None
        return cls(half, w, between.T)

    def solve(self, right: Float[np.ndarray, "n r"]) -> Float[np.ndarray, "n r"]:
        """Return A^-1 times some columns."""
        import scipy.linalg

        shape = (*self.half.shape[:2], right.shape[1])
        turned = (self.half @ right.reshape(shape)).reshape(right.shape)
        factor = (self.between, True)
        turned = turned + self.w @ scipy.linalg.cho_solve(factor, self.w.T @ turned)
        return (self.half.swapaxes(1, 2) @ turned.reshape(shape)).reshape(right.shape)

    def carried(self, of_persons: Float[np.ndarray, "M r"]) -> Float[np.ndarray, "n r"]:
        """Return V times what belongs to persons' functions."""
        turned = np.linalg.inv(self.half) @ (self.w @ of_persons).reshape(*self.half.shape[:2], -1)
        return turned.reshape(-1, of_persons.shape[1])

    def blocks(self) -> Float[np.ndarray, "C k k"]:
        """Return what A^-1 holds of each item's parameters."""
        import scipy.linalg

        found, k = np.empty_like(self.half), self.half.shape[1]
        inverse = None
        if self.w.shape[1]:
            # columns below the diagonal are rows above it
            inverse = _mirrored(scipy.linalg.lapack.dpotri(self.between, lower=1)[0].T)
        for c, half in enumerate(self.half):
            middle = np.eye(k)
            if inverse is not None:
                own = self.w[c * k : (c + 1) * k]
                w, places = own.data.reshape(k, -1), own.indices[: own.indptr[1]]
                part = inverse.take(places[:, None] * len(inverse) + places)
                middle = middle + w @ part @ w.T
            found[c] = half.T @ middle @ half
        return found


def _sparse(information: Separable, half: np.ndarray) -> Any:
    """Return W = L^-1 V, every parameter of an item with the same persons, in ascending order."""
    from scipy.sparse import csr_array

    n_persons = len(information.shared_loads)
    c, a, q, k = information.loads.shape
    there = information.persons < n_persons
    turned = np.einsum("ckj,caqj->ckaq", half, information.loads)
    columns = information.persons[:, :, None] * q + np.arange(q)
    kept = np.broadcast_to(there[:, None, :, None], turned.shape)
    data = turned[kept]
    indices = np.broadcast_to(columns[:, None], turned.shape)[kept].astype(np.int32)
    lengths = np.repeat(there.sum(axis=1) * q, k)
    pointer = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return csr_array((data, indices, pointer), shape=(c * k, n_persons * q))


def _mirrored(matrix: Float[np.ndarray, "M M"]) -> Float[np.ndarray, "M M"]:
    """Copy what is above the diagonal to below it, in place: such matrices are large.

    >>> _mirrored(np.array([[1.0, 2.0], [0.0, 3.0]])).tolist()
    [[1.0, 2.0], [2.0, 3.0]]
    """
    for first in range(0, len(matrix), AT_A_TIME):
        end = first + AT_A_TIME
        block = np.triu(matrix[first:end, first:end])
        matrix[first:end, first:end] = block + np.triu(block, 1).T
        matrix[end:, first:end] = matrix[first:end, end:].T
    return matrix


def _left(w: Any) -> Float[np.ndarray, "M M"]:
    """Return I - W'W."""
    size = w.shape[1]
    found, turned = np.empty((size, size)), w.T.tocsr()
    for first in range(0, size, AT_A_TIME):
        rows = slice(first, first + AT_A_TIME)
        np.negative((turned[rows] @ w).toarray(), out=found[rows])
    found[np.diag_indices(size)] += 1.0
    return found
