"""What every picture shares: the figure with its data, the style, the unit of ability."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eirt.responses import Adjacent, Nominal
from eirt.results import Fit

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.figure import Figure

# Okabe & Ito's colours without their yellow, which is too pale for points; a marker goes with
# each, so that the picture survives photocopying
COLOURS: tuple[str, ...] = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
)
MARKERS = "osD^vPX"
GREY = "#555555"
STYLE: dict[Any, Any] = {
    "font.size": 8.0,
    "axes.labelsize": 8.0,
    "axes.titlesize": 7.5,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "legend.fontsize": 7.5,
    "legend.title_fontsize": 7.5,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "pdf.fonttype": 42,  # text stays text
    "svg.fonttype": "none",
}


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure with the numbers that it draws; notebooks show the figure.

    Attributes:
        figure: a matplotlib figure, not registered with pyplot.
        data: what is drawn, as a tidy frame.
    """

    figure: Figure
    data: pd.DataFrame

    def save(self, path: str | os.PathLike[str], dpi: int = 200) -> None:
        """Write the figure to a file.

        Args:
            path: its ending chooses the format: .png, .pdf, .svg.
            dpi: dots per inch of pixel formats.
        """
        import matplotlib

        with matplotlib.rc_context(STYLE):
            self.figure.savefig(path, dpi=dpi)

    def _repr_png_(self) -> bytes:
        import matplotlib

        buffer = io.BytesIO()
        with matplotlib.rc_context(STYLE):
            self.figure.savefig(buffer, format="png", dpi=120)
        return buffer.getvalue()


@contextlib.contextmanager
def drawing(width: float, height: float, **layout: Any) -> Iterator[Figure]:
    """Give a figure of this size in inches, in our style, unknown to pyplot.

    Args:
        width: of the figure.
        height: of the figure.
        **layout: of matplotlib's constrained layout.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(**layout))
        FigureCanvasAgg(figure)
        yield figure


def unit(fit: Fit) -> str:
    """Return the unit of ability: with free or common slopes its standard deviation is 1."""
    if fit.has_slopes:
        return "standard deviations"
    if isinstance(fit.model.response, Adjacent | Nominal):
        return "logits"
    link = getattr(getattr(fit.model.response, "distribution", None), "name", "")
    return {"logit": "logits", "probit": "probits"}.get(link, "link scale")


def predictor_unit(fit: Fit) -> str:
    """Return the unit of the predictor, whatever that of ability."""
    link = getattr(getattr(fit.model.response, "distribution", None), "name", "logit")
    return {"logit": "logits", "probit": "probits"}.get(link, "link scale")


def name_points(figure: Figure, points: np.ndarray, names: Sequence[str]) -> None:
    """Write names to the right of points of the first axes, but for those without room.

    Call it last: room depends on the layout.
    """
    figure.draw_without_rendering()
    axes, size = figure.axes[0], 6.5
    scale = figure.dpi / 72  # pixels per point
    taken: list[tuple[float, float, float]] = []
    places = axes.transData.transform(points)
    for (x, y), point, name in zip(places, points, names, strict=True):
        end = x + 0.7 * size * scale * (1 + len(name))
        if any(
            abs(y - at) < 1.4 * size * scale and x < right and left < end
            for left, right, at in taken
        ):
            continue
        taken.append((x, end, y))
        axes.annotate(name, tuple(point), (4, 0), va="center", fontsize=size,
                      textcoords="offset points", gid="name")  # fmt: skip


def shorten(name: str, most: int) -> str:
    """Cut the middle out of a long name, whose ends tell it from others."""
    half = (most - 1) // 2
    return name if len(name) <= most else f"{name[:half]}…{name[-half:]}"


def written(level: object) -> str:
    """Write a level of a factor; whole numbers without decimals.

    >>> written(2.0), written("yes")
    ('2', 'yes')
    """
    return f"{level:g}" if isinstance(level, float) else str(level)
