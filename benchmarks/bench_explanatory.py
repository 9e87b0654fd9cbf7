"""Recovery of the explanatory 2PL with residuals on both parameters: bias and coverage.

    logit P = a_i theta_p + e_i,  theta_p ~ N(gamma z_p, 1)
    e_i = beta'x_i + r_i,  log a_i = alpha'x_i + s_i,  (r_i, s_i) ~ N(0, Sigma)

Persons, items and features are drawn anew in every replicate.
"""

import argparse
import sys
from pathlib import Path

from timing import report, save, timed

TRUTH = {
    "(Intercept)": 0.5,
    "x": -0.6,
    "z": 0.4,
    "log_discrimination": 0.2,
    "log_discrimination[x]": -0.3,
}
SD_EASINESS, SD_SLOPE, CORRELATION = 0.5, 0.25, 0.3


def simulate(rng, n_persons, n_items):
    """Return one row a response; x describes items, z persons."""
    import numpy as np
    import pandas as pd

    x, z = rng.normal(size=n_items), rng.normal(size=n_persons)
    shared = CORRELATION * SD_EASINESS * SD_SLOPE
    covariance = [[SD_EASINESS**2, shared], [shared, SD_SLOPE**2]]
    easy, steep = rng.multivariate_normal([0, 0], covariance, n_items).T
    easy = easy + TRUTH["(Intercept)"] + TRUTH["x"] * x
    steep = np.exp(steep + TRUTH["log_discrimination"] + TRUTH["log_discrimination[x]"] * x)
    ability = TRUTH["z"] * z + rng.normal(size=n_persons)
    p = 1 / (1 + np.exp(-(steep * ability[:, None] + easy)))
    return pd.DataFrame(
        {
            "id": np.repeat(np.arange(n_persons), n_items),
            "item": np.tile(np.arange(n_items), n_persons),
            "x": np.tile(x, n_persons),
            "z": np.repeat(z, n_items),
            "resp": (rng.random(p.shape) < p).astype(int).ravel(),
        }
    )


def replicate(seed, n_persons, n_items):
    """Fit one data set; return estimates, standard errors, standard deviations, convergence."""
    import warnings

    import numpy as np

    import eirt

    data = simulate(np.random.default_rng(seed), n_persons, n_items)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", eirt.ConvergenceWarning)
        fit = eirt.explain(
            data,
            easiness="~ x + (1 | item)",
            discrimination="~ x + (1 | item)",
            ability="~ z",
            check=False,
        )
    fixed = fit.fixed.set_index("term").loc[list(TRUTH)]
    random = fit.random[fit.random["group"] == "item"]
    return fixed["estimate"], fixed["se"], random["sd"].iloc[:2].to_numpy(), fit.converged


def summary(found):
    """Return bias with its Monte-Carlo error and coverage of 95% intervals, by parameter."""
    import numpy as np

    estimates = np.array([estimate for estimate, *_ in found])
    errors = np.array([se for _, se, *_ in found])
    truth, n = np.array(list(TRUTH.values())), len(found)
    inside = np.abs(estimates - truth) < 1.96 * errors
    return [
        {
            "parameter": name,
            "truth": truth[j],
            "bias": float(estimates[:, j].mean() - truth[j]),
            "Monte-Carlo se": float(estimates[:, j].std(ddof=1) / np.sqrt(n)),
            "mean se": float(errors[:, j].mean()),
            "sd": float(estimates[:, j].std(ddof=1)),
            "coverage, %": float(100 * inside[:, j].mean()),
        }
        for j, name in enumerate(TRUTH)
    ]


def main():
    """Run the replicates and print bias, coverage, and the residual standard deviations."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=200)
    parser.add_argument("--persons", type=int, default=500)
    parser.add_argument("--items", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="five replicates")
    parser.add_argument("--json", type=Path, help="keep the numbers")
    options = parser.parse_args()
    import numpy as np

    seeds = range(options.seed, options.seed + (5 if options.quick else options.replicates))
    found, clock = timed(lambda: [replicate(s, options.persons, options.items) for s in seeds])
    table = summary(found)
    report(f"{len(found)} data sets of {options.persons} x {options.items}", table)
    sds = np.array([sd for _, _, sd, _ in found])
    residuals = [
        {"residual": name, "truth": truth, "mean": float(sds[:, k].mean())}
        for k, (name, truth) in enumerate((("easiness", SD_EASINESS), ("slope", SD_SLOPE)))
    ]
    report("Standard deviations of residuals (maximum likelihood: slightly low)", residuals)
    failed = sum(not converged for *_, converged in found)
    print(f"\n{failed} did not converge; {clock.wall:.0f} s", file=sys.stderr)
    save(options.json, fixed=table, random=residuals, failed=failed)


if __name__ == "__main__":
    main()
