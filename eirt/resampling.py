"""Bootstrap: estimates from simulated responses, or from resampled persons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import jax
import numpy as np

from eirt._config import double_precision
from eirt.design import Design
from eirt.errors import DataError
from eirt.frames import values_of
from eirt.refits import converged_on, free_names
from eirt.results import Fit
from eirt.samples import of_persons, with_responses
from eirt.simulation import draw
from eirt.tables import LEVEL

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["parametric", "cluster"]


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Estimates from resampled data.

    Attributes:
        estimates: a row per replicate, a column per free parameter.
        errors: their standard errors, from the information of each replicate.
        failed: replicates without converged estimates; they are left out.
        kind: "parametric" or "cluster".
        fit: the fit.
    """

    estimates: pd.DataFrame
    errors: pd.DataFrame
    failed: int
    kind: Kind
    fit: Fit

    def __repr__(self) -> str:
        return (
            f"<{self.kind} bootstrap of {self.fit.name}: {len(self.estimates)} replicates, "
            f"{self.failed} failed>"
        )

    def covariance(self) -> pd.DataFrame:
        """Return the covariance of the estimates over replicates."""
        return self.estimates.cov()

    def confint(
        self,
        parameters: str | Sequence[str] | None = None,
        level: float = LEVEL,
        method: Literal["percentile", "t"] = "percentile",
    ) -> pd.DataFrame:
        """Return limits of parameters.

            percentile:  quantiles of psi*
            t:           psi - se q((psi* - psi) / se*),   q its quantiles, the upper one first

        Studentised limits (t) follow the skewness of estimates, and the dependence of their error
        on where they lie, more closely; they take more replicates, some thousand.

        Args:
            parameters: names, as in `fit.names`; by default all that are free.
            level: of the intervals.
            method: "percentile" or "t".

        Returns:
            A row per parameter: parameter, estimate, se (sd over replicates), lower, upper.

        Raises:
            ValueError: for an unknown method, or a name that is no free parameter.

        Source: Efron & Tibshirani (1993), chapters 12 (t) and 13 (percentiles).
        """
        import pandas as pd

        if method not in ("percentile", "t"):
            raise ValueError(f"No method {method!r}; there are 'percentile' and 't'.")
        names = free_names(self.fit, parameters)
        found = self.estimates[names]
        places = [self.fit.names.index(name) for name in names]
        estimate, tails = self.fit.full[places], [(1 - level) / 2, (1 + level) / 2]
        if method == "percentile":
            ends = found.quantile(tails).to_numpy()
        else:
            se = np.sqrt(np.diagonal(self.fit.vcov.to_numpy())[places])
            t = ((found - estimate) / self.errors[names]).replace([np.inf, -np.inf], np.nan)
            ends = estimate - se * t.quantile(tails[::-1]).to_numpy()
        return pd.DataFrame(
            {
                "parameter": names,
                "estimate": estimate,
                "se": found.std().to_numpy(),
                "lower": ends[0],
                "upper": ends[1],
            }
        )


@double_precision
def bootstrap(
    fit: Fit,
    n: int = 200,
    kind: Kind = "parametric",
    seed: int = 0,
    cluster: Any = None,
    data: Any = None,
) -> Bootstrap:
    """Refit the model to resampled data.

    Args:
        fit: the fit.
        n: replicates.
        kind: "parametric" draws responses from the fit, random effects being new; "cluster" draws
            persons with replacement (or clusters of persons, with all of theirs), and holds even
            where the model does not.
        seed: of the random numbers.
        cluster: a column of `data`, a cluster for each of `fit.design.persons`, or a mapping from
            persons; each person by default.
        data: the frame with that column.

    Returns:
        The estimates; `.confint()` has percentile or studentised limits, `.covariance()` their
        covariance.

    Raises:
        ValueError: for an unknown kind, or n below 2.
        DataError: if responses cannot be drawn, a person has no cluster, or items are integrated
            as if they were persons.

    Source: Efron & Tibshirani (1993); Field & Welsh (2007) for clusters.

    >>> import eirt
    >>> fit = eirt.rasch(eirt.load("lsat7"), wide=True)
    >>> bootstrap(fit, 3).estimates.shape
    (3, 6)
    """
    import pandas as pd

    if kind not in ("parametric", "cluster"):
        raise ValueError(f"No bootstrap {kind!r}; there are 'parametric' and 'cluster'.")
    if n < 2:
        raise ValueError(f"n={n} replicates have no spread; ask for some hundreds.")
    if kind == "parametric":
        designs = _simulated(fit, n, seed)
    else:
        designs = _resampled(fit, n, seed, cluster, data)
    names, rows = free_names(fit), []
    for design in designs:
        estimates = _refitted(fit, design)
        if estimates is not None:
            rows.append([estimates.get(name, (np.nan, np.nan)) for name in names])
    values, errors = np.array(rows, float).reshape(len(rows), len(names), 2).transpose(2, 0, 1)
    estimated, spread = (pd.DataFrame(each, columns=names) for each in (values, errors))
    return Bootstrap(estimated, spread, n - len(rows), kind, fit)


def _refitted(fit: Fit, design: Design) -> dict[str, tuple[float, float]] | None:
    """Return free estimates and their errors from other data, None where they do not converge."""
    same = design.x_names == fit.design.x_names
    there = converged_on(fit, design, fit.full if same else None)
    if there is None:
        return None
    names, se = set(free_names(there)), np.sqrt(np.diagonal(there.vcov.to_numpy()))
    every = zip(there.names, zip(there.full, se, strict=True), strict=True)
    return {name: pair for name, pair in every if name in names}


def _simulated(fit: Fit, n: int, seed: int) -> Iterator[Design]:
    """Give designs with responses drawn from the fit."""
    for key in jax.random.split(jax.random.PRNGKey(seed), n):
        yield with_responses(fit.design, draw(fit, key))


def _resampled(fit: Fit, n: int, seed: int, cluster: Any, data: Any) -> Iterator[Design]:
    """Give designs of persons, or whole clusters of them, drawn with replacement."""
    import pandas as pd

    design = fit.design
    if design.items_first:
        fit.require_items(first=False)
    codes = np.arange(len(design.persons))
    if cluster is not None:
        values = values_of(design.persons, str(design.person), cluster, data)
        codes = pd.factorize(values)[0]
        if np.any(codes < 0):
            raise DataError(f"{np.sum(codes < 0)} persons have no cluster: fill in the column.")
    members = np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1])
    rng = np.random.default_rng(seed)
    for _ in range(n):
        chosen = rng.integers(len(members), size=len(members))
        yield of_persons(design, np.concatenate([members[k] for k in chosen]), keep_cells=True)
