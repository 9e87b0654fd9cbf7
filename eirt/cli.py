"""The command line: `eirt demo`, `eirt fit`, `eirt datasets`.

Exit codes: 0, 2 for a wrong option, 3 for data or a formula that cannot be used, 4 for a fit that
did not converge (its results are written all the same), 130 for Ctrl-C.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    import pandas as pd

    from eirt import Fit
    from eirt.likelihood import Likelihood
    from eirt.responses import Response

UNUSABLE, NOT_CONVERGED, INTERRUPTED = 3, 4, 130
MOST_ITEMS = 40  # printed

BY_ITEM = {"rasch": "rasch", "1pl": "one_pl", "2pl": "two_pl"}
DOORS = BY_ITEM | {"lltm": "lltm", "eirm": "eirm"}
ON_NODES = {
    "quadrature": "Quadrature",
    "adaptive": "AdaptiveQuadrature",
    "nested": "Nested",
    "reduced": "Reduced",
}

Model = Literal["rasch", "1pl", "2pl", "lltm"]
LinkName = Literal["logit", "probit", "cloglog", "loglog", "cauchit"]
Family = Literal["bernoulli", "cumulative", "poisson"]
Elimination = Literal["auto", "quadrature", "adaptive", "laplace", "nested", "reduced"]
Missing = Literal["error", "drop"]
Duplicates = Literal["error", "first", "keep"]
Extreme = Literal["error", "drop", "keep"]
Progress = Annotated[bool | None, typer.Option(help="Print iterations.", show_default="if long")]
Out = Annotated[Path | None, typer.Option(help="Folder for tables and plots; made if absent.")]

DEVICE = "cpu, gpu or tpu; all spreads persons over all there are."
FORMULA = (
    "Features of items with --model lltm: '~ x + (1 | item)'. Without --model a mixed model: "
    "'resp ~ x + (1 | id) + (1 | item)'."
)
EXTREME = "Items that all answered alike; keep adds a prior, easiness ~ normal(0, 3)."

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def _version(asked: bool) -> None:
    if asked:
        from eirt import __version__

        typer.echo(f"eirt {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Explanatory item response theory: item response models and mixed models as one."""


@app.command("demo")
def run_demo(
    out: Out = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Leave out the iterations.")] = False,
) -> None:
    """Explain verbal aggression by features of items and persons: real data, six models."""
    from eirt import demo

    with _errors(OSError):
        fits = demo.run(out, quiet)
    for found in fits.values():
        _stop_unless_converged(found)


@app.command("datasets")
def list_datasets() -> None:
    """List the data sets that come with eirt."""
    from eirt import datasets

    for name, rows, _, description in datasets().to_numpy():
        typer.echo(f"{name:<14}{rows:>8} rows  {description}")


