"""Mixed models elsewhere: R's lme4 and glmmTMB, and PyPI's glmm and gpboost, where installed."""

import importlib.metadata
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

R = """
suppressPackageStartupMessages(library({package}))
data <- read.csv({file})
{factors}
taken <- system.time(fit <- {fitter}({formula}, data, family = binomial))
cat(sprintf("%.4f %.4f %.6f\\n", taken[["elapsed"]], sum(taken[1:2]), as.numeric(logLik(fit))))
"""

GLMM = """
import glmm
table = {{name: data[name].to_numpy(float) for name in data if name not in {factors}}}
table |= {{name: data[name].astype(str).tolist() for name in {factors}}}
wall, cpu = time.perf_counter(), time.process_time()
loglik = glmm.fit(table, {formula}, family="binomial").loglik
"""

# columns of responses and covariates are those of the formula, which has no factors
GPBOOST = """
import gpboost
left, right = {formula}.split("~")
terms = [term.strip() for term in right.split(" + ")]
x = data[[term for term in terms if not term.startswith("(")]].assign(one=1.0)
wall, cpu = time.perf_counter(), time.process_time()
model = gpboost.GPModel(group_data=data[{factors}], likelihood="bernoulli_logit")
model.fit(y=data[left.strip()].to_numpy(float), X=x)
loglik = -model.get_current_neg_log_likelihood()
"""

PYTHON = """
import time, warnings, pandas
warnings.simplefilter("ignore")
data = pandas.read_csv({file})
{body}
print(time.perf_counter() - wall, time.process_time() - cpu, loglik)
"""

MODULES = {"glmm": GLMM, "gpboost": GPBOOST}


class PeerFit(NamedTuple):
    """A fit by a peer: seconds of the fit alone, the whole process, the log-likelihood."""

    fit: Seconds
    process: Run
    loglik: float


def versions(packages: Sequence[str] = tuple(FITTERS)) -> dict[str, str]:
    """Return the versions of R and of those packages that are there; say what is missing."""
    asked = [package for package in packages if package in FITTERS]
    found = _r_versions(asked) if asked else {}
    for package in packages:
        if package in MODULES:
            try:
                found[package] = importlib.metadata.version(package)
            except importlib.metadata.PackageNotFoundError:
                print(f"The Python package {package} was not found: no {package}")
    return found


def _r_versions(packages: Sequence[str]) -> dict[str, str]:
    if shutil.which("Rscript") is None:
        print(f"Rscript was not found: no {', '.join(packages)}")
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
    """Fit a binomial mixed model to a data frame, in a process of its own."""
    file = folder / "data.csv"
    data.to_csv(file, index=False)
    if package in FITTERS:
        script, program = folder / "fit.R", "Rscript"
        script.write_text(_r_script(package, formula, data, file))
    else:
        script, program = folder / "fit.py", sys.executable
        body = MODULES[package].format(factors=_factors(data), formula=repr(formula))
        script.write_text(PYTHON.format(file=repr(str(file)), body=body))
    process = run([program, str(script)])
    wall, cpu, loglik = (float(number) for number in process.out.split()[-3:])
    return PeerFit(Seconds(wall, cpu), process, loglik)


def _factors(data: "pd.DataFrame") -> list[str]:
    return [name for name in data.columns if data[name].dtype == "category"]


def _r_script(package: str, formula: str, data: "pd.DataFrame", file: Path) -> str:
    lines = []
    for name in _factors(data):
        levels = ", ".join(json.dumps(str(level)) for level in data[name].cat.categories)
        lines.append(f"data${name} <- factor(data${name}, c({levels}))")
    return R.format(
        package=package,
        fitter=FITTERS[package],
        file=json.dumps(str(file)),
        formula=formula,
        factors="\n".join(lines),
    )
