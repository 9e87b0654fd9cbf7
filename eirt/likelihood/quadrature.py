"""Marginal maximum likelihood on fixed shared nodes (Bock & Aitkin, 1981)."""

from __future__ import annotations

import copy
import functools
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from eirt._math import equispaced_grid
from eirt.design import Design
from eirt.likelihood import marginal
from eirt.likelihood.base import SINGLE, Likelihood, Moments, Objective, Terms
from eirt.likelihood.canonical import Assembly
from eirt.likelihood.cells import Data
from eirt.likelihood.incidence import Dense, incidence, nearly_complete, thinned
from eirt.likelihood.itemwise import itemwise
from eirt.likelihood.local import localised
from eirt.likelihood.marginal import Persons
from eirt.likelihood.persons import (
    fetched,
    in_blocks,
    lightened,
    of_process,
    placed,
    sample_of,
    stored,
)
from eirt.likelihood.sufficient import Canonical, still_vary
from eirt.likelihood.table import (
    MAX_NODES,
    WIDER,
    Incidence,
    assemble,
    default_nodes,
    finer_nodes,
    rows_of_persons,
)
from eirt.model import Model
from eirt.restrictions import Restriction, unrestricted

SAMPLE = 1000, 5  # persons whose information leads a search: at least, and per parameter
MOST_SAMPLED = 0.25  # of all persons: else the information of all is as good
SPARED = 8  # of a sample whose maximum is found first, everybody stands for so many
LEAST_REHEARSED = 4000  # persons in it, fewer where WORTH_IT is less than persons x parameters
WORTH_IT = 5_000_000
FEW = 100_000  # persons x nodes
MANY = 300  # parameters between which products of responses take longest


@dataclass(frozen=True)
class Quadrature(Likelihood):
    """Integrate the latent trait on equally spaced nodes shared by all persons.

        log L = sum_p log sum_k w_k prod_n p(y_pn | x_k)

    Args:
        nodes: nodes per dimension; chosen by dimension when None, and doubled after the fit
            to report `quadrature_error`.
        reach: the nodes cover +-reach standard deviations.

    Source: Bock & Aitkin (1981); Louis (1982) for the information.

    >>> Quadrature(41).nodes
    41
    """

    nodes: int | None = None
    reach: float = 6.5
    spreads = True

    def bind(self, model: Model, design: Design, restriction: Restriction) -> Objective:
        if any(not term.local for term in design.terms):
            raise ValueError(
                "Quadrature integrates one grouping factor; for crossed or nested effects use "
                "likelihood=eirt.Nested() or eirt.Laplace()."
            )
        return QuadratureObjective(self, model, design, restriction)


