"""What every likelihood shares: the data as device arrays, who answered what, the objective.

An `Incidence` knows which rows (distinct cell-response pairs) belong to which person, and is
the only place that depends on how that is stored: a dense table of counts, whose products with
the table of row log-probabilities are matrix products, or a padded list of rows per person.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from eirt.design import Design
from eirt.model import Cell, CellParameters, Model, Restriction, cell_data

IMPORTANCE_DRAWS = 256


class Data(NamedTuple):
    """The arrays of a design: cells, rows, and which parameters are free."""

    cells: Cell
    row_cell: Int[Array, " S"]
    row_y: Float[Array, " S"]
    person_columns: Int[Array, " r"]
    person_centre: Float[Array, " r"]
    restriction: Restriction

    @classmethod
    def of(cls, design: Design, restriction: Restriction) -> Self:
        """Collect the arrays of a design."""
        return cls(
            cell_data(design),
            jnp.asarray(design.row_cell),
            jnp.asarray(design.row_y),
            jnp.asarray(design.person_columns),
            jnp.asarray(design.person_x.mean(axis=0)),
            restriction,
        )


class Dense(NamedTuple):
    """Counts of rows by person, persons x rows, for designs that are nearly complete.

    Attributes:
        counts: how often a person gave each row's response in that row's cell.
        rows_of_cell: rows of each cell, padded with S.
        weight: weight of each person (0 for padding).
        covariates: what moves each person's mean ability.
    """

    counts: Float[Array, "N S"]
    rows_of_cell: Int[Array, "C Y"]
    weight: Float[Array, " N"]
    covariates: Float[Array, "N r"]

    def by_person(self, table: Float[Array, "S K"]) -> Float[Array, "N K"]:
        """Sum a table over each person's rows."""
        return self.counts @ table

    def by_row(self, posterior: Float[Array, "N K"], n_rows: int) -> Float[Array, "S K"]:
        """Return expected counts: sum person weights over each row's persons."""
        return self.counts.T @ posterior

    def scores(
        self, table: Float[Array, "S K m"], jacobian: Float[Array, "C m P"], row_cell: Array
    ) -> Float[Array, "N K P"]:
        """Sum row scores over each person's rows and carry them to the parameters."""
        padded_table = jnp.concatenate([table, jnp.zeros_like(table[:1])])[self.rows_of_cell]
        empty = jnp.zeros_like(self.counts[:, :1])
        padded_counts = jnp.concatenate([self.counts, empty], axis=1)[:, self.rows_of_cell]
        cell_scores = jnp.einsum("ncy,cykm->nkcm", padded_counts, padded_table)
        return jnp.einsum("nkcm,cmp->nkp", cell_scores, jacobian)


class Padded(NamedTuple):
    """Rows answered by each person, persons x longest test, for sparse designs.

    Attributes:
        rows: row of each response; anything where `present` is 0.
        present: 1 for a response, 0 for padding.
        weight: weight of each person (0 for padding).
        covariates: what moves each person's mean ability.
    """

    rows: Int[Array, "N J"]
    present: Float[Array, "N J"]
    weight: Float[Array, " N"]
    covariates: Float[Array, "N r"]

    def by_person(self, table: Float[Array, "S K"]) -> Float[Array, "N K"]:
        """Sum a table over each person's rows."""
        return jnp.einsum("nj,njk->nk", self.present, table[self.rows])

    def by_row(self, posterior: Float[Array, "N K"], n_rows: int) -> Float[Array, "S K"]:
        """Return expected counts: sum person weights over each row's persons."""
        spread = self.present[:, :, None] * posterior[:, None, :]
        empty = jnp.zeros((n_rows, posterior.shape[1]), posterior.dtype)
        return empty.at[self.rows].add(spread)

    def scores(
        self, table: Float[Array, "S K m"], jacobian: Float[Array, "C m P"], row_cell: Array
    ) -> Float[Array, "N K P"]:
        """Sum row scores over each person's rows and carry them to the parameters."""
        here = jacobian[row_cell[self.rows]] * self.present[:, :, None, None]
        return jnp.einsum("njkm,njmp->nkp", table[self.rows], here)


