"""What a fit answers about its parameters: each answer lives in its own room."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import pandas as pd

    from eirt.results import Fit


class Answers:
    """Inference from a fit: covariances, tests, functions of parameters."""

    @property
    def _fit(self) -> Fit:
        return cast("Fit", self)

    def covariance(
        self, kind: str = "observed", cluster: Any = None, data: Any = None
    ) -> pd.DataFrame:
        """Return the covariance of the estimates; see `eirt.robust.covariance`."""
        from eirt.robust import covariance

        return covariance(self._fit, kind, cluster, data)

    def test(
        self, *hypotheses: str | Sequence[str] | Any, covariance: str | pd.DataFrame = "observed"
    ) -> pd.DataFrame:
        """Return Wald tests of terms and linear hypotheses; see `eirt.hypotheses.wald_test`."""
        from eirt.hypotheses import wald_test

        return wald_test(self._fit, *hypotheses, covariance=covariance)

    def transform(
        self,
        function: Callable[[pd.Series], Any],
        level: float = 0.95,
        covariance: str | pd.DataFrame = "observed",
    ) -> pd.DataFrame:
        """Return functions of the parameters with errors; see `eirt.hypotheses.transform`."""
        from eirt.hypotheses import transform

        return transform(self._fit, function, level, covariance)
