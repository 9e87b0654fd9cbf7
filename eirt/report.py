"""A fit in words: the summary for the terminal, and a Markdown report of several fits."""

from __future__ import annotations

import numbers
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from eirt.errors import DataError
from eirt.few_items import item_freedom, item_terms
from eirt.likelihood import Reduced
from eirt.results import Fit

if TYPE_CHECKING:
    import pandas as pd

WIDTH = 100
LABEL = 16  # characters left of each line of the summary
MOST_ROWS = 40  # a longer table shows its first FEW_ROWS
FEW_ROWS = 20
DECIMALS = {"z": 2, "p": 3, "chi2": 2, "aic": 2, "bic": 2}
MANY_ITEMS = 100  # degrees of freedom from which t is as good as normal
NARROWEST = 10  # characters that a column of text is cut to at most


def text(fit: Fit) -> str:
    """Return the summary of a fit: data, likelihood and its error, certificate, effects.

    Args:
        fit: the fit.

    Returns:
        Plain text, at most 100 characters wide.

    >>> import eirt
    >>> print(text(eirt.rasch(eirt.load("lsat6"), wide=True)).splitlines()[2])
    Data            1000 persons (id), 5 items (item), 5000 responses; resp: 0, 1
    """
    parts = ["\n".join([fit.name, "=" * len(fit.name), *_facts(fit)])]
    if len(fit.random):
        parts.append("Random effects\n" + frame_text(fit.random))
    if len(fit.response_parameters):
        parts.append(
            "Response parameters\n" + _part(fit.response_parameters, "response_parameters")
        )
    if len(fit.fixed):
        parts.append(f"{_fixed_title(fit)}\n" + _part(fit.fixed, "fixed") + _few(fit))
    return "\n\n".join(parts)


def _few(fit: Fit) -> str:
    """Say that items are few where features of random items are tested by z."""
    if fit.design.item is None or fit.design.items_first or not item_terms(fit):
        return ""
    try:
        df = item_freedom(fit).df
    except DataError:
        return ""
    least = df.min(initial=np.inf)
    if least > MANY_ITEMS:
        return ""
    return f"\nz is bold where items are few: fit.feature_tests() has t on {least:.0f} df."


def markdown(fits: Sequence[Fit], comparison: pd.DataFrame | None = None) -> str:
    """Return a Markdown report of several fits to the same data.

    Args:
        fits: the fits, the first of them with the data to describe.
        comparison: their comparison, from `eirt.compare`.

    Returns:
        The data, the comparison, each fit's certificate and effects, and the item difficulties of
        the first fit in which every item has its own.
    """
    parts = [f"# {', '.join(fit.name for fit in fits)}", _bullets(_data(fits[0]))]
    if comparison is not None:
        parts += ["## Comparison", frame_markdown(comparison)]
    for fit in fits:
        parts += [f"## {fit.name}", _bullets({**_likelihood(fit), **_certificate(fit)})]
        if len(fit.random):
            parts += ["### Random effects", frame_markdown(fit.random)]
        if len(fit.response_parameters):
            parts += ["### Response parameters", frame_markdown(fit.response_parameters)]
        if len(fit.fixed):
            parts += [f"### {_fixed_title(fit)}", frame_markdown(fit.fixed)]
    free = next((fit for fit in fits if _has_free_items(fit)), None)
    if free is not None:
        table = free.difficulty()
        if not free.has_slopes:
            table = table.drop(columns=["discrimination", "discrimination_se"])
        parts += [f"## Item difficulty ({free.name})", frame_markdown(table)]
    return "\n\n".join(parts) + "\n"


def _fixed_title(fit: Fit) -> str:
    """Say what the fixed effects are effects on."""
    alone = len(fit.fixed) == fit.model.n_fixed
    return "Fixed effects (easiness)" if alone else "Fixed effects (easiness, then others by name)"


