"""How much of the variance of abilities is true variance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eirt._config import double_precision
from eirt.results import Fit
from eirt.scores.answers import answers_of
from eirt.scores.persons import persons, refuse_method

if TYPE_CHECKING:
    import pandas as pd


@double_precision
def reliability(fit: Fit) -> pd.DataFrame:
    """Return coefficients of reliability of the residual abilities b_p.

        marginal:   1 - mean(se_EAP^2) / Var(b)
        empirical:  var(b^) / (var(b^) + mean(se^2)),   b^ EAP or MAP
        separation: 1 - mean(se^2) / var(b^),           b^ WLE

    The marginal one compares with the variance of the model, the other two with that of the
    estimates. The separation index is sqrt(r / (1 - r)) of the separation reliability, the number
    of standard errors that the true standard deviation is worth.

    Args:
        fit: a fit with a local group.

    Returns:
        Columns coefficient ("marginal", "empirical", "separation"), method, reliability, index;
        with several dimensions also dimension, and no separation.

    Raises:
        ValueError: if the model has no person effects.

    Source: Green, Bock, Humphreys, Linn & Reckase (1984) for the marginal, Bock & Mislevy (1982)
    for the empirical, Wright & Masters (1982) for the separation reliability.

    >>> import eirt
    >>> eirt.rasch(eirt.load("verbagg"), response="r2").reliability().round(2)
      coefficient method  reliability  index
    0    marginal    EAP         0.87   2.62
    1   empirical    EAP         0.87   2.63
    2   empirical    MAP         0.87   2.59
    3  separation    WLE         0.85   2.40
    """
    import pandas as pd

    refuse_method(fit, "EAP")
    q = fit.model.dimension
    names = [name for term in fit.design.terms if term.local for name in term.effects]
    eap = persons(fit, "EAP")
    error = (eap["se"].to_numpy().reshape(-1, q) ** 2).mean(axis=0)
    rows = [("marginal", "EAP", 1 - error / _variances(fit))]
    rows += [("empirical", "EAP", eap.attrs["reliability"])]
    rows += [("empirical", "MAP", persons(fit, "MAP").attrs["reliability"])]
    if q == 1 and fit.design.labels:
        rows += [("separation", "WLE", persons(fit, "WLE").attrs["reliability"])]
    found = np.stack([np.broadcast_to(values, q) for *_, values in rows])
    table = pd.DataFrame(
        {
            "coefficient": np.repeat([name for name, *_ in rows], q),
            "method": np.repeat([method for _, method, _ in rows], q),
            **({"dimension": names * len(rows)} if q > 1 else {}),
            "reliability": found.ravel(),
        }
    )
    true = table["reliability"].clip(lower=0.0)
    table["index"] = np.sqrt(true / (1 - true))
    return table


def _variances(fit: Fit) -> np.ndarray:
    """Return the variances of the residual abilities, averaged over persons."""
    return (np.asarray(answers_of(fit).scale) ** 2).sum(axis=2).mean(axis=0)
