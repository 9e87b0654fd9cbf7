"""The model: a response and effects over a design, as one parameter vector and one density.

    eta = x'beta + sum over terms of slope . (z Lambda u)

Everything is written for one cell and one observation; likelihoods vmap it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from eirt.design import Design
from eirt.effects import Effect, Free
from eirt.errors import nearest
from eirt.responses import Response


class Params(NamedTuple):
    """Parameters, unpacked.

    Attributes:
        beta: fixed effects.
        theta: covariance parameters, one vector per effect.
        slopes: discriminations, one vector per effect.
        aux: unconstrained extra parameters of the response, one row per set.
    """

    beta: Float[Array, " p"]
    theta: tuple[Float[Array, " n_theta"], ...]
    slopes: tuple[Float[Array, " n_slopes"], ...]
    aux: Float[Array, "sets n_aux"]


class Cell(NamedTuple):
    """The data of one cell (or, stacked, of all).

    Attributes:
        x: fixed-effects row.
        z: covariates of each random term.
        item: item number.
        places: where the cell's global random effects stand in the vector u.
    """

    x: Float[Array, " p"]
    z: tuple[Float[Array, " q"], ...]
    item: Int[Array, ""]
    places: Int[Array, " q_global"]


class CellParameters(NamedTuple):
    """What a cell needs to give eta = location + loading . x to a person with effects x."""

    location: Float[Array, ""]
    loading: Float[Array, " D"]
    aux: Float[Array, " n_aux"]


@dataclass(frozen=True)
class Model:
    """Response and effects, with the sizes that lay out the parameter vector.

    Args:
        response: the family.
        effects: one per random term of the design, in its order.
        n_fixed: columns of x.
        n_items: items (for slopes by item).
        aux_by_item: whether each item has its own extra parameters.
        ability_place: which local effect is the intercept, whose mean covariates of persons move.
    """

    response: Response
    effects: tuple[Effect, ...]
    n_fixed: int
    n_items: int = 1
    aux_by_item: bool = False
    ability_place: int | None = None

    @property
    def n_sets(self) -> int:
        """Number of sets of extra parameters."""
        return self.n_items if self.aux_by_item else 1

    @property
    def dimension(self) -> int:
        """Number of local random effects, the dimension of the latent trait."""
        return sum(effect.covariance.dimension for effect in self.effects if effect.local)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Lengths of beta, each theta, each slope vector, and aux."""
        return (
            self.n_fixed,
            *(effect.covariance.n_theta for effect in self.effects),
            *(effect.slope.n_slopes(self.n_items, effect.covariance.dimension)
              for effect in self.effects),
            self.n_sets * self.response.n_aux,
        )  # fmt: skip

    def unpack(self, full: Float[Array, " P"]) -> Params:
        """Cut the parameter vector into its parts."""
        ends = np.cumsum(self.sizes)
        beta, *middle, aux = (
            full[end - size : end] for size, end in zip(self.sizes, ends, strict=True)
        )
        n = len(self.effects)
        shape = (self.n_sets, self.response.n_aux)
        return Params(beta, tuple(middle[:n]), tuple(middle[n:]), aux.reshape(shape))

    def start(self, beta: np.ndarray, aux: np.ndarray, sd: float = 1.0) -> np.ndarray:
        """Return a starting vector around given fixed effects and extra parameters."""
        thetas = [effect.covariance.start(sd if effect.local else 0.5) for effect in self.effects]
        slopes = [
            effect.slope.start(self.n_items, effect.covariance.dimension) for effect in self.effects
        ]
        return np.concatenate([beta, *thetas, *slopes, np.tile(aux, self.n_sets)])

    def cell_parameters(
        self, params: Params, cell: Cell, u: Float[Array, " q_global"]
    ) -> CellParameters:
        """Return location, loading and extra parameters of ONE cell, given its global effects."""
        location = cell.x @ params.beta
        loadings = [jnp.zeros(0, location.dtype)]
        used = 0
        terms = zip(self.effects, params.theta, params.slopes, cell.z, strict=True)
        for effect, theta, slopes, z in terms:
            q = effect.covariance.dimension
            slope = effect.slope.at(slopes, cell.item, q)
            loading = (slope * z) @ effect.covariance.factor(theta)
            if effect.local:
                loadings.append(loading)
            else:
                location = location + loading @ u[used : used + q]
                used += q
        aux = params.aux[cell.item if self.aux_by_item else 0]
        return CellParameters(location, jnp.concatenate(loadings), self.response.constrain(aux))

    def shift(self, params: Params, predictor: Float[Array, ""]) -> Float[Array, " D"]:
        """Return the mean of ONE person's spherical effects, Lambda^-1 times that of ability.

        Args:
            params: the parameters.
            predictor: mean of ability that the person's covariates predict.
        """
        means, seen = [jnp.zeros(0)], 0
        for effect, theta in zip(self.effects, params.theta, strict=True):
            if effect.local:
                q = effect.covariance.dimension
                at = jnp.arange(seen, seen + q) == self.ability_place
                mean = jnp.where(at, predictor, 0.0)
                factor = effect.covariance.factor(theta)
                means.append(jax.scipy.linalg.solve_triangular(factor, mean, lower=True))
                seen += q
        return jnp.concatenate(means)

    def log_prob(
        self, cell: CellParameters, y: Float[Array, ""], x: Float[Array, " D"]
    ) -> Float[Array, ""]:
        """Return log p(y | x) of ONE observation."""
        return self.response.log_prob(y, cell.location + cell.loading @ x, cell.aux)


