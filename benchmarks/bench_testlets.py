"""Recovery of testlet variances: persons, and persons within testlets of a few items each.

    logit P = theta_p + t_ps + e_i,  theta_p ~ N(0, 1),  t_ps ~ N(0, sd^2)

Quadrature of reduced dimension integrates all of it exactly; Laplace's method, all that general
mixed-model packages have for it, loses on so few responses a testlet.
"""

import argparse
import sys
from pathlib import Path

from timing import report, save, timed

SDS = {"(1 | id)": 1.0, "(1 | id:testlet)": 0.8}
FORMULA = "resp ~ 0 + item + (1 | id) + (1 | id:testlet)"


def simulate(rng, n_persons, n_testlets, size):
    """Return one row a response."""
    import numpy as np
    import pandas as pd

    n_items = n_testlets * size
    person, item = np.divmod(np.arange(n_persons * n_items), n_items)
    ability, local = (sd * rng.normal(size=(n_persons, n_testlets)) for sd in SDS.values())
    easiness = rng.permutation(np.linspace(-1.5, 1.5, n_items))
    eta = ability[person, 0] + local[person, item // size] + easiness[item]
    y = rng.random(len(item)) < 1 / (1 + np.exp(-eta))
    labels = {"item": "i" + pd.Series(item).astype(str), "testlet": item // size}
    return pd.DataFrame({"id": person, **labels, "resp": y.astype(int)})


def fitted(data, likelihood):
    """Return the standard deviations, their standard errors, and the seconds of the fit."""
    import eirt

    fit, clock = timed(lambda: eirt.eirm(data, FORMULA, likelihood=likelihood, check=False))
    return fit.random["sd"].to_numpy(), fit.random["se"].to_numpy(), clock.wall, fit.loglik


def rows(name, found):
    """Return bias with its Monte-Carlo error and coverage of 95% intervals, by term."""
    import numpy as np

    sds, errors, seconds, logliks = map(np.array, zip(*found, strict=True))
    return [
        {
            "likelihood": name,
            "data sets": len(found),
            "term": term,
            "truth": truth,
            "bias": float((sds[:, k] - truth).mean()),
            "Monte-Carlo se": float(sds[:, k].std(ddof=1) / np.sqrt(len(found))),
            "mean se": float(errors[:, k].mean()),
            "sd": float(sds[:, k].std(ddof=1)),
            "coverage, %": float(100 * (np.abs(sds[:, k] - truth) < 1.96 * errors[:, k]).mean()),
            "seconds": float(np.median(seconds)),
            "mean log-likelihood": float(logliks.mean()),
        }
        for k, (term, truth) in enumerate(SDS.items())
    ]


def main():
    """Fit every data set by reduced quadrature, the first of them by Laplace's method too."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=200)
    parser.add_argument("--laplace", type=int, default=20, help="data sets for Laplace's method")
    parser.add_argument("--persons", type=int, default=500)
    parser.add_argument("--testlets", type=int, default=6)
    parser.add_argument("--size", type=int, default=5, help="items of a testlet")
    parser.add_argument("--quick", action="store_true", help="five replicates, two by Laplace")
    parser.add_argument("--json", type=Path, help="keep the numbers")
    options = parser.parse_args()
    import numpy as np

    import eirt

    n, some = (5, 2) if options.quick else (options.replicates, options.laplace)
    shape = options.persons, options.testlets, options.size
    data = [simulate(np.random.default_rng(seed), *shape) for seed in range(n)]
    found = [fitted(frame, None) for frame in data]
    print(f"{n} fitted by reduced quadrature", file=sys.stderr, flush=True)
    table = rows("Reduced", found)
    if some > 1:
        table += rows("Laplace", [fitted(frame, eirt.Laplace()) for frame in data[:some]])
    report("{} persons, {} testlets of {} items".format(*shape), table)
    save(options.json, table=table)


if __name__ == "__main__":
    main()
