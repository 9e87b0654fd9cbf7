"""Covariances of the estimates that do without some of the model's assumptions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from eirt._config import double_precision
from eirt.errors import DataError, nearest
from eirt.frames import values_of
from eirt.results import Fit

if TYPE_CHECKING:
    import pandas as pd

KINDS = ("observed", "sandwich", "bhhh")


@double_precision
def covariance(
    fit: Fit, kind: str = "observed", cluster: Any = None, data: Any = None
) -> pd.DataFrame:
    """Return the covariance of the estimates.

        observed: I^-1,   bhhh: (sum_c s_c s_c')^-1,   sandwich: I^-1 (sum_c s_c s_c') I^-1

    where I is the observed information and s_c sums the scores of a cluster's persons. The
    sandwich holds where persons of a cluster depend on each other, and where the distribution of
    responses is not that of the model (the estimates then are those of the nearest model). It
    takes many clusters.

    Args:
        fit: the fit; unless `kind` is "observed", persons are integrated by quadrature or
            conditioned on.
        kind: "observed", "sandwich", or "bhhh" (outer product of gradients).
        cluster: a column of `data` (schools), or one cluster for each of `fit.design.persons`, or
            a mapping from persons; each person by default.
        data: the frame with that column, one value for each person.

    Returns:
        The covariance of all parameters, named; zero where a parameter is fixed.

    Raises:
        ValueError: for an unknown kind, or where the likelihood has no scores of persons.
        DataError: if a person has no cluster, or there are fewer clusters than parameters.

    Source: Huber (1967); White (1982); Berndt, Hall, Hall & Hausman (1974); Liang & Zeger (1986)
    for clusters.

    >>> import eirt
    >>> fit = eirt.rasch(eirt.load("lsat7"), wide=True)
    >>> round(float(covariance(fit, "sandwich").iloc[0, 0]), 4)
    0.0099
    """
    import pandas as pd

    if kind not in KINDS:
        raise ValueError(
            f"No covariance {kind!r}; there are {', '.join(KINDS)}.{nearest(kind, KINDS)}"
        )
    if kind == "observed":
        return fit.vcov
    scores = fit.objective.person_scores(fit.psi)
    if cluster is not None:
        clusters = values_of(fit.design.persons, str(fit.design.person), cluster, data)
        codes, labels = pd.factorize(clusters)
        if np.any(codes < 0):
            raise DataError(
                f"{np.sum(codes < 0)} persons have no cluster: fill in the column, or leave them "
                "out of the fit."
            )
        sums = np.zeros((len(labels), scores.shape[1]))
        np.add.at(sums, codes, scores)
        scores = sums
    n, outer = np.array(len(scores)), scores.T @ scores
    if fit.design.devices is not None:  # clusters lie within processes
        n, outer = fit.design.devices.total(n), fit.design.devices.total(outer)
    if n < scores.shape[1]:
        raise DataError(f"{n} clusters cannot tell the covariance of {scores.shape[1]} parameters.")
    if kind == "bhhh":
        found = np.linalg.inv(outer)
    else:
        found = fit.free_covariance @ outer @ fit.free_covariance
    return pd.DataFrame(fit.select @ found @ fit.select.T, fit.names, fit.names)
