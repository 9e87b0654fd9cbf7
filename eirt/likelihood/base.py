"""What every likelihood shares: the data as device arrays, the objective, the choice."""

from __future__ import annotations

import abc
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from eirt._math import Grid
from eirt.design import Design
from eirt.likelihood.ability import mean_of, natural
from eirt.likelihood.incidence import person_data
from eirt.model import Cell, CellParameters, Model, Params, Person, Standing, cell_data
from eirt.restrictions import Restriction

IMPORTANCE_DRAWS = 256


class Data(NamedTuple):
    """The arrays of a design: cells, rows, and which parameters are free."""

    cells: Cell
    row_cell: Int[Array, " S"]
    row_y: Float[Array, " S"]
    person_columns: Int[Array, " r"]
    centre: Person
    restriction: Restriction

    @classmethod
    def of(cls, design: Design, restriction: Restriction) -> Self:
        """Collect the arrays of a design."""
        return cls(
            cell_data(design),
            jnp.asarray(design.row_cell),
            jnp.asarray(design.row_y),
            jnp.asarray(design.person_columns),
            jax.tree.map(lambda leaf: leaf.mean(axis=0), person_data(design)),
            restriction,
        )


class People(Protocol):
    """Anything that holds the covariates and weights of persons."""

    @property
    def weight(self) -> Float[Array, " N"]:
        """Weight of each person."""
        ...

    @property
    def person(self) -> Person:
        """Covariates of each person."""
        ...


def _standing(model: Model, params: Params, data: Data, person: Person) -> Standing:
    return model.standing(params, params.beta[data.person_columns], person)


def _one_cell(
    model: Model, full: Array, data: Data
) -> Callable[[Cell, Float[Array, " q"]], CellParameters]:
    """Return the parameters of ONE cell as a function of its global effects.

    What covariates predict of persons on average stays in the cells, so that nodes surround
    everyone.
    """
    params = model.unpack(full)
    if not model.varied:
        return functools.partial(model.cell_parameters, params)
    mean, scale = _centre(model, params, data)

    def cell_parameters(cell: Cell, own: Array) -> CellParameters:
        found = model.cell_parameters(params, cell, own)
        return found._replace(
            location=found.location + found.loading @ mean, loading=found.loading @ scale
        )

    return cell_parameters


def _centre(
    model: Model, params: Params, data: Data
) -> tuple[Float[Array, " D"], Float[Array, "D D"]]:
    """Return mean and scale of the spherical effects that average covariates predict."""
    centre, factor = _standing(model, params, data, data.centre), model.local_factor(params)
    solve = functools.partial(jax.scipy.linalg.solve_triangular, factor, lower=True)
    scale = jnp.eye(model.dimension)
    if model.spreads:
        scale = solve(jnp.exp(centre.log_sd)[:, None] * factor)
    return solve(centre.mean), scale


def cell_parameters(model: Model, full: Array, data: Data, u: Float[Array, " U"]) -> CellParameters:
    """Return the parameters of every cell (this is where cells are vmapped)."""
    return jax.vmap(_one_cell(model, full, data))(data.cells, _own(data, u))


def _own(data: Data, u: Float[Array, " U"]) -> Float[Array, "C q"]:
    return u[data.cells.places] if u.size else jnp.zeros(data.cells.places.shape)


def flatten(cells: CellParameters) -> Float[Array, "... m"]:
    """Return the parameters of cells side by side: location, loading, extra parameters."""
    return jnp.concatenate([cells.location[..., None], cells.loading, cells.aux], axis=-1)


class Moves(NamedTuple):
    """Derivatives of the moved parameters of each cell in its own global effects.

    Attributes:
        first: Jacobian.
        second: Hessians; None where those parameters are linear in the effects.
    """

    first: Float[Array, "C m q"]
    second: Float[Array, "C m q q"] | None


def moves(model: Model, full: Array, data: Data, u: Float[Array, " U"]) -> Moves:
    """Return how global effects move cells."""
    one, m = _one_cell(model, full, data), model.moved

    def lead(cell: Cell, own: Array) -> Array:
        return flatten(one(cell, own))[:m]

    own = _own(data, u)
    first = jax.vmap(jax.jacfwd(lead, 1))(data.cells, own)
    # the location alone is linear in the effects
    return Moves(first, jax.vmap(jax.hessian(lead, 1))(data.cells, own) if m > 1 else None)


def person_prior(model: Model, full: Array, data: Data, who: People) -> Float[Array, "N s"]:
    """Return the natural parameters of each person's prior (this is where persons are vmapped)."""
    if not model.varied:
        return jnp.zeros((len(who.weight), model.dimension))
    params = model.unpack(full)
    factor, centre = model.local_factor(params), _standing(model, params, data, data.centre)

    def one(person: Person) -> Array:
        return natural(factor, _standing(model, params, data, person), centre, model.spreads)

    return jax.vmap(one)(who.person)


def on_common_scale(
    model: Model,
    full: Array,
    data: Data,
    prior: Float[Array, "N s"],
    mean: Array,
    covariance: Array,
) -> tuple[Float[Array, "N D"], Float[Array, "N D D"]]:
    """Return moments as deviations from what covariates predict, in units of Lambda."""
    mean = mean - jax.vmap(mean_of, (0, None))(prior, model.dimension)
    if not model.spreads:
        return mean, covariance
    _, scale = _centre(model, model.unpack(full), data)
    return mean @ scale.T, jnp.einsum("ij,njk,lk->nil", scale, covariance, scale)


def row_parameters(cells: CellParameters, data: Data) -> CellParameters:
    """Return the parameters of each row's cell."""
    return jax.tree.map(lambda leaf: leaf[data.row_cell], cells)


class RowDerivatives(NamedTuple):
    """Derivatives of log p(row | node) in the m leading parameters of the row's cell."""

    gradient: Float[Array, "S K m"]
    hessian: Float[Array, "S K m m"]


def row_derivatives(
    model: Model, rows: CellParameters, y: Float[Array, " S"], grid: Grid, m: int
) -> RowDerivatives:
    """Differentiate log p(row | node) in the first m parameters of the row's cell.

    With m = 1 that is the location alone: all that global effects without slopes move.
    """
    flat = flatten(rows)

    def log_prob(lead: Array, rest: Array, y: Array, node: Array) -> Array:
        cell = jnp.concatenate([lead, rest])
        split = CellParameters(cell[0], cell[1 : 1 + model.dimension], cell[1 + model.dimension :])
        return model.log_prob(split, y, node)

    gradient = jax.grad(log_prob)
    hessian = jax.jacfwd(gradient)
    both = jax.vmap(lambda *row: (gradient(*row), hessian(*row)), (None, None, None, 0))
    return RowDerivatives(*jax.vmap(both, (0, 0, 0, None))(flat[:, :m], flat[:, m:], y, grid.nodes))


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
