"""The model: a response and effects over a design, as one parameter vector and one density.

    eta = easiness + slope . z (mu + Lambda x),   x ~ N(0, I)

where easiness, slopes and the response's own parameters are linear predictors of features plus
random effects Lambda u, and mu is what covariates predict of a person. Everything is written for
one cell, one person and one observation; likelihoods vmap it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from eirt._math import on_host
from eirt.design import Design
from eirt.effects import EASINESS, STEEP, Effect, Target
from eirt.extras import aux_names
from eirt.responses import Response

if TYPE_CHECKING:
    from jaxtyping import Array, Float, Int


class Params(NamedTuple):
    """Parameters, unpacked.

    Attributes:
        beta: fixed effects on easiness (and of persons' covariates on ability).
        theta: covariance parameters, one vector per effect.
        parts: coefficients of the other explained parameters, one vector per part.
        aux: unconstrained extra parameters of the response, one row per set.
    """

    beta: Float[Array, " p"]
    theta: tuple[Float[Array, " n_theta"], ...]
    parts: tuple[Float[Array, " k"], ...]
    aux: Float[Array, "sets n_aux"]


class Cell(NamedTuple):
    """The data of one cell (or, stacked, of all).

    Attributes:
        x: fixed-effects row of easiness.
        parts: rows of the other explained parameters; empty for those of persons.
        z: covariates of each random term.
        item: item number.
        places: where the cell's global random effects stand in the vector u.
        given: what the response reads besides its parameters.
    """

    x: Float[Array, " p"]
    parts: tuple[Float[Array, " k"], ...]
    z: tuple[Float[Array, " q"], ...]
    item: Int[Array, ""]
    places: Int[Array, " q_global"]
    given: Float[Array, " g"]


class CellParameters(NamedTuple):
    """What a cell needs to give eta = location + loading . x to a person with effects x."""

    location: Float[Array, ""]
    loading: Float[Array, " D"]
    aux: Float[Array, " n_aux"]


class Person(NamedTuple):
    """The covariates of one person (or, stacked, of all).

    Attributes:
        covariates: columns of easiness that describe persons: they move ability.
        parts: rows of the parts of persons; empty for those of cells.
    """

    covariates: Float[Array, " r"]
    parts: tuple[Float[Array, " k"], ...]


class Standing(NamedTuple):
    """What covariates say of a person's abilities: means, and logarithms of relative sds."""

    mean: Float[Array, " D"]
    log_sd: Float[Array, " D"]


class PartSize(NamedTuple):
    """What a part explains, and with how many columns."""

    target: Target
    size: int

    @property
    def of_persons(self) -> bool:
        """Whether the part describes persons, not cells."""
        return self.target.parameter in ("ability", "spread")


@dataclass(frozen=True)
class Model:
    """Response and effects, with the sizes that lay out the parameter vector.

    Args:
        response: the family.
        effects: one per random term of the design, in its order.
        n_fixed: columns of x.
        parts: what else is explained.
        n_items: items (for extra parameters by item).
        aux_by_item: whether each item has its own extra parameters.
        aux_steep: whether extra parameters are on the scale of ability, and multiplied by the slope
            of the first dimension.
        ability_places: which local effects covariates of persons move, if they do.
    """

    response: Response
    effects: tuple[Effect, ...]
    n_fixed: int
    parts: tuple[PartSize, ...] = ()
    n_items: int = 1
    aux_by_item: bool = False
    aux_steep: bool = False
    ability_places: tuple[int, ...] = ()

    @property
    def n_sets(self) -> int:
        """Number of sets of extra parameters."""
        return self.n_items if self.aux_by_item else 1

    @property
    def dimension(self) -> int:
        """Number of local random effects, the dimension of the latent trait."""
        return sum(effect.covariance.dimension for effect in self.effects if effect.local)

    @property
    def varied(self) -> bool:
        """Whether the mean or the variance of ability differs between persons."""
        return bool(self.ability_places) or any(part.of_persons for part in self.parts)

    @property
    def spreads(self) -> bool:
        """Whether the variance of ability differs between persons."""
        return any(part.target.parameter == "spread" for part in self.parts)

    @property
    def moved(self) -> int:
        """How many leading parameters of a cell global effects can move: location, loading, aux."""
        targets = {t.parameter for e in self.effects if not e.local for t in e.targets}
        if "extra" in targets:
            return 1 + self.dimension + self.response.n_aux
        return 1 + self.dimension if STEEP in targets else 1

    @property
    def n_global(self) -> int:
        """Number of global random effects that move a cell."""
        return sum(effect.covariance.dimension for effect in self.effects if not effect.local)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Lengths of beta, each theta, each part, and aux."""
        return (
            self.n_fixed,
            *(effect.covariance.n_theta for effect in self.effects),
            *(part.size for part in self.parts),
            self.n_sets * self.response.n_aux,
        )

    @property
    def bounded_places(self) -> tuple[int, ...]:
        """Where parameters stand that are infinite at a bound of what they constrain."""
        size, first = self.response.n_aux, sum(self.sizes[:-1])
        starts = range(first, first + self.n_sets * size, size or 1)
        return tuple(start + place for start in starts for place in self.response.bounded)

    def unpack(self, full: Float[Array | np.ndarray, " P"]) -> Params:
        """Cut the parameter vector into its parts."""
        ends = np.cumsum(self.sizes)
        beta, *middle, aux = (
            full[end - size : end] for size, end in zip(self.sizes, ends, strict=True)
        )
        n = len(self.effects)
        shape = (self.n_sets, self.response.n_aux)
        return on_host(Params, beta, tuple(middle[:n]), tuple(middle[n:]), aux.reshape(shape))

    def pack(
        self, beta: np.ndarray, thetas: list[np.ndarray], parts: list[np.ndarray], aux: np.ndarray
    ) -> np.ndarray:
        """Join parts to a parameter vector; undoes `unpack`."""
        return np.concatenate([beta, *thetas, *parts, np.ravel(aux)])

    def predictors(
        self, params: Params, cell: Cell, u: Float[Array, " q_global"]
    ) -> dict[Target, Float[Array, ""]]:
        """Return every linear predictor of ONE cell, given its global effects; others are zero."""
        found: dict[Target, Array] = defaultdict(lambda: jnp.zeros(()))
        found[EASINESS] = cell.x @ params.beta
        for part, coefficients, x in zip(self.parts, params.parts, cell.parts, strict=True):
            if not part.of_persons:
                found[part.target] = found[part.target] + x @ coefficients
        used = 0
        for effect, theta, z in zip(self.effects, params.theta, cell.z, strict=True):
            if not effect.local:
                q = effect.covariance.dimension
                shares = z * (effect.covariance.factor(theta) @ u[used : used + q])
                used += q
                for target, share in zip(effect.targets, shares, strict=True):
                    found[target] = found[target] + share
        return found

    def slopes(self, predictors: dict[Target, Float[Array, ""]]) -> Float[Array, " D"]:
        """Return the slopes of ONE cell on each local effect."""
        found = [
            effect.slope.at(predictors[target])
            for effect in self.effects
            if effect.local
            for target in effect.targets
        ]
        return jnp.stack(found) if found else jnp.zeros(0)

    def steepness(
        self, cell: Cell, predictors: dict[Target, Float[Array, ""]]
    ) -> Float[Array, " D"]:
        """Return what ONE cell multiplies each local effect by: its slope times its covariate."""
        local = [z for effect, z in zip(self.effects, cell.z, strict=True) if effect.local]
        return self.slopes(predictors) * jnp.concatenate([jnp.zeros(0), *local])

    def cell_parameters(
        self, params: Params, cell: Cell, u: Float[Array, " q_global"]
    ) -> CellParameters:
        """Return location, loading and extra parameters of ONE cell, given its global effects."""
        found = self.on_ability(params, cell, u)
        return found._replace(loading=found.loading @ self.local_factor(params))

    def on_ability(
        self, params: Params, cell: Cell, u: Float[Array, " q_global"]
    ) -> CellParameters:
        """Return the same with what multiplies abilities in the place of spherical effects."""
        predictors = self.predictors(params, cell, u)
        steep = self.steepness(cell, predictors)
        ahead = [predictors[Target("ability", d)] for d in range(self.dimension)]
        location = predictors[EASINESS] + steep @ jnp.asarray(ahead).reshape(-1)
        more = [predictors[Target("extra", k)] for k in range(self.response.n_aux)]
        raw = params.aux[cell.item if self.aux_by_item else 0]
        aux = self.response.extra(raw, jnp.asarray(more).reshape(-1))
        if self.aux_steep:
            aux = aux * self.slopes(predictors)[0]
        aux = jnp.concatenate([aux, cell.given])
        return CellParameters(location, steep, aux)

    def local_factor(self, params: Params) -> Float[Array, "D D"]:
        """Return Lambda of all local effects together."""
        blocks = [
            effect.covariance.factor(theta)
            for effect, theta in zip(self.effects, params.theta, strict=True)
            if effect.local
        ]
        return jax.scipy.linalg.block_diag(*blocks) if blocks else jnp.zeros((0, 0))

    def standing(self, params: Params, gamma: Float[Array, " r"], person: Person) -> Standing:
        """Return what the covariates of ONE person predict.

        Args:
            params: the parameters.
            gamma: coefficients of `person.covariates`.
            person: the covariates.
        """
        found = {"ability": jnp.zeros(self.dimension), "spread": jnp.zeros(self.dimension)}
        for place in self.ability_places:
            found["ability"] = found["ability"].at[place].add(person.covariates @ gamma)
        for part, coefficients, x in zip(self.parts, params.parts, person.parts, strict=True):
            if part.of_persons:
                name, place = part.target
                found[name] = found[name].at[place].add(x @ coefficients)
        return Standing(found["ability"], found["spread"])

    def log_prob(
        self, cell: CellParameters, y: Float[Array, ""], x: Float[Array, " D"]
    ) -> Float[Array, ""]:
        """Return log p(y | x) of ONE observation."""
        return self.response.log_prob(y, cell.location + cell.loading @ x, cell.aux)


def part_sizes(design: Design) -> tuple[PartSize, ...]:
    """Return the sizes of the parts of a design."""
    return tuple(PartSize(part.target, part.x.shape[1]) for part in design.parts)


def parameter_names(model: Model, design: Design) -> tuple[str, ...]:
    """Name every entry of the parameter vector."""
    names = list(design.x_names)
    for effect, term in zip(model.effects, design.terms, strict=True):
        names += [f"sd[{term.group}|{n}]" for n in effect.covariance.names(term.effects)]
    for part in design.parts:
        names += part.names
    return (*names, *aux_names(model.response, design, model.aux_by_item))


def global_offsets(design: Design) -> tuple[int, ...]:
    """Return where the effects of each global term begin in u, and the length of u at the end."""
    sizes = [0 if term.local else len(term.levels) * len(term.effects) for term in design.terms]
    return (0, *np.cumsum(sizes).tolist())


def cell_data(design: Design) -> Cell:
    """Return the cells of a design as arrays."""
    offsets = global_offsets(design)
    n_cells = len(design.x)
    places = [np.zeros((n_cells, 0), np.int32)]
    for term, offset in zip(design.terms, offsets, strict=False):
        if term.index is not None:
            q = len(term.effects)
            places.append((offset + term.index[:, None] * q + np.arange(q)).astype(np.int32))
    return on_host(
        Cell,
        design.x,
        tuple(np.zeros((n_cells, 0)) if p.of_persons else p.x for p in design.parts),
        tuple(term.z for term in design.terms),
        design.cell_item.astype(np.int32),
        np.concatenate(places, axis=1),
        design.given,
    )
