"""Pictures of a fit, each with its data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from eirt.errors import listing, nearest
from eirt.plots.base import Picture
from eirt.plots.category_curves import categories
from eirt.plots.curves import icc
from eirt.plots.explained import features
from eirt.plots.forest import caterpillar, effects
from eirt.plots.information import information
from eirt.plots.misfit import residuals
from eirt.plots.pairs import q3
from eirt.plots.person_fit import persons
from eirt.plots.predictive import predictive
from eirt.plots.wright_map import wright
from eirt.results import Fit

Kind = Literal[
    "wright",
    "icc",
    "categories",
    "information",
    "effects",
    "caterpillar",
    "features",
    "persons",
    "q3",
    "predictive",
    "residuals",
]
KINDS: dict[str, Callable[..., Picture]] = {
    "wright": wright,
    "icc": icc,
    "categories": categories,
    "information": information,
    "effects": effects,
    "caterpillar": caterpillar,
    "features": features,
    "persons": persons,
    "q3": q3,
    "predictive": predictive,
    "residuals": residuals,
}


def plot(fit: Fit, kind: str, **options: Any) -> Picture:
    """Draw a fit.

    Args:
        fit: the fit.
        kind: "wright" (persons and items), "icc" (item characteristic curves), "categories"
            (curves of categories), "information" (of the test, with the standard error),
            "effects" (fixed effects), "caterpillar" (random effects), "features" (easiness
            predicted from features), "persons" (person fit), "q3" (correlations of residuals),
            "predictive" (the data among simulated ones) or "residuals" (of items, random effects
            and responses).
        **options: of the function of that name.

    Returns:
        The picture.

    Raises:
        ValueError: for an unknown kind, with the nearest one.

    >>> import eirt
    >>> picture = plot(eirt.rasch(eirt.load("lsat6"), wide=True), "wright")
    >>> list(picture.data.columns)
    ['item', 'difficulty', 'se', 'lower', 'upper']
    """
    if kind not in KINDS:
        raise ValueError(f"No plot {kind!r}; there are {listing(KINDS)}.{nearest(kind, KINDS)}")
    return KINDS[kind](fit, **options)
