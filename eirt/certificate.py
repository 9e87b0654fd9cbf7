"""The certificate: what shows that a fit is the maximum of the likelihood that it names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

DECREMENT_LIMIT = 1e-6  # log-likelihood units still to gain
EIGENVALUE_LIMIT = 1e-8  # of the information scaled to unit diagonal
QUADRATURE_LIMIT = 1e-2  # log-likelihood units
BOUNDARY = 1e-3  # a standard deviation below it is called zero, a correlation so close to 1, one
FAR = 12.0  # a logit or logarithm that is as good as infinite


@dataclass(frozen=True)
class Certificate:
    """What shows that a fit is the maximum of the likelihood that it names.

    Attributes:
        gradient: largest absolute derivative of the log-likelihood per response.
        decrement: Newton decrement g' I^-1 g, twice the log-likelihood still to gain.
        smallest_eigenvalue: of the observed information scaled to unit diagonal.
        iterations: of the optimiser.
        interrupted: whether the user stopped it.
        quadrature_error: log-likelihood on about twice the nodes, minus this one.
        laplace_error: log-likelihood by importance sampling, minus this one.
        laplace_error_se: its Monte-Carlo standard error.

    >>> Certificate(
    ...     gradient=1e-12, decrement=1e-15, smallest_eigenvalue=0.1, iterations=5
    ... ).converged
    True
    >>> Certificate(1e-3, 0.5, 0.1, 200).failures[0][:40]
    'about 0.25 log-likelihood units are stil'
    """

    gradient: float
    decrement: float
    smallest_eigenvalue: float
    iterations: int
    interrupted: bool = False
    quadrature_error: float | None = None
    laplace_error: float | None = None
    laplace_error_se: float | None = None

    @property
    def failures(self) -> tuple[str, ...]:
        """What does not hold, and what to try; empty for a converged fit."""
        found = []
        if self.interrupted:
            found.append("the fit was interrupted: the estimates are the best so far")
        if not abs(self.decrement) < DECREMENT_LIMIT:
            found.append(
                f"about {abs(self.decrement) / 2:.2g} log-likelihood units are still to gain: "
                "raise max_iterations of the optimiser or give start values"
            )
        if not self.smallest_eigenvalue > EIGENVALUE_LIMIT:
            found.append(
                f"the information is singular or indefinite (smallest scaled eigenvalue "
                f"{self.smallest_eigenvalue:.1e}): a parameter is not identified or a variance "
                "is at zero; simplify the model"
            )
        if self.quadrature_error is not None and not abs(self.quadrature_error) < QUADRATURE_LIMIT:
            found.append(
                f"the quadrature error is {self.quadrature_error:.1g} log-likelihood units: use "
                "more nodes"
            )
        return tuple(found)

    @property
    def converged(self) -> bool:
        """Whether all holds."""
        return not self.failures


def at_bounds(random: pd.DataFrame, extra: Mapping[str, float]) -> tuple[str, ...]:
    """Return the names of what was estimated at a bound of its range.

    Args:
        random: standard deviations and correlations, as of `fit.random`.
        extra: unconstrained parameters that are infinite at their bounds, by name.
    """
    close = (random["sd"] < BOUNDARY) | (random["correlation"].abs() > 1 - BOUNDARY)
    found = tuple(f"{row.group}|{row.term}" for row in random[close].itertuples())
    return (*found, *(name for name, value in extra.items() if abs(value) > FAR))