class QuadratureObjective(Objective):
    """The marginal log-likelihood on fixed nodes, with exact information."""

    exact_information = True
    known: tuple[np.ndarray, float] | None = None  # where the value was found last, and the value

    def __init__(self, choice: Quadrature, model: Model, design: Design, restriction: Restriction):
        super().__init__(model, design, Data.of(design, restriction))
        self.restriction = restriction
        nodes = choice.nodes or default_nodes(model.dimension)
        if nodes**model.dimension > MAX_NODES:
            raise ValueError(
                f"{nodes} nodes in each of {model.dimension} dimensions are too many; use "
                "likelihood=eirt.AdaptiveQuadrature()."
            )
        self.nodes = nodes
        self.choice = Quadrature(nodes, choice.reach)
        self.grid = equispaced_grid(nodes, model.dimension, choice.reach)
        n_all = sum(model.sizes)
        m = 1 + model.dimension + model.response.n_aux
        who: Incidence
        self.itemwise = itemwise(model, design, restriction)
        if self.itemwise is not None:
            self.how, who = Assembly(m, 1), self.itemwise.who
        else:
            self.how, who = assemble(model, design, len(self.grid.log_weights), n_all, m)
        self.canonical = isinstance(who, Canonical)
        self.group = rows_of_persons(who, len(design.persons))
        self.who = self._placed(who)
        # in all parameters, fixed and tied ones too: other restrictions compile nothing new
        self.here = self.data._replace(restriction=jax.device_put(unrestricted(n_all)))
        self.whole = self.here if design.devices is None else design.devices.copied(self.here)

    def value_and_grad(self, psi: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = self._value_and_grad(psi, self.who)
        self.known = psi, value
        return value, gradient

    def _value_and_grad(self, psi: np.ndarray, who: Persons) -> tuple[float, np.ndarray]:
        full = self.restriction.full(psi)
        if self.itemwise is not None:
            return self.itemwise.value_and_grad(full, self.whole, self.grid)
        value, gradient = marginal.value_and_grad(self.model, full, self.whole, who, self.grid)
        return float(value), self.restriction.collect(np.asarray(gradient))

    def inside(self, psi: np.ndarray, step: np.ndarray) -> np.ndarray:
        return step if self.itemwise is None else self.itemwise.cut(psi, step)

    def newton_terms(self, psi: np.ndarray) -> Terms:
        terms = self._newton_terms(psi, self.who)
        self.known = psi, terms.value
        return terms

    def _newton_terms(self, psi: np.ndarray, who: Persons) -> Terms:
        full = self.restriction.full(psi)
        if self.itemwise is not None:
            return self.itemwise.terms(full, self.whole, self.grid)
        terms = marginal.newton_terms_of_few if self._few else marginal.newton_terms
        value, *rest = terms(self.model, self.how, full, self.whole, who, self.grid, self.places)
        return Terms(float(value), *(self.restriction.collect(np.asarray(x)) for x in rest))

    @functools.cached_property
    def places(self) -> np.ndarray | None:
        """Which parameters move each cell, where these are few of many."""
        if not self.canonical or sum(self.model.sizes) < MANY or self.design.devices is not None:
            return None
        local = localised(self.model, self.design)
        return None if local is None else local.places.astype(np.int32)

    @property
    def _few(self) -> bool:
        """Whether to compile takes longer than to run, whatever is optimised."""
        exponentials = len(self.design.persons) * len(self.grid.log_weights)
        return self.canonical and exponentials < FEW and self.design.devices is None

    @property
    def quick(self) -> bool:
        if self.itemwise is not None:
            return True
        if self.canonical:  # products of tables are cheap, but for those of many items
            return len(self.restriction.source) >= MANY and self.sampled is not None
        return self.how.degree > 0 and self._every > 1

    def quick_terms(self, psi: np.ndarray) -> Terms:
        if self.itemwise is not None:
            full = self.restriction.full(psi)
            return self.itemwise.terms(full, self.whole, self.grid, degree=1)
        value, gradient = self.quick_value_and_grad(psi)
        sample = self.sampled if self.canonical else self.sample
        assert sample is not None
        return self._newton_terms(psi, sample)._replace(value=value, gradient=gradient)

    def quick_value_and_grad(self, psi: np.ndarray) -> tuple[float, np.ndarray]:
        return self._value_and_grad(psi, self.light)

    @functools.cached_property
    def light(self) -> Persons:
        """The persons in single precision, where products of dense tables are the work."""
        dense = isinstance(stored(self.who), Dense) and self.precision != "double"
        return lightened(self.who) if dense and not self.model.varied else self.who

    @property
    def _every(self) -> int:
        """How many persons one of the sample stands for."""
        least = max(SAMPLE[0], SAMPLE[1] * sum(self.model.sizes))
        n_persons = self.design.n_persons
        return n_persons // least if least < MOST_SAMPLED * n_persons else 1

    @functools.cached_property
    def sample(self) -> Persons:
        """Every so manieth person or more, standing for all."""
        return self._placed(thinned(fetched(self.who), self.design, self._every))

    def _placed(self, who: Incidence) -> Persons:
        return placed(who, self.design.devices)

    @property
    def rehearsal(self) -> Objective | None:
        if not self.canonical:
            return None
        found = copy.copy(self)
        if self.precision == "mixed" and not self.how.single:
            found.how, found.enough, found.rounding = self.how._replace(single=True), 1e-4, SINGLE
            return found
        if self.sampled is None:
            return None
        found.who, found.enough = self.sampled, self.restriction.select.shape[1] / 10
        found.__dict__.pop("sampled", None)
        return found

    @functools.cached_property
    def sampled(self) -> Persons | None:
        """One of SPARED persons of a table, standing for all, if these are so many."""
        size = len(self.restriction.source)
        least = max(size, min(LEAST_REHEARSED, WORTH_IT // (SPARED * size)))
        every = int(stored(self.who).every) * SPARED
        if len(stored(self.who).weight) < every * least or not in_blocks(self.who, self.grid):
            return None
        asked = still_vary(fetched(self.who), every, self.design.devices)
        return sample_of(self.who, every) if asked else None

    def moments(self, psi: np.ndarray) -> Moments:
        full, who = self.restriction.full(psi), of_process(self.who)
        found = self._of_process(marginal.moments(self.model, full, self.here, who, self.grid))
        mean, covariance = (part[self.group] for part in found)
        return Moments(mean, covariance, np.zeros(0), np.zeros((0, 0)))

    def person_scores(self, psi: np.ndarray) -> np.ndarray:
        if self.itemwise is not None and not self.itemwise.together:
            raise ValueError(
                f"{self.design.n_persons} persons cannot tell the covariance of {len(psi)} "
                "parameters: keep that of the observed information, fit.items and fit.fixed."
            )
        full, devices = self.restriction.full(psi), self.design.devices
        # persons whose scores differ may have been counted as one, with the same posterior
        who = incidence(self.design, nearly_complete(self.design))
        who = placed(who, devices and devices.here)
        found = marginal.person_scores(self.model, full, self.here, who, self.grid)
        return self._of_process(found)[: len(self.design.persons)] @ self.restriction.select

    def _of_process(self, by_person: Any) -> Any:
        devices = self.design.devices
        return jax.tree.map(np.asarray, by_person) if devices is None else devices.own(by_person)

    def errors(self, psi: np.ndarray) -> dict[str, float]:
        nodes = finer_nodes(self.nodes, self.model.dimension)
        if self.model.dimension == 0 or nodes is None:
            return {}
        finer = equispaced_grid(nodes, self.model.dimension, WIDER * self.choice.reach)
        full = self.restriction.full(psi)
        there = marginal.value(self.model, full, self.whole, self.who, finer)
        if self.known is not None and np.array_equal(self.known[0], psi):
            here = self.known[1]
        elif self.itemwise is not None:
            here, _ = self.value_and_grad(psi)
        else:
            here = self.newton_terms(psi).value  # compiled before, unlike the value alone
        return {"quadrature": float(there) - here}

    def refined(self) -> Objective | None:
        nodes = finer_nodes(self.nodes, self.model.dimension)
        if nodes is None:
            return None
        choice = Quadrature(nodes, WIDER * self.choice.reach)
        return QuadratureObjective(choice, self.model, self.design, self.data.restriction)
