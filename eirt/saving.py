"""A fit in one file: numbers and text that rebuild it, without a search."""

from __future__ import annotations

import io
import json
import os
import zipfile
from dataclasses import replace
from typing import Any

import numpy as np

from eirt._config import double_precision
from eirt.archive import Reader, Writer
from eirt.errors import DataError
from eirt.likelihood.prior import PenalisedObjective
from eirt.refits import grid_of
from eirt.results import Fit

FORMAT = 2
TEXT, ARRAYS = "fit.json", "arrays.npz"
KEPT = ("name", "model", "design", "likelihood", "restriction", "names", "psi", "information",
        "loglik", "certificate")  # fmt: skip


def save(fit: Fit, path: str | os.PathLike[str]) -> None:
    """Write a fit to one file: model, data as coded, estimates, information and certificate.

    The file is a zip of JSON and numpy arrays. It holds the responses: share it as you would the
    data.

    Args:
        fit: the fit.
        path: the file, replaced if it exists.

    Raises:
        DataError: if the data have columns of values that are neither numbers nor text.
    """
    kept = replace(fit, design=replace(fit.design, devices=None))  # other machines have others
    writer = Writer()
    written = {
        "format": FORMAT,
        "rows": writer.write(fit.design.cells.iloc[:1]),
        "fit": {name: writer.write(getattr(kept, name)) for name in KEPT},
        "grid": writer.write(grid_of(fit)),
        "priors": writer.write(fit.objective.priors),
        "moments": None if fit.likelihood.conditional else writer.write(fit.moments),
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, *writer.arrays, allow_pickle=False)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(TEXT, json.dumps(written, allow_nan=False))
        file.writestr(ARRAYS, buffer.getvalue(), zipfile.ZIP_STORED)


@double_precision
def load_fit(path: str | os.PathLike[str]) -> Fit:
    """Read a fit that `fit.save` wrote; tables, scores, predictions and plots are as they were.

    Nothing is searched, and nothing in the file is run.

    Args:
        path: the file.

    Returns:
        The fit.

    Raises:
        DataError: if the file holds no fit, or one that this version of eirt cannot read.

    >>> import eirt, tempfile, pathlib
    >>> fit = eirt.rasch(eirt.load("lsat7"), wide=True)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fit.save(pathlib.Path(folder) / "lsat7.eirt")
    ...     again = eirt.load_fit(pathlib.Path(folder) / "lsat7.eirt")
    >>> again
    <Rasch: log-likelihood -2664.9009, 6 parameters, converged>
    """
    written, arrays = _contents(path)
    if written["format"] != FORMAT:
        raise DataError(
            f"{os.fspath(path)} has format {written['format']}, and this version of eirt reads "
            f"format {FORMAT}: read it with the version that wrote it, or fit again."
        )
    reader = Reader(arrays, Reader(arrays).read(written["rows"]))
    kept = {name: reader.read(value) for name, value in written["fit"].items()}
    priors, grid, moments = (reader.read(written[name]) for name in ("priors", "grid", "moments"))
    objective = grid.bind(kept["model"], kept["design"], kept["restriction"])
    if priors:
        objective = PenalisedObjective(objective, priors)
    fit = Fit(**kept, objective=objective)
    if moments is not None:
        objective.moments(fit.psi)  # searches for modes begin there
        fit.__dict__["moments"] = moments  # found again, they differ in the last digits
    return fit


def _contents(path: str | os.PathLike[str]) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Return the text and the arrays of a file."""
    try:
        with zipfile.ZipFile(path) as file:
            written = json.loads(file.read(TEXT))
            stored = np.load(io.BytesIO(file.read(ARRAYS)), allow_pickle=False)
            return written, [stored[f"arr_{place}"] for place in range(len(stored.files))]
    except (zipfile.BadZipFile, KeyError, ValueError):
        raise DataError(f"{os.fspath(path)} holds no fit; write one with fit.save(path).") from None
