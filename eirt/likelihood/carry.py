"""From cells to what is estimated: carrying scores and informations through derivatives.

Scores and informations are computed in the moved parameters of cells (location, loading, ...).
A `Direct` carry takes them to parameters, each of which may move any cell; a `Local` carry takes
them to random effects, few of which move a given cell, without ever storing the zeros; `Uncarried`
leaves them where they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import jax.numpy as jnp

if TYPE_CHECKING:
    from jaxtyping import Array, Float, Int


class Direct(NamedTuple):
    """Derivatives of every cell in every target.

    Attributes:
        jacobian: derivatives of the moved parameters.
    """

    jacobian: Float[Array, "C m P"]

    @property
    def size(self) -> int:
        """Number of targets."""
        return self.jacobian.shape[-1]

    @property
    def flat(self) -> Float[Array, "Cm P"]:
        """The derivatives, cells and their parameters in one axis."""
        return self.jacobian.reshape(-1, self.size)

    def score(self, by_cell: Float[Array, "C m"]) -> Float[Array, " P"]:
        """Carry a score."""
        return by_cell.ravel() @ self.flat

    def blocks(self, by_cell: Float[Array, "C m m"]) -> Float[Array, "P P"]:
        """Carry an information in which cells are independent."""
        through = jnp.einsum("cmn,cnp->cmp", by_cell, self.jacobian)
        return self.flat.T @ through.reshape(self.flat.shape)

    def pairs(self, between: Float[Array, "Cm Cm"]) -> Float[Array, "P P"]:
        """Carry an information between cells."""
        return self.flat.T @ between @ self.flat

    def scores(
        self, scores: Float[Array, "N K Jm"], cells: Int[Array, "N J"] | None
    ) -> Float[Array, "N K P"]:
        """Carry the scores of persons, by cell or (where `cells` is given) by response."""
        if cells is None:
            return scores @ self.flat
        here = self.jacobian[cells].reshape(len(cells), -1, self.size)
        return jnp.einsum("nks,nsp->nkp", scores, here)


class Local(NamedTuple):
    """Derivatives of each cell in the few targets that move it.

    Attributes:
        own: derivatives of the moved parameters.
        places: which targets those are.
        size: number of targets.
    """

    own: Float[Array, "C m q"]
    places: Int[Array, "C q"]
    size: int

    def score(self, by_cell: Float[Array, "C m"]) -> Float[Array, " U"]:
        """Carry a score."""
        return jnp.zeros(self.size).at[self.places].add(jnp.einsum("cm,cmq->cq", by_cell, self.own))

    def blocks(self, by_cell: Float[Array, "C m m"]) -> Float[Array, "U U"]:
        """Carry an information in which cells are independent."""
        return self.spread(jnp.einsum("cmq,cmn,cnr->cqr", self.own, by_cell, self.own))

    def spread(self, curvature: Float[Array, "C q q"]) -> Float[Array, "U U"]:
        """Put what belongs to each cell's own targets where these stand."""
        empty = jnp.zeros((self.size, self.size))
        return empty.at[self.places[:, :, None], self.places[:, None, :]].add(curvature)

    def pairs(self, between: Float[Array, "Cm Cm"]) -> Float[Array, "U U"]:
        """Carry an information between cells, one side after the other."""

        def side(matrix: Array) -> Array:
            by_cell = matrix.reshape(*self.own.shape[:2], -1)
            shares = jnp.einsum("cmq,cmx->cqx", self.own, by_cell)
            return jnp.zeros((self.size, by_cell.shape[-1])).at[self.places].add(shares)

        return side(side(between).T)

    def by_response(
        self, between: Float[Array, "N Jm Jm"], cells: Int[Array, "N J"], total: Float[Array, "U U"]
    ) -> Float[Array, "U U"]:
        """Add to a total each person's information between responses."""
        n, slots = cells.shape
        own = self.own[cells]
        m, q = own.shape[-2:]
        shape = (n, slots, m, slots, m)
        carried = jnp.einsum("njmq,njmlo,nlor->njqlr", own, between.reshape(shape), own)
        places = self.places[cells].reshape(n, slots * q)
        size = slots * q
        return total.at[places[:, :, None], places[:, None, :]].add(carried.reshape(n, size, size))


class Uncarried(NamedTuple):
    """Scores and informations of cells as they are: to be summed first, and carried then."""

    def blocks(self, by_cell: Float[Array, "C m m"]) -> Float[Array, "C m m"]:
        """Return an information in which cells are independent."""
        return by_cell

    def pairs(self, between: Float[Array, "Cm Cm"]) -> Float[Array, "Cm Cm"]:
        """Return an information between cells."""
        return between


Carry = Direct | Local | Uncarried
