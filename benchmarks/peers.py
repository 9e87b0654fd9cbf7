"""Mixed models in R, where `Rscript` and the packages are found, and in PyPI's glmm."""

import importlib.util
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from timing import Run, Seconds, run

if TYPE_CHECKING:
    import pandas as pd

FITTERS = {"lme4": "glmer", "glmmTMB": "glmmTMB"}

FIT = """
suppressPackageStartupMessages(library({package}))
data <- read.csv({file})
{factors}
taken <- system.time(fit <- {fitter}({formula}, data, family = binomial))
cat(sprintf("%.4f %.4f %.6f\\n", taken[["elapsed"]], sum(taken[1:2]), as.numeric(logLik(fit))))
"""

GLMM = """
import time, warnings, pandas, glmm
warnings.simplefilter("ignore")
data = pandas.read_csv({file})
table = {{name: data[name].to_numpy(float) for name in data if name not in {factors}}}
table |= {{name: data[name].astype(str).tolist() for name in {factors}}}
wall, cpu = time.perf_counter(), time.process_time()
fit = glmm.fit(table, {formula}, family="binomial")
print(time.perf_counter() - wall, time.process_time() - cpu, fit.loglik)
"""


class PeerFit(NamedTuple):
    """A fit in R: seconds of the fit alone, the whole process, the log-likelihood."""

    fit: Seconds
    process: Run
    loglik: float


def glmm_is_there() -> bool:
    """Return whether PyPI's glmm is installed beside eirt; say so if not."""
    found = importlib.util.find_spec("glmm") is not None
    if not found:
        print("The Python package glmm was not found: no glmm")
    return found


def fit_glmm(formula: str, data: "pd.DataFrame", folder: Path) -> PeerFit:
    """Fit a binomial mixed model to a data frame with glmm, in a process of its own."""
    file, script = folder / "data.csv", folder / "fit.py"
    data.to_csv(file, index=False)
    factors = [name for name in data.columns if data[name].dtype == "category"]
    script.write_text(GLMM.format(file=repr(str(file)), factors=factors, formula=repr(formula)))
    process = run([sys.executable, str(script)])
    wall, cpu, loglik = (float(number) for number in process.out.split()[-3:])
    return PeerFit(Seconds(wall, cpu), process, loglik)


def versions(packages: Sequence[str] = tuple(FITTERS)) -> dict[str, str]:
    """Return the versions of R and of those packages that are there; say what is missing."""
    if shutil.which("Rscript") is None:
        print("Rscript was not found: no peers")
        return {}
    ask = 'cat(c(R.version$major, R.version$minor), sep = "."); '
    ask += f"for (p in c({', '.join(map(json.dumps, packages))})) "
    ask += 'cat("\\n", if (nzchar(system.file(package = p))) format(packageVersion(p)), sep = "")'
    r, *found = run(["Rscript", "-e", ask]).out.split("\n")
    for name, version in zip(packages, found, strict=True):
        if not version:
            print(f"The R package {name} was not found: no {name}")
    return {"R": r} | {n: v for n, v in zip(packages, found, strict=True) if v}


def fit(package: str, formula: str, data: "pd.DataFrame", folder: Path) -> PeerFit:
    """Fit a binomial mixed model to a data frame in R, in a process of its own."""
    file, script = folder / "data.csv", folder / "fit.R"
    data.to_csv(file, index=False)
    factors = {
        name: ", ".join(json.dumps(str(level)) for level in data[name].cat.categories)
        for name in data.columns
        if data[name].dtype == "category"
    }
    lines = [f"data${name} <- factor(data${name}, c({levels}))" for name, levels in factors.items()]
    script.write_text(
        FIT.format(
            package=package,
            fitter=FITTERS[package],
            file=json.dumps(str(file)),
            formula=formula,
            factors="\n".join(lines),
        )
    )
    process = run(["Rscript", str(script)])
    wall, cpu, loglik = (float(number) for number in process.out.split()[-3:])
    return PeerFit(Seconds(wall, cpu), process, loglik)