class Restriction(NamedTuple):
    """Which parameters are free: full = free[source], or `value` where source is negative."""

    source: Int[Array, " P"]
    value: Float[Array, " P"]

    def expand(self, free: Float[Array, " F"]) -> Float[Array, " P"]:
        """Return the full parameter vector."""
        padded = jnp.append(free, 0.0)
        return jnp.where(self.source >= 0, padded[self.source], self.value)

    def full(self, free: np.ndarray) -> np.ndarray:
        """Return the full parameter vector, on the host."""
        source = np.asarray(self.source)
        return np.where(source >= 0, np.append(free, 0.0)[source], np.asarray(self.value))

    def free(self, full: np.ndarray) -> np.ndarray:
        """Return the free parameters of a full vector (the first of each tied set)."""
        _, first = np.unique(self.source, return_index=True)
        return full[first[np.asarray(self.source)[first] >= 0]]


def restrict(
    model: Model, names: tuple[str, ...], anchors: Mapping[str, float] | None = None
) -> Restriction:
    """Return the restriction that fixes masked slopes at zero and anchors at their values.

    Args:
        model: the model.
        names: parameter names, as from `parameter_names`.
        anchors: values by parameter name.

    Raises:
        ValueError: if an anchor is not a parameter, with the nearest name.
    """
    fixed = np.zeros(len(names), bool)
    value = np.zeros(len(names))
    start = model.n_fixed + sum(effect.covariance.n_theta for effect in model.effects)
    for effect in model.effects:
        size = effect.slope.n_slopes(model.n_items, effect.covariance.dimension)
        if isinstance(effect.slope, Free) and effect.slope.mask is not None:
            fixed[start : start + size] = np.ravel(effect.slope.mask) == 0
        start += size
    for name, anchor in (anchors or {}).items():
        if name not in names:
            raise ValueError(f"There is no parameter {name!r} to anchor.{nearest(name, names)}")
        fixed[names.index(name)] = True
        value[names.index(name)] = anchor
    source = np.where(fixed, -1, np.cumsum(~fixed) - 1)
    return Restriction(jnp.asarray(source), jnp.asarray(value))


def parameter_names(model: Model, design: Design) -> tuple[str, ...]:
    """Name every entry of the parameter vector."""
    names = list(design.x_names)
    for effect, term in zip(model.effects, design.terms, strict=True):
        names += [f"sd[{term.group}|{n}]" for n in effect.covariance.names(term.effects)]
    for effect, term in zip(model.effects, design.terms, strict=True):
        size = effect.slope.n_slopes(model.n_items, effect.covariance.dimension)
        per_item = size == model.n_items * len(term.effects) and isinstance(effect.slope, Free)
        for place in range(size):
            item, dimension = divmod(place, len(term.effects))
            parts = [str(design.items[item])] if per_item else []
            parts += [term.effects[dimension]] if len(term.effects) > 1 else []
            names.append("slope" + (f"[{'|'.join(parts)}]" if parts else ""))
    for group in range(model.n_sets):
        label = f"{design.items[group]}|" if model.aux_by_item else ""
        names += [f"aux[{label}{k + 1}]" for k in range(model.response.n_aux)]
    return tuple(names)


def global_offsets(design: Design) -> tuple[int, ...]:
    """Return where the effects of each global term begin in u, and the length of u at the end."""
    sizes = [0 if term.local else len(term.levels) * len(term.effects) for term in design.terms]
    return (0, *np.cumsum(sizes).tolist())


def cell_data(design: Design) -> Cell:
    """Return the cells of a design as arrays."""
    offsets = global_offsets(design)
    places = [np.zeros((len(design.x), 0), np.int32)]
    for term, offset in zip(design.terms, offsets, strict=False):
        if term.index is not None:
            q = len(term.effects)
            places.append((offset + term.index[:, None] * q + np.arange(q)).astype(np.int32))
    return Cell(
        jnp.asarray(design.x),
        tuple(jnp.asarray(term.z) for term in design.terms),
        jnp.asarray(design.cell_item, jnp.int32),
        jnp.asarray(np.concatenate(places, axis=1)),
    )