def frame_text(frame: pd.DataFrame, digits: int = 4, width: int = WIDTH) -> str:
    """Return a frame as aligned text: words left, numbers right, p-values as "<0.001".

    Args:
        frame: the frame; its index is not shown.
        digits: decimals of numbers (z, p, chi-squares and information criteria have their own).
        width: columns of words are cut so that lines keep within so many characters.

    >>> import pandas as pd
    >>> print(frame_text(pd.DataFrame({"term": ["a", "b"], "se": [0.5, 12.25], "p": [1e-9, 0.2]})))
    term       se       p
    a      0.5000  <0.001
    b     12.2500   0.200
    """
    columns = frame_cells(frame, digits)
    widths = [max(map(len, column)) for column in columns]
    words = [is_text(frame, place) for place in range(len(columns))]
    while sum(widths) + 2 * (len(widths) - 1) > width:
        widest = max((w for w, word in zip(widths, words, strict=True) if word), default=0)
        if widest <= NARROWEST:
            break
        widths[next(k for k, w in enumerate(widths) if words[k] and w == widest)] -= 1
    lines = []
    for row in zip(*columns, strict=True):
        cells = [
            _cut(cell, size).ljust(size) if word else cell.rjust(size)
            for cell, size, word in zip(row, widths, words, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def frame_markdown(frame: pd.DataFrame, digits: int = 4) -> str:
    r"""Return a frame as a Markdown table, formatted as by `frame_text`.

    >>> import pandas as pd
    >>> print(frame_markdown(pd.DataFrame({"term": ["a|b"], "se": [0.5]})))
    | term | se |
    | :--- | ---: |
    | a\|b | 0.5000 |
    """
    columns = frame_cells(frame, digits)
    header, *body = zip(*columns, strict=True)
    rule = [":---" if is_text(frame, place) else "---:" for place in range(len(columns))]
    rows = [[cell.replace("|", "\\|") for cell in row] for row in (header, rule, *body)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def frame_cells(frame: pd.DataFrame, digits: int) -> list[list[str]]:
    """Return every column as strings, its name first."""
    return [
        [
            str(name),
            *(_number(value, DECIMALS.get(str(name), digits), str(name)) for value in column),
        ]
        for name, column in frame.items()
    ]


def is_text(frame: pd.DataFrame, place: int) -> bool:
    """Return whether a column holds anything but numbers."""
    import pandas as pd

    return not pd.api.types.is_numeric_dtype(frame.dtypes.iloc[place])


def _number(value: Any, decimals: int, name: str) -> str:
    """Return a cell as text: nothing for a missing value, exponents for extreme numbers."""
    import pandas as pd

    if pd.isna(value):
        return ""
    if not isinstance(value, numbers.Real) or isinstance(value, numbers.Integral):
        return str(value)
    if name == "p":
        return "<0.001" if value < 0.001 else f"{value:.3f}"
    if name == "df" and float(value).is_integer():
        return f"{value:.0f}"
    size = abs(float(value))
    if size >= 1e7 or 0 < size < 0.5 * 10.0**-decimals:
        return f"{value:.2e}"
    return f"{value:.{decimals}f}"


def _cut(cell: str, size: int) -> str:
    return cell if len(cell) <= size else cell[: size - 1] + "…"


def _part(frame: pd.DataFrame, name: str) -> str:
    """Return a table of the summary, only its beginning where it is long."""
    if len(frame) <= MOST_ROWS:
        return frame_text(frame)
    return frame_text(frame.head(FEW_ROWS)) + (
        f"\n... {len(frame) - FEW_ROWS} more rows in fit.{name}"
    )


def _facts(fit: Fit) -> list[str]:
    """Return the lines of the summary above its tables."""
    facts = {**_data(fit), **_likelihood(fit), **_certificate(fit)}
    lines = []
    for label, said in facts.items():
        for line in said.splitlines():
            indent = " " * LABEL
            lines += textwrap.wrap(line, WIDTH, initial_indent=label.ljust(LABEL),
                                   subsequent_indent=indent)  # fmt: skip
            label = ""
    return lines


def _bullets(facts: dict[str, str]) -> str:
    """Return facts as a Markdown list."""
    return "\n".join(
        f"- **{label}**: {'; '.join(said.splitlines())}" for label, said in facts.items()
    )


def _data(fit: Fit) -> dict[str, str]:
    """Say what was fitted: persons, items, responses, levels, and what was dropped."""
    design = fit.design
    counts = {term.group: len(term.levels) for term in design.terms}
    said = []
    if design.person is not None:
        said.append(f"{design.n_persons} persons ({design.person})")
    if design.item is not None:
        said.append(f"{len(design.items)} items ({design.item})")
    others = {g: n for g, n in counts.items() if g not in (design.person, design.item)}
    said += [f"{n} {group}" for group, n in others.items()]
    said.append(f"{fit.n_obs} responses")
    facts = {"Data": ", ".join(said) + f"; {design.response}{_levels(fit)}"}
    if design.dropped:
        facts["Dropped"] = ", ".join(f"{count} {what}" for what, count in design.dropped.items())
    return facts


def _levels(fit: Fit) -> str:
    """Return the levels of a categorical response, and which way an ordered one is predicted."""
    labels = fit.design.labels
    if not labels:
        return f" ({fit.model.response.kind})"
    names = [f"{label:g}" if isinstance(label, float) else str(label) for label in labels]
    coded = [name if name == str(code) else f"{name} = {code}" for code, name in enumerate(names)]
    direction = "\npredicts UP: P(y >= c)" if fit.model.response.kind == "ordered" else ""
    return f": {', '.join(coded)}{direction}"


def _likelihood(fit: Fit) -> dict[str, str]:
    """Say which likelihood was maximised, its estimated error, and its value."""
    said = fit.likelihood.name
    if fit.likelihood.conditional:
        said += f"; {_unheard(fit)} persons with the lowest or highest score say nothing of items"
    if fit.model.dimension and hasattr(fit.likelihood, "nodes"):
        said += f", {_nodes(fit)}"
    certificate = fit.certificate
    errors = []
    if certificate.quadrature_error is not None:
        errors.append(f"quadrature error {certificate.quadrature_error:.1g}")
    if certificate.laplace_error is not None:
        spread = certificate.laplace_error_se
        margin = "" if spread is None else f" ± {spread:.1g}"
        errors.append(f"Laplace error {certificate.laplace_error:.2g}{margin}")
    if not errors and fit.model.effects and not fit.likelihood.conditional:
        errors.append("error not computed; call fit.check()")
    return {
        "Likelihood": "; ".join([said, *errors]),
        "Fit": f"log-likelihood {fit.loglik:.4f}, AIC {fit.aic:.2f}, BIC {fit.bic:.2f}, "
        f"{fit.n_params} parameters",
    }


def _unheard(fit: Fit) -> int:
    """Return how many persons have no part in a conditional likelihood."""
    bound: Any = fit.objective.unpenalised
    return bound.extreme


def _nodes(fit: Fit) -> str:
    """Say how many nodes were used in the end."""
    bound = fit.objective.unpenalised
    choice: Any = getattr(bound, "choice", bound)
    if isinstance(choice, Reduced):
        return f"{choice.nodes} nodes per general and {choice.specific_nodes} per other dimension"
    return f"{choice.nodes} nodes" + (" per dimension" if fit.model.dimension > 1 else "")


def _certificate(fit: Fit) -> dict[str, str]:
    """Say whether the certificate holds, what fails, and what was estimated at a bound."""
    found = fit.certificate
    numbers = (
        f"{found.iterations} iterations, gradient {found.gradient:.1e}, "
        f"decrement {found.decrement:.1e}"
    )
    lines = [f"{'converged' if fit.converged else 'NOT converged'}: {numbers}", *found.failures]
    facts = {"Certificate": "\n".join(lines)}
    extra = [name for name in fit.boundary if name in fit.names]
    pairs = [name for name in fit.boundary if " ~ " in name]
    zeros = [name for name in fit.boundary if name not in (*extra, *pairs)]
    if zeros:
        facts["At zero"] = f"standard deviation of {', '.join(zeros)}"
    if pairs:
        facts["At a bound"] = f"correlation of {', '.join(pairs)} at one or minus one"
    if extra:
        facts["Infinite"] = f"{', '.join(extra)}: a simpler family fits as well; or give priors="
    return facts


def _has_free_items(fit: Fit) -> bool:
    """Whether every item has its own easiness among the fixed effects."""
    items = len(fit.design.items)
    return 0 < items <= fit.design.roles.count("item") and fit.model.dimension == 1
