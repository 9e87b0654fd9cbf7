"""What is common to objectives that integrate persons inside and everything else around them."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING

import numpy as np

from eirt._positive import inverse
from eirt.design import Design
from eirt.likelihood import outer
from eirt.likelihood.base import Likelihood, Moments, Objective, antithetic_normals
from eirt.likelihood.canonical import Assembly
from eirt.likelihood.cells import Data
from eirt.likelihood.inner import Inner
from eirt.likelihood.table import rows_of_persons
from eirt.model import Model, global_offsets
from eirt.restrictions import Restriction

if TYPE_CHECKING:
    from jaxtyping import Array

MOST_CURVATURES = 30  # on the way to a mode


class OuterObjective(Objective):
    """Persons by an inner integral, everything else by Laplace around its own mode."""

    inner: Inner
    how: Assembly
    covariance: Array | np.ndarray | None = None  # H^-1 at the last mode

    def __init__(self, model: Model, design: Design, restriction: Restriction):
        super().__init__(model, design, Data.of(design, restriction))
        self.n_effects = global_offsets(design)[-1]
        self.mode = np.zeros(self.n_effects)

    @abc.abstractmethod
    def finer_choice(self) -> Likelihood | None:
        """Return the same choice with more nodes, unless they would be too many."""

    @abc.abstractmethod
    def finer_inner(self, psi: np.ndarray) -> Inner | None:
        """Return the integral over persons on more nodes, where there is room."""

    def place(self, psi: np.ndarray) -> None:
        """Put the nodes where they are needed; shared ones stay."""

    def value_and_grad(self, psi: np.ndarray) -> tuple[float, np.ndarray]:
        self.place(psi)
        for start in (self.mode, np.zeros(self.n_effects)):
            value, gradient, mode, covariance = self._climb(psi, start)
            if np.isfinite(value) or self.covariance is None:
                self.mode, self.covariance = np.asarray(mode), covariance
            if np.isfinite(value):
                break
        return float(value), np.asarray(gradient)

    def _climb(
        self, psi: np.ndarray, mode: np.ndarray | Array
    ) -> tuple[Array, Array, np.ndarray | Array, Array | np.ndarray | None]:
        """Return value and gradient at the mode, the mode, and H^-1 there."""
        covariance: Array | np.ndarray | None = self.covariance
        found: Array | bool = not self.n_effects
        for count in range(MOST_CURVATURES):
            if covariance is not None and self.n_effects:
                before = mode
                mode, found = outer.climb(self.model, psi, mode, covariance, self.inner)
                if count > 0 and np.array_equal(mode, before):
                    break  # there is no way up
            value, gradient, covariance = outer.value_and_grad(
                self.model, self.how, psi, mode, self.inner
            )
            if found:
                break
            if not np.isfinite(value):
                covariance = self._uphill(psi, mode)
        return value, gradient, mode, covariance

    def _uphill(self, psi: np.ndarray, mode: np.ndarray | Array) -> np.ndarray:
        """Return the inverse of a positive definite matrix, where H is none: steps lead upwards.

        That of complete data mostly is one (not where lower asymptotes make log p convex);
        otherwise H with its eigenvalues made positive.
        """
        parts = outer.expansion(self.model, self.how, psi, mode, self.inner)
        curvature, complete = (np.nan_to_num(part) for part in parts[1:])
        found = inverse(complete)
        if found is None:
            values, vectors = np.linalg.eigh(curvature)
            found = (vectors / np.maximum(np.abs(values), 1.0)) @ vectors.T
        return found

    def gradient_near(self, psi: np.ndarray) -> np.ndarray:
        centre, covariance = self.mode, self.covariance
        gradient = self.value_and_grad(psi)[1]
        self.mode, self.covariance = centre, covariance
        return gradient

    def moments(self, psi: np.ndarray) -> Moments:
        self.value_and_grad(psi)
        mean, covariance = outer.moments(self.model, psi, self.mode, self.inner)
        others = np.asarray(self.covariance)
        return Moments(self.by_each(mean), self.by_each(covariance), self.mode, others)

    def by_each(self, by_person: Array) -> np.ndarray:
        """Return what the integral knows of its persons for each person of the data."""
        return np.asarray(by_person)[rows_of_persons(self.inner.who, len(self.design.persons))]

    def refined(self) -> OuterObjective | None:
        choice = self.finer_choice()
        if choice is None:
            return None
        finer = choice.bind(self.model, self.design, self.data.restriction)
        assert isinstance(finer, OuterObjective)
        finer.mode, finer.covariance = self.mode, self.covariance
        return finer

    def errors(self, psi: np.ndarray) -> dict[str, float]:
        value, _ = self.value_and_grad(psi)
        if not np.isfinite(value):
            return {}
        found = {}
        half = np.linalg.cholesky(np.asarray(self.covariance))
        finer_inner = self.finer_inner(psi)
        if finer_inner is not None:
            finer = outer.value_of(self.model, psi, self.mode, finer_inner)
            found["quadrature"] = float(finer) + float(np.log(np.diagonal(half)).sum()) - value
        if not self.n_effects:
            return found
        error, spread = outer.importance(
            self.model, psi, self.mode, half, self.inner, antithetic_normals(self.n_effects)
        )
        return found | {"laplace": float(error), "laplace_se": float(spread)}
