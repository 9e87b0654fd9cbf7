"""Conditional maximum likelihood: the responses given each person's score (Andersen, 1972)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from eirt._compiled import compiled
from eirt._symmetric import log_symmetric, score_information
from eirt.design import Design
from eirt.errors import DataError, listing
from eirt.likelihood.base import Likelihood, Moments, Objective, Terms
from eirt.likelihood.booklets import (
    Booklets,
    booklets,
    highest,
    informative,
    linked_cells,
    named_sets,
)
from eirt.likelihood.cells import Data, cell_parameters
from eirt.model import Model, parameter_names
from eirt.responses import ABSENT, Adjacent, Bernoulli
from eirt.restrictions import Restriction, restrict, unrestricted

if TYPE_CHECKING:
    from jaxtyping import Array, Float

SAME = 1e-9  # of one, between the cosine of a direction and one


@dataclass(frozen=True)
class Conditional(Likelihood):
    """Condition on each person's sum score, which leaves nothing to assume of abilities.

        log L = sum_p {sum_n log w_n(y_pn) - log gamma_r(p)},   w_n(y) = P(y) / P(0) at ability 0

    For the Rasch family: Rasch, LLTM, rating scale, partial credit, and these with features. The
    likelihood does not change when all items become easier and all persons less able: the
    intercept is fixed at zero or, where there is none, the first item; `fit.difficulty()` has mean
    difficulty zero. Persons with the lowest or highest score say nothing about items.

    Source: Andersen (1972); Fischer (1973, 1995) for features; Masters (1982) for categories.

    >>> import eirt
    >>> fit = eirt.rasch(eirt.load("lsat6"), wide=True, likelihood=Conditional())
    >>> round(fit.loglik, 3), fit.n_params
    (-1091.57, 4)
    """

    conditional = True

    def settle(
        self, model: Model, design: Design, anchors: Mapping[str, float | str]
    ) -> dict[str, float | str]:
        _require_rasch(model, design)
        names, n = parameter_names(model, design), model.n_fixed
        scales = names[n : n + sum(effect.covariance.n_theta for effect in model.effects)]
        settled = {**anchors, **dict.fromkeys(scales, np.nan)}
        place = _undetermined(model, design, restrict(names, settled))
        return settled if place is None else {**settled, names[place]: 0.0}

    def bind(self, model: Model, design: Design, restriction: Restriction) -> Objective:
        _require_rasch(model, design)
        return ConditionalObjective(model, design, restriction)


def _require_rasch(model: Model, design: Design) -> None:
    """Refuse what sum scores do not condition away."""
    marginal = "use likelihood=eirt.Quadrature()"
    response = model.response
    local = [term for term in design.terms if term.local]
    if not (isinstance(response, Adjacent) or response == Bernoulli("logit")):
        raise ValueError(
            f"Sum scores are sufficient for Bernoulli('logit') and Adjacent() only, not for "
            f"{response}; {marginal}."
        )
    if any(effect.slope.free for effect in model.effects):
        raise ValueError(
            "Discriminations cannot be estimated given sum scores, which weigh all items alike; "
            f"{marginal}."
        )
    if len(local) != len(design.terms):
        other = listing(term.group for term in design.terms if not term.local)
        raise ValueError(
            f"Conditional likelihood has no random effects besides those of persons ({other}); "
            "use likelihood=eirt.Nested()."
        )
    if model.dimension != 1 or local[0].effects != ("(Intercept)",):
        raise ValueError(f"Conditional likelihood takes one ability for each person; {marginal}.")
    if model.varied:
        raise ValueError(
            "Covariates of persons have no effect on responses given sum scores: leave them out "
            f"(their interactions with items may stay), or {marginal}."
        )


def _undetermined(model: Model, design: Design, restriction: Restriction) -> int | None:
    """Return the parameter to fix so that items have an origin, None where they have one.

    Ability can take over what moves all cells that persons link by the same amount per step.

    Raises:
        DataError: if persons do not link all items.
    """
    steps = design.n_categories - 1
    there = np.arange(1, steps + 1) <= highest(model, design)[:, None]
    full = restriction.full(np.zeros(restriction.select.shape[1]))
    slopes = _derivative(model, steps, full, Data.of(design, unrestricted(len(full))))
    moving = np.asarray(slopes)[there.ravel()] @ restriction.select
    linked = linked_cells(model, design)
    sets = linked[:, None] == np.arange(linked.max() + 1)
    level = np.kron(sets, np.arange(1.0, steps + 1)[:, None])[there.ravel()]
    basis, upper = np.linalg.qr(moving)
    level /= np.linalg.norm(level, axis=0)
    left, cosines, _ = np.linalg.svd(basis.T @ level, full_matrices=False)
    free = int(np.sum(cosines > 1 - SAME))
    if free > 1:
        raise DataError(
            f"The items fall into {linked.max() + 1} sets that nobody links whose score is "
            f"neither the lowest nor the highest: {named_sets(design, linked)}. Keep one set, or "
            "use likelihood=eirt.Quadrature()."
        )
    if free == 0:
        return None
    direction = np.abs(np.linalg.solve(upper, left[:, 0]))
    source, first = np.unique(np.asarray(restriction.source), return_index=True)
    places = first[source >= 0][direction > SAME * direction.max()]
    intercept = [p for p in places if p < model.n_fixed and design.x_names[p] == "(Intercept)"]
    return int([*intercept, *places][0])


class ConditionalObjective(Objective):
    """The conditional log-likelihood, with exact information."""

    exact_information = True

    def __init__(self, model: Model, design: Design, restriction: Restriction):
        super().__init__(model, design, Data.of(design, restriction))
        self.restriction = restriction
        self.steps = design.n_categories - 1
        self.booklets = jax.device_put(booklets(model, design))
        # sums need no persons: samples of any size compile nothing new
        self.summed = self.booklets._replace(of_person=np.zeros(0, int), score=np.zeros(0, int))
        self.extreme = int(np.sum(~informative(model, design)))
        # in all parameters, fixed and tied ones too: other restrictions compile nothing new
        self.whole = self.data._replace(restriction=unrestricted(sum(model.sizes)))

    def value_and_grad(self, psi: np.ndarray) -> tuple[float, np.ndarray]:
        full = self.restriction.full(psi)
        value, gradient = _value_and_grad(self.model, self.steps, full, self.whole, self.summed)
        return float(value), self.restriction.collect(np.asarray(gradient))

    def newton_terms(self, psi: np.ndarray) -> Terms:
        value, gradient = self.value_and_grad(psi)
        full = self.restriction.full(psi)
        found = _information(self.model, self.steps, full, self.whole, self.summed)
        information = self.restriction.collect(np.asarray(found))
        return Terms(value, gradient, information, information)

    def person_scores(self, psi: np.ndarray) -> Float[np.ndarray, "N P"]:
        import scipy.sparse

        full, design = self.restriction.full(psi), self.design
        telling = informative(self.model, design)
        some = telling[design.obs_person] & (design.y > 0)
        places = design.obs_cell[some] * self.steps + design.y[some].astype(int) - 1
        shape = (len(telling), len(design.x) * self.steps)
        at = design.obs_person[some], places
        answered = scipy.sparse.coo_array((np.ones(some.sum()), at), shape).tocsr()
        slopes = np.asarray(_derivative(self.model, self.steps, full, self.whole))
        expected = _expected(self.model, self.steps, full, self.whole, self.booklets)
        scores = answered @ slopes
        scores[telling] -= np.asarray(expected).T
        return scores @ self.restriction.select

    def moments(self, psi: np.ndarray) -> Moments:
        raise DataError(
            "Conditional likelihood says nothing of the distribution of ability; refit with "
            "likelihood=eirt.Quadrature()."
        )


def _log_weights(model: Model, steps: int, full: Array, data: Data) -> Float[Array, "C c"]:
    """Return log P(y) / P(0) at ability 0, for every cell and category above the lowest."""
    cells = cell_parameters(model, full, data, jnp.zeros(0))
    every = jnp.arange(steps + 1.0)

    def one(location: Array, aux: Array) -> Array:
        found = jax.vmap(model.response.log_prob, (0, None, None))(every, location, aux)
        return found[1:] - found[0]

    return jax.vmap(one)(cells.location, cells.aux)


@compiled(0, 1)
def _derivative(model: Model, steps: int, full: Array, data: Data) -> Float[Array, "Cc P"]:
    """Return the derivative of the log weights, which are linear in the parameters."""
    return jax.jacfwd(lambda at: _log_weights(model, steps, at, data).ravel())(full)


@compiled(0, 1)
def _value_and_grad(
    model: Model, steps: int, full: Array, data: Data, who: Booklets
) -> tuple[Array, Array]:
    def value(at: Array) -> Array:
        weights = _log_weights(model, steps, at, data)
        return jnp.sum(who.observed * weights) - jnp.sum(who.counts * _log_gamma(weights, who))

    return jax.value_and_grad(value)(full)


def _log_gamma(weights: Float[Array, "C c"], who: Booklets) -> Float[Array, "B S"]:
    """Return the symmetric functions of every booklet."""
    padded = _padded(weights)

    def one(booklet: tuple[Array, Array]) -> Array:
        cells, counts = booklet
        return log_symmetric(padded[cells], counts)

    return jax.lax.map(one, (jnp.asarray(who.cells), jnp.asarray(who.counts)))


@compiled(0, 1)
def _expected(
    model: Model, steps: int, full: Array, data: Data, who: Booklets
) -> Float[Array, "P T"]:
    """Return what each person's score leads to expect of the statistics of parameters."""

    def log_gamma(at: Array) -> Array:
        return _log_gamma(_log_weights(model, steps, at, data), who)[who.of_person, who.score]

    return jax.lax.map(lambda along: jax.jvp(log_gamma, (full,), (along,))[1], jnp.eye(full.size))


def _padded(weights: Float[Array, "C c"]) -> Float[Array, "D c"]:
    """Append an item that is always answered in the lowest category."""
    return jnp.concatenate([weights, jnp.full_like(weights[:1], ABSENT)])


@compiled(0, 1)
def _information(
    model: Model, steps: int, full: Array, data: Data, who: Booklets
) -> Float[Array, "P P"]:
    weights = _padded(_log_weights(model, steps, full, data))
    slopes = jnp.pad(_derivative(model, steps, full, data), ((0, steps), (0, 0)))

    def add(total: Array, booklet: tuple[Array, Array]) -> tuple[Array, None]:
        cells, counts = booklet
        places = (cells[:, None] * steps + jnp.arange(steps)).ravel()
        own = score_information(weights[cells], counts)
        return total.at[places[:, None], places].add(own), None

    every = jnp.asarray(who.cells), jnp.asarray(who.counts)
    total = jax.lax.scan(add, jnp.zeros((len(slopes), len(slopes))), every)[0]
    return slopes.T @ total @ slopes
