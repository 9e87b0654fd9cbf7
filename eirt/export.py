"""The tables of a fit as files: CSV, JSON, Markdown, LaTeX."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from eirt.errors import listing, nearest
from eirt.report import frame_cells, frame_markdown, is_text
from eirt.results import Fit

if TYPE_CHECKING:
    import pandas as pd


LATEX = {letter: f"\\{letter}" for letter in "&%$#_{}"} | {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": "$<$", ">": "$>$", "|": "$|$",
}  # fmt: skip


def frame_latex(frame: pd.DataFrame, digits: int = 4) -> str:
    r"""Return a frame as a LaTeX table with the rules of booktabs, formatted as by `frame_text`.

    >>> import pandas as pd
    >>> print(frame_latex(pd.DataFrame({"term": ["a_b"], "se": [0.5]})))
    \begin{tabular}{lr}
    \toprule
    term & se \\
    \midrule
    a\_b & 0.5000 \\
    \bottomrule
    \end{tabular}
    """
    sides = "".join("lr"[not is_text(frame, place)] for place in range(frame.shape[1]))
    header, *body = zip(*frame_cells(frame, digits), strict=True)
    first, *rows = [" & ".join(map(_escaped, row)) + r" \\" for row in (header, *body)]
    lines = [rf"\begin{{tabular}}{{{sides}}}", r"\toprule", first, r"\midrule", *rows]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"])


def _escaped(cell: str) -> str:
    """Write a cell so that LaTeX prints it as it is."""
    return "".join(LATEX.get(letter, letter) for letter in cell)


def _json(table: pd.DataFrame) -> str:
    return str(table.to_json(orient="records", indent=2, double_precision=15))


FORMATS: dict[str, Callable[[pd.DataFrame], str]] = {
    "csv": lambda table: table.to_csv(index=False, lineterminator="\n"),
    "json": _json,
    "md": frame_markdown,
    "tex": frame_latex,
}


def export(
    fit: Fit, folder: str | os.PathLike[str], formats: str | Sequence[str] = "csv"
) -> list[pathlib.Path]:
    r"""Write every table of a fit to a folder, a file a table and format.

    Args:
        fit: the fit.
        folder: where, made if absent; files of the same names are replaced.
        formats: of "csv" and "json" (all digits), "md" and "tex" (rounded, for a paper; LaTeX
            needs the package booktabs).

    Returns:
        The files.

    Raises:
        ValueError: for an unknown format.

    >>> import eirt, tempfile
    >>> fit = eirt.rasch(eirt.load("lsat7"), wide=True)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = export(fit, folder, ("csv", "tex"))
    ...     print(files[1].name, files[1].read_text()[:25])
    fixed.tex \begin{tabular}{lrrrrrrr}
    """
    chosen = [formats] if isinstance(formats, str) else list(formats)
    for name in chosen:
        if name not in FORMATS:
            raise ValueError(
                f"No format {name!r}; there are {listing(FORMATS)}.{nearest(name, FORMATS)}"
            )
    out = pathlib.Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for title, table in tables_of(fit).items():
        for name in chosen:
            written.append(out / f"{title}.{name}")
            written[-1].write_text(FORMATS[name](table).rstrip("\n") + "\n", encoding="utf-8")
    return written


def tables_of(fit: Fit) -> dict[str, pd.DataFrame]:
    """Return the tables that a fit has, by the name of their file."""
    tables = {"fixed": fit.fixed, "random": fit.random}
    if fit.model.response.n_aux:
        tables["response_parameters"] = fit.response_parameters
    if fit.design.item is not None:
        tables["items"] = fit.items
    if has_difficulties(fit):
        tables["difficulty"] = fit.difficulty()
    if fit.model.dimension:
        tables["persons"] = fit.persons()
    if fit.likelihood.conditional:  # effects have no distribution
        return tables
    groups = dict.fromkeys(term.group for term in fit.design.terms)
    return tables | {f"effects_{group.replace(':', '_')}": fit.effects(group) for group in groups}


def has_difficulties(fit: Fit) -> bool:
    """Return whether a fit has items on one ability."""
    return fit.design.item is not None and fit.model.dimension == 1
