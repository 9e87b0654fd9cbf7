"""Draws from a posterior distribution: their summary, and how they go to ArviZ."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from eirt._config import double_precision
from eirt.results import Fit
from eirt.tables import LEVEL

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Bool, Float


@dataclass(frozen=True, eq=False)
class Posterior:
    """Draws from the posterior distribution of a model.

    Attributes:
        fit: the fit of the same model, where chains began.
        parameters: all parameters, chains x draws, in the order of `fit.names`.
        effects: random effects by group, chains x draws x levels x effects.
        divergent: which draws were reached by steps that lost the energy.
        acceptance: mean acceptance of each draw.
        steps: leapfrog steps of each draw.
    """

    fit: Fit
    parameters: Float[np.ndarray, "chain draw P"]
    effects: Mapping[str, Float[np.ndarray, "chain draw L q"]]
    divergent: Bool[np.ndarray, "chain draw"]
    acceptance: Float[np.ndarray, "chain draw"]
    steps: Float[np.ndarray, "chain draw"]

    def __repr__(self) -> str:
        chains, draws, _ = self.parameters.shape
        return (
            f"<Posterior of {self.fit.name}: {chains} chains of {draws} draws, "
            f"{self.divergences} divergent>"
        )

    @property
    def divergences(self) -> int:
        """Number of divergent transitions: where there are some, the posterior is not explored."""
        return int(self.divergent.sum())

    @double_precision
    def summary(self, level: float = LEVEL) -> pd.DataFrame:
        """Return what the draws say of each free parameter.

        Args:
            level: of the central credible interval.

        Returns:
            A row per parameter: parameter, mean, sd, lower, upper, r_hat (of half chains), ess
            (effective number of draws).

        Source: Gelman & Rubin (1992); Vehtari et al. (2021) for split chains; Geyer (1992) for ess.
        """
        import pandas as pd
        from blackjax.diagnostics import effective_sample_size, potential_scale_reduction

        free = np.flatnonzero(np.asarray(self.fit.restriction.source) >= 0)
        draws = self.parameters[:, :, free]
        half = draws.shape[1] // 2
        split = np.concatenate([draws[:, :half], draws[:, half : 2 * half]])
        flat = draws.reshape(-1, len(free))
        lower, upper = np.quantile(flat, [(1 - level) / 2, (1 + level) / 2], axis=0)
        return pd.DataFrame(
            {
                "parameter": np.array(self.fit.names, object)[free],
                "mean": flat.mean(axis=0),
                "sd": flat.std(axis=0, ddof=1),
                "lower": lower,
                "upper": upper,
                "r_hat": np.asarray(potential_scale_reduction(split)),
                "ess": np.asarray(effective_sample_size(split)),
            }
        )

    def to_arviz(self) -> Any:
        """Return the draws for ArviZ: InferenceData (ArviZ 0.x) or DataTree (1.x).

        Parameters and the effects of each group ("effects of id") are variables of the group
        posterior; diverging, acceptance_rate and n_steps of sample_stats.

        Raises:
            ImportError: without ArviZ, naming the extra that installs it.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # ArviZ announces its next version
            az = required("arviz")
        posterior = dict(zip(self.fit.names, np.moveaxis(self.parameters, 2, 0), strict=True))
        coords: dict[str, list] = {}
        dims: dict[str, list[str]] = {}
        for term in self.fit.design.terms:
            name, group = f"effects of {term.group}", term.group
            posterior[name] = self.effects[group]
            coords |= {group: list(term.levels), f"{group} effect": _effects_of(self.fit, group)}
            dims[name] = [group, f"{group} effect"]
        stats = {
            "diverging": self.divergent,
            "acceptance_rate": self.acceptance,
            "n_steps": self.steps,
        }
        groups = {"posterior": posterior, "sample_stats": stats}
        if az.__version__.startswith("0."):
            return az.from_dict(**groups, coords=coords, dims=dims)
        return az.from_dict(groups, coords=coords, dims=dims)


def _effects_of(fit: Fit, group: str) -> list[str]:
    return [name for t in fit.design.terms if t.group == group for name in t.effects]


def required(name: str) -> Any:
    """Import a package of the extra `bayes`."""
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(f"This needs {name}: pip install 'eirt[bayes]'.") from error
