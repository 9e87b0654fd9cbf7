"""Matrix reasoning (MaRs-IB) against published Stan posteriors: clones of templates, by design.

The data (Zorowitz, Chierchia, Blakemore & Daw, 2023; github.com/ndawlab/mars-irt) are not shipped:
--data names a folder with mars_long.csv.gz, mars_item_design.csv, mars_item_features.csv,
mars_persons.csv and mars_stan_reference.tsv. Without it nothing is checked.
"""

import argparse
import sys
from pathlib import Path

from timing import report, save, timed

FEATURES = ["n_features", "n_rules", "distractor", "rt"]
RESIDUALS = "(1 | template) + (1 | clone)"
MODELS = {"1pl_m3": None, "1plg_m3": None, "3pl_m2": f"~ {' + '.join(FEATURES)} + (1 | template)"}


def read(folder):
    """Return one row a response: 1,501 persons, 16 of 384 clones each, from 64 templates."""
    import pandas as pd

    kept = pd.read_csv(folder / "mars_persons.csv").query("reject == 0")["subject"]
    items = pd.read_csv(folder / "mars_item_design.csv").drop(columns="intercept")
    items = (items - items.mean()) / items.std()
    items["item_id"] = pd.read_csv(folder / "mars_item_features.csv")["item_id"]
    responses = pd.read_csv(folder / "mars_long.csv.gz")[["subject", "item", "item_id", "accuracy"]]
    data = responses[responses["subject"].isin(kept)].merge(items, on="item_id")
    return data.rename(columns={"item": "template", "item_id": "clone"})


def fit(data, name):
    """Fit one of the published models: guessing at 1/4 but for 1pl, a formula for log slopes."""
    import eirt

    family = eirt.Bernoulli() if name.startswith("1pl_") else eirt.Guessing(lower=0.25)
    return eirt.explain(
        data,
        easiness=f"~ {' + '.join(FEATURES)} + {RESIDUALS}",
        discrimination=MODELS[name] or "~ 1",
        person="subject",
        item="clone",
        response="accuracy",
        family=family,
        name=name,
    )


def rows(found, name, stan, seconds):
    """Set eirt's effects on difficulty, in logits, beside the posterior means."""
    beta = found.fixed.set_index("term")
    sd = found.random.set_index(["group", "term"])
    ours = [(feature, -beta.loc[feature, "estimate"], beta.loc[feature, "se"])
            for feature in FEATURES]  # fmt: skip
    for label, group in {"sd of templates": "template", "sd of clones": "clone"}.items():
        residual = sd.loc[(group, "(Intercept)")]
        ours.append((label, residual["sd"], residual["se"]))
    theirs = [*(f"beta_mu[{k}]" for k in range(2, 6)), "sigma[1]", "sigma[2]"]
    return [
        {
            "model": name,
            "seconds": seconds,
            "parameter": parameter,
            "eirt": float(value),
            "se": float(se),
            "Stan": float(stan.loc[(name, label), "Mean"]),
            "sd": float(stan.loc[(name, label), "StdDev"]),
        }
        for (parameter, value, se), label in zip(ours, theirs, strict=True)
    ]


def main():
    """Fit each model and print it beside the published posterior."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of the published data")
    parser.add_argument("--models", nargs="*", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--json", type=Path, help="keep the numbers")
    options = parser.parse_args()
    if options.data is None or not options.data.is_dir():
        print("skipped: give --data FOLDER with the published data", file=sys.stderr)
        return
    import pandas as pd

    data = read(options.data)
    stan = pd.read_csv(options.data / "mars_stan_reference.tsv", sep="\t")
    stan = stan.set_index(["model", "name"])
    table = []
    for name in options.models:
        found, clock = timed(lambda name=name: fit(data, name))
        print(found, file=sys.stderr)
        table += rows(found, name, stan, clock.wall)
    report("Effects on difficulty, posterior means of the publication beside them", table)
    save(options.json, mars=table)


if __name__ == "__main__":
    main()