Incidence = Dense | Padded


def incidence(design: Design, dense: bool | None = None, block: int = 1) -> Incidence:
    """Return who answered what, dense where the table of counts is reasonably full.

    Args:
        design: the design.
        dense: force one storage; None chooses by size and fill.
        block: pad the persons to a multiple of this.
    """
    n_persons, n_rows = len(design.persons), len(design.row_cell)
    n_padded = -(-n_persons // block) * block
    weight = (np.arange(n_padded) < n_persons).astype(float)
    covariates = np.zeros((n_padded, design.person_x.shape[1]))
    covariates[:n_persons] = design.person_x
    if dense is None:
        fill = design.n_obs / (n_persons * n_rows)
        dense = fill > 0.05 and n_padded * n_rows <= 5e7
    if dense:
        counts = np.zeros((n_padded, n_rows))
        np.add.at(counts, (design.obs_person, design.obs_row), 1.0)
        rows_of_cell = _grouped(design.row_cell, len(design.x))
        return Dense(*map(jnp.asarray, (counts, rows_of_cell, weight, covariates)))
    slots = _grouped(design.obs_person, n_padded)
    present = slots < design.n_obs
    rows = np.append(design.obs_row, 0)[slots].astype(np.int32)
    return Padded(*map(jnp.asarray, (rows, present.astype(float), weight, covariates)))


def _grouped(group: np.ndarray, n_groups: int) -> np.ndarray:
    """Return the positions of each group's members, padded with len(group)."""
    order = np.argsort(group, kind="stable")
    sizes = np.bincount(group, minlength=n_groups)
    table = np.full((n_groups, max(sizes.max(), 1)), len(group), np.int32)
    begins = np.repeat(np.cumsum(sizes) - sizes, sizes)
    table[group[order], np.arange(len(group)) - begins] = order
    return table


def cell_parameters(model: Model, full: Array, data: Data, u: Float[Array, " U"]) -> CellParameters:
    """Return the parameters of every cell (this is where cells are vmapped)."""
    params = model.unpack(full)
    global_effects = u[data.cells.places] if u.size else jnp.zeros(data.cells.places.shape)
    cells = jax.vmap(model.cell_parameters, (None, 0, 0))(params, data.cells, global_effects)
    if data.person_columns.size == 0:
        return cells
    # what covariates predict on average stays in the location, so that nodes surround everyone
    average = model.shift(params, data.person_centre @ params.beta[data.person_columns])
    return cells._replace(location=cells.location + cells.loading @ average)


def person_shift(model: Model, full: Array, data: Data, who: Incidence) -> Float[Array, "N D"]:
    """Return how far the mean of each person's spherical effects is from that of all.

    This is where persons are vmapped.
    """
    if who.covariates.shape[1] == 0:
        return jnp.zeros((len(who.weight), model.dimension))
    params = model.unpack(full)
    predictor = (who.covariates - data.person_centre) @ params.beta[data.person_columns]
    return jax.vmap(model.shift, (None, 0))(params, predictor)


def row_parameters(cells: CellParameters, data: Data) -> CellParameters:
    """Return the parameters of each row's cell."""
    return jax.tree.map(lambda leaf: leaf[data.row_cell], cells)


def location_by_effect(
    model: Model, full: Array, data: Data, u: Float[Array, " U"]
) -> Float[Array, "C q"]:
    """Return the derivative of each cell's location in its own global effects."""
    params = model.unpack(full)
    slope = jax.grad(lambda cell, own: model.cell_parameters(params, cell, own).location, 1)
    return jax.vmap(slope)(data.cells, u[data.cells.places])


def importance_error(
    draws: int,
    log_integrand: Callable[[Float[Array, " U"]], Float[Array, ""]],
    mode: Float[Array, " U"],
    centre: Float[Array, ""],
    factor: Float[Array, "U U"],
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Estimate what Laplace's method misses, by importance sampling from N(mode, H^-1).

    Draws come in antithetic pairs.

    Args:
        draws: number of draws.
        log_integrand: f(u).
        mode: maximiser of f.
        centre: f(mode).
        factor: Cholesky factor of H = -d2 f(mode).

    Returns:
        log integral minus Laplace's approximation of it, and its Monte-Carlo standard error.
    """
    normals = jax.random.normal(jax.random.key(0), (draws // 2, mode.size))

    def log_ratio(z: Array) -> Array:
        u = mode + jax.scipy.linalg.solve_triangular(factor.T, z)
        return log_integrand(u) - centre + z @ z / 2

    ratios = jax.lax.map(lambda z: jnp.stack([log_ratio(z), log_ratio(-z)]), normals)
    error = jax.nn.logsumexp(ratios) - jnp.log(ratios.size)
    pairs = jnp.mean(jnp.exp(ratios - error), axis=1)
    return error, jnp.std(pairs) / jnp.sqrt(pairs.size)


class Moments(NamedTuple):
    """Posterior of the spherical random effects at the estimates.

    Attributes:
        mean: posterior means of the local effects.
        covariance: their posterior covariances.
        others: modes of the global effects.
        others_covariance: inverse curvature there.
    """

    mean: Float[np.ndarray, "N D"]
    covariance: Float[np.ndarray, "N D D"]
    others: Float[np.ndarray, " U"]
    others_covariance: Float[np.ndarray, "U U"]


class Terms(NamedTuple):
    """What a Newton step needs, all at one point.

    Attributes:
        value: log-likelihood.
        gradient: its gradient.
        information: observed information.
        safe: an information that is never indefinite, for steps far from the optimum.
    """

    value: float
    gradient: np.ndarray
    information: np.ndarray
    safe: np.ndarray


class Objective(abc.ABC):
    """A log-likelihood bound to data, as a function of the free parameters."""

    exact_information = False

    def __init__(self, model: Model, design: Design, data: Data):
        self.model = model
        self.design = design
        self.data = jax.device_put(data)

    @abc.abstractmethod
    def value_and_grad(self, psi: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the log-likelihood and its gradient."""

    def newton_terms(self, psi: np.ndarray) -> Terms:
        """Return value, gradient and information together."""
        value, gradient = self.value_and_grad(psi)
        if not np.isfinite(value):
            return Terms(value, gradient, np.eye(len(psi)), np.eye(len(psi)))
        information = self.information(psi)
        return Terms(value, gradient, information, information)

    def information(self, psi: np.ndarray) -> np.ndarray:
        """Return the observed information: central differences of the exact gradient."""
        steps = 1e-4 * np.maximum(np.abs(psi), 1.0)
        matrix = np.stack([self._curvature(psi, j, step) for j, step in enumerate(steps)])
        return (matrix + matrix.T) / 2

    def _curvature(self, psi: np.ndarray, j: int, step: float) -> np.ndarray:
        shift = np.zeros_like(psi)
        shift[j] = step
        return (self.value_and_grad(psi - shift)[1] - self.value_and_grad(psi + shift)[1]) / (
            2 * step
        )

    def penalty(self, psi: np.ndarray) -> float:
        """Return what of the value is not log-likelihood (log prior densities)."""
        return 0.0

    @abc.abstractmethod
    def moments(self, psi: np.ndarray) -> Moments:
        """Return the posterior of the random effects."""

    def errors(self, psi: np.ndarray) -> dict[str, float]:
        """Return the estimated errors of the approximation, by name."""
        return {}

    def check_cost(self) -> float:
        """Return about how many responses x nodes `errors` evaluates."""
        return 0.0

    def refined(self) -> Objective | None:
        """Return the same objective on a finer grid, where there is one."""
        return None


@dataclass(frozen=True)
class Likelihood(abc.ABC):
    """How the random effects are eliminated: a choice of a fit, not yet bound to data."""

    @property
    def name(self) -> str:
        """The likelihood as printed."""
        return type(self).__name__

    @abc.abstractmethod
    def bind(self, model: Model, design: Design, restriction: Restriction) -> Objective:
        """Return the objective for these data."""
