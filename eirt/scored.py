"""Scores of persons as methods of a fit; each lives in its own room."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import pandas as pd

    from eirt.results import Fit
    from eirt.scores.persons import Method


class Scored:
    """What a fit says of persons: their scores."""

    @property
    def _fit(self) -> Fit:
        return cast("Fit", self)

    def persons(self, method: Method = "EAP", new: Any = None) -> pd.DataFrame:
        """Return person abilities with standard errors; see `eirt.scores.persons`."""
        from eirt.scores import persons

        return persons(self._fit, method, new)

    def plausible_values(self, n: int = 5, seed: int = 0) -> pd.DataFrame:
        """Return draws from each person's posterior; see `eirt.scores.plausible_values`."""
        from eirt.scores import plausible_values

        return plausible_values(self._fit, n, seed)

    def sum_scores(self) -> pd.DataFrame:
        """Return what each sum score says of ability; see `eirt.scores.sum_scores`."""
        from eirt.scores import sum_scores

        return sum_scores(self._fit)

    def reliability(self) -> pd.DataFrame:
        """Return marginal, empirical and separation reliability; see `eirt.scores.reliability`."""
        from eirt.scores import reliability

        return reliability(self._fit)
