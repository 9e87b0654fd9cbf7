"""Pictures of a fit, each with its data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from eirt.errors import listing, nearest
from eirt.plots.base import Picture
from eirt.plots.category_curves import categories
from eirt.plots.curves import icc
from eirt.plots.wright_map import wright
from eirt.results import Fit

KINDS: dict[str, Callable[..., Picture]] = {
    "wright": wright,
    "icc": icc,
    "categories": categories,
}


def plot(fit: Fit, kind: str, **options: Any) -> Picture:
    """Draw a fit.

    Args:
        fit: the fit.
        kind: "wright", "icc" or "categories".
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