@app.command("fit")
def fit_file(
    file: Annotated[Path, typer.Argument(help="CSV or Parquet, one row a response.")],
    model: Annotated[Model | None, typer.Option(help="A named model.")] = None,
    formula: Annotated[str | None, typer.Option(help=FORMULA)] = None,
    ability: Annotated[str | None, typer.Option(help="Covariates of persons: '~ z'.")] = None,
    person: Annotated[str | None, typer.Option(help="Its column.", show_default="id")] = None,
    item: Annotated[str | None, typer.Option(help="Its column.", show_default="item")] = None,
    response: Annotated[str | None, typer.Option(help="Its column.", show_default="resp")] = None,
    wide: Annotated[bool, typer.Option("--wide", help="A row a person, a column an item.")] = False,
    link: Annotated[LinkName, typer.Option(help="Link of the response.")] = "logit",
    family: Annotated[Family, typer.Option(help="Distribution of the response.")] = "bernoulli",
    likelihood: Annotated[Elimination, typer.Option(help="How to integrate effects.")] = "auto",
    nodes: Annotated[int | None, typer.Option(min=1, help="Quadrature nodes a dimension.")] = None,
    reference: Annotated[str | None, typer.Option(help="Response level that counts as 0.")] = None,
    missing: Annotated[Missing, typer.Option(help="Rows with missing covariates.")] = "error",
    duplicates: Annotated[Duplicates, typer.Option(help="Repeated person-item rows.")] = "error",
    extreme: Annotated[Extreme, typer.Option(help=EXTREME)] = "error",
    device: Annotated[str | None, typer.Option(help=DEVICE)] = None,
    progress: Progress = None,
    out: Out = None,
) -> None:
    """Fit a model to a file of responses; print it, and write its tables to --out."""
    import eirt

    door = model or ("eirm" if (formula or "").partition("~")[0].strip() else "")
    columns = {"person": person, "item": item, "response": response}
    arguments = {"formula": formula, "ability": ability, "wide": wide} | columns
    given = {name: value for name, value in arguments.items() if value}
    _refuse_misfits(door, given)
    options: dict[str, Any] = {"missing": missing, "duplicates": duplicates, "extreme": extreme} | {
        "family": _family(family, link),
        "likelihood": _likelihood(likelihood, nodes),
        "priors": {"easiness": eirt.Normal(0, 3)} if extreme == "keep" else {},
        "progress": progress,
        "device": device,
    }
    with _errors(ValueError, OSError, ImportError):
        frame = _read(file, _labels(given))
        options["reference"] = reference and _level(frame, given, reference)
        found = _fit(door, frame, given | options)
    with _errors(OSError):
        _print(found)
        if out is not None:
            _write(found, out)
    _stop_unless_converged(found)


def _refuse_misfits(door: str, given: Mapping[str, Any]) -> None:
    """Refuse options that do not go together."""
    formula, mixed = "formula" in given, door == "eirm"
    misfits = {
        "Say --model rasch, 1pl, 2pl or lltm, or give a --formula 'response ~ ...'.": door == "",
        "--model lltm needs --formula '~ features'.": door == "lltm" and not formula,
        "--formula goes with --model lltm, or without --model.": door in BY_ITEM and formula,
        "--wide goes with --model rasch, 1pl or 2pl.": "wide" in given and door not in BY_ITEM,
        "--response goes with --model; a --formula names it.": "response" in given and mixed,
        "--ability goes with --model; put covariates in the formula.": "ability" in given and mixed,
    }
    for message, wrong in misfits.items():
        if wrong:
            raise typer.BadParameter(message)


def _family(name: Family, link: LinkName) -> Response:
    import eirt

    if name == "poisson" and link != "logit":
        raise typer.BadParameter("--family poisson has its own link, the logarithm.")
    return getattr(eirt, name.capitalize())(*([] if name == "poisson" else [link]))


def _likelihood(name: Elimination, nodes: int | None) -> Likelihood | None:
    import eirt

    if name in ON_NODES:
        return getattr(eirt, ON_NODES[name])(*([] if nodes is None else [nodes]))
    if nodes is not None:
        raise typer.BadParameter(f"--nodes goes with --likelihood {', '.join(ON_NODES)}.")
    return eirt.Laplace() if name == "laplace" else None


def _labels(given: Mapping[str, Any]) -> list[str]:
    """Return the columns that hold labels, whatever they look like: persons, items, groups."""
    from eirt.formula import parse, variables

    asked = parse(given.get("formula", "~ 1"))
    groups = {name for term in asked.random for name in term.group} - set(variables(asked.fixed))
    items = set() if "wide" in given else {given.get("item", "item")}
    return sorted({given.get("person", "id")} | items | groups)


def _read(path: Path, labels: list[str]) -> pd.DataFrame:
    """Read a file with some columns as labels: 007 stays 007, and is no number."""
    import pandas as pd

    from eirt.frames import to_pandas

    frame = to_pandas(path)
    labels = [name for name in labels if name in frame and frame[name].dtype != "category"]
    if path.suffix.lower() in {".parquet", ".pq"}:
        text = frame[labels].convert_dtypes()
    else:
        mark = "\t" if ".tsv" in path.name else ","
        text = pd.read_csv(path, sep=mark, usecols=labels, dtype=str)
    return frame.assign(**{name: pd.Series(text[name]).map(str, "ignore") for name in labels})


def _level(frame: pd.DataFrame, given: Mapping[str, Any], text: str) -> Any:
    """Return the response level that prints as `text`, or the text where there is none."""
    import pandas as pd

    from eirt.formula import parse

    name = given.get("response") or parse(given.get("formula", "resp ~ 1")).response or "resp"
    columns = [name] if name in frame else [name for name in frame if name not in _labels(given)]
    levels = [pd.Series(frame[column]).convert_dtypes().unique() for column in columns]
    return {str(level): level for some in levels for level in some}.get(text, text)


def _fit(door: str, frame: pd.DataFrame, arguments: Mapping[str, Any]) -> Fit:
    import warnings

    import eirt

    with warnings.catch_warnings():
        # said once, in our own words, when the results are safe
        warnings.simplefilter("ignore", eirt.ConvergenceWarning)
        return getattr(eirt, DOORS[door])(frame, **arguments)


def _print(found: Fit) -> None:
    from eirt.export import has_difficulties
    from eirt.report import frame_text

    typer.echo(str(found))
    if has_difficulties(found):
        table = found.difficulty()
        typer.echo(f"\nDifficulties\n{frame_text(table.head(MOST_ITEMS))}")
        if len(table) > MOST_ITEMS:
            typer.echo(f"... {len(table) - MOST_ITEMS} more items; --out writes them all")


def _write(found: Fit, out: Path) -> None:
    """Write tables, numbers, summary and plots of a fit to a folder."""
    import json

    from eirt.export import export, has_difficulties

    export(found, out, "csv")
    (out / "fit.json").write_text(json.dumps(_numbers(found), indent=2) + "\n", encoding="utf-8")
    (out / "summary.txt").write_text(f"{found}\n", encoding="utf-8")
    if has_difficulties(found):
        found.plot("wright").save(out / "wright.png")
        if found.model.response.kind == "binary":
            found.plot("icc").save(out / "icc.png")
    typer.echo(f"\nWrote {out}")


def _numbers(found: Fit) -> dict[str, Any]:
    """Return what a program wants to know about a fit; numbers that are not finite as None."""
    import dataclasses
    import math

    asked = found.design.formula
    bars = {True: "|", False: "||"}
    terms = [f"({term.effects} {bars[term.correlated]} {term.label})" for term in asked.random]
    names = ("name", "loglik", "aic", "bic", "n_params", "n_obs", "converged")
    certificate = dataclasses.asdict(found.certificate).items()
    return {name: getattr(found, name) for name in names} | {
        "likelihood": found.likelihood.name,
        "formula": f"{asked.response} ~ {' + '.join([asked.fixed, *terms])}",
        "certificate": {k: v if v is None or math.isfinite(v) else None for k, v in certificate},
    }


@contextlib.contextmanager
def _errors(*kinds: type[Exception]) -> Iterator[None]:
    """Turn errors of these kinds, and Ctrl-C, into one line on standard error and an exit code."""
    try:
        yield
    except KeyboardInterrupt:
        raise _stop("interrupted", INTERRUPTED) from None
    except kinds as error:
        raise _stop(_in_options(str(error)), UNUSABLE) from None


def _in_options(message: str) -> str:
    """Write the remedies of an error as options of the command line.

    >>> _in_options("pass missing='drop' or reference=")
    'pass --missing drop or --reference'
    """
    message = message.replace(" with a prior, priors={'easiness': eirt.Normal(0, 3)}", "")
    names = "missing|duplicates|extreme|reference|ability|item"
    message = re.sub(rf"\b({names})='([^']+)'", r"--\1 \2", message)
    return re.sub(rf"\b({names})=(?!\S)", r"--\1", message)


def _stop(message: str, code: int) -> typer.Exit:
    typer.echo(f"eirt: {' '.join(message.split())}", err=True)
    return typer.Exit(code)


def _stop_unless_converged(found: Fit) -> None:
    if not found.converged:
        reasons = "; ".join(found.certificate.failures)
        code = INTERRUPTED if found.certificate.interrupted else NOT_CONVERGED
        raise _stop(f"{found.name} did not converge: {reasons}.", code)
