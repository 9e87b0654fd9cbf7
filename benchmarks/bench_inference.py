"""Does inference hold what it promises? Coverage, p-values under the model, plausible values.

Three simulated studies. "Items": 500 persons answer 10 items that follow the 2PL; do 95% intervals
hold easiness and slopes? "Tests": 500 persons answer 10 items that follow the Rasch model; are
p-values uniform, and do plausible values have the variance of ability? "Features": 200 persons
answer 24 items, whose easiness a feature explains in part; do intervals of its effect hold?
"""

import numpy as np
import pandas as pd
from scipy.stats import binomtest, kstest, norm
from timing import machine, replicated, report, save, simulation_options

PERSONS, ITEMS = 500, 10
EASINESS = np.linspace(-1.5, 1.5, ITEMS)
SLOPES = np.tile([0.8, 1.2], ITEMS // 2)
ABILITY_SD = 1.2  # in the Rasch study
CROSSED = {"persons": 200, "items": 24, "feature": 0.5, "covariate": 0.3, "sd": 0.6}
Z = norm.ppf(0.975)


def long(eta, random, **columns):
    """Return responses drawn from logits, a row each, with columns of persons or of items."""
    person, item = np.indices(eta.shape).reshape(2, -1)
    y = random.random(eta.size) < 1 / (1 + np.exp(-eta.ravel()))
    frame = pd.DataFrame({"id": person, "item": item, "resp": y.astype(int)})
    at = {len(eta): person, eta.shape[1]: item}
    return frame.assign(**{name: values[at[len(values)]] for name, values in columns.items()})


def covered(table, truth):
    """Return whether each interval holds the truth."""
    return (table["lower"] <= truth) & (truth <= table["upper"])


def items_study(random):
    """Return whether Wald intervals of each kind hold their item parameters."""
    import eirt

    data = long(random.normal(size=(PERSONS, 1)) * SLOPES + EASINESS, random)
    fit = eirt.two_pl(data, check=False)
    table = fit.confint().set_index("parameter")
    rows = []
    for kind, truth in {"item": EASINESS, "discrimination": SLOPES}.items():
        own = table.loc[table.index.str.startswith(f"{kind}[")]
        named = {"item": "easiness, 2PL", "discrimination": "slope, 2PL"}[kind]
        rows.append({"parameter": named, "covered": covered(own, truth).mean()})
    return rows


def tests_study(random):
    """Return p-values of tests of a model that holds, and variances of ability."""
    import eirt

    theta = random.normal(scale=ABILITY_SD, size=PERSONS)
    group = random.integers(0, 2, PERSONS)
    data = long(theta[:, None] + EASINESS, random, group=group)
    rasch = eirt.rasch(data, check=False)
    item = rasch.item_fit().iloc[ITEMS // 2]  # items of a test depend on each other: one is taken
    ratio = eirt.compare(rasch, eirt.two_pl(data, check=False)).iloc[1]
    p = {
        "likelihood ratio, Rasch in 2PL": ratio["p"],
        "score test, covariate of persons": rasch.score_test("group", data=data)["p"][0],
        "score test, covariate by item": rasch.score_test("group:C(item)", data=data)["p"][0],
        "S-X2 of an item": item["p"],
        "S-G2 of an item": item["p_g2"],
        "M2": rasch.model_fit("M2")["p"][0],
    }
    variances = {
        "plausible values": rasch.plausible_values(1)["pv1"].var(),
        "EAP": rasch.persons("EAP")["ability"].var(),
        "estimated variance": rasch.random.loc[0, "variance"],
    }
    return p, variances


def features_study(random):
    """Return whether intervals hold the effects of a feature of items and of a covariate."""
    import eirt

    x, z = random.normal(size=CROSSED["items"]), random.normal(size=CROSSED["persons"])
    easiness = CROSSED["feature"] * x + CROSSED["sd"] * random.normal(size=len(x))
    ability = CROSSED["covariate"] * z + random.normal(size=len(z))
    data = long(ability[:, None] + easiness, random, x=x, z=z)
    fit = eirt.lltm(data, "~ x + (1 | item)", ability="~ z", check=False)
    wald, t = (table.set_index("term") for table in (fit.fixed, fit.feature_tests()))
    found = {
        "feature of 24 items, z": (wald.loc["x"], CROSSED["feature"]),
        "feature of 24 items, t": (t.loc["x"], CROSSED["feature"]),
        "covariate of 200 persons, z": (wald.loc["z"], CROSSED["covariate"]),
    }
    return [{"parameter": name, "covered": float(covered(*pair))} for name, pair in found.items()]


def coverage(rows, per_fit):
    """Return the share of intervals that hold the truth, and its Monte-Carlo standard error."""
    frame = pd.DataFrame(rows)
    found = []
    for name, own in frame.groupby("parameter", sort=False)["covered"]:
        found.append({
            "parameter": name,
            "intervals": len(own) * per_fit,
            "covered, %": float(100 * own.mean()),
            "Monte-Carlo se": float(100 * own.std() / np.sqrt(len(own))),
        })  # fmt: skip
    return found


def uniformity(ps):
    """Return how p-values of a true hypothesis compare with uniform ones."""
    rows = []
    for name, p in pd.DataFrame(ps).items():
        rejected = int((p < 0.05).sum())
        limits = binomtest(rejected, len(p)).proportion_ci()
        rows.append({
            "test": name,
            "mean p": float(p.mean()),
            "rejected at 5%, %": 100 * rejected / len(p),
            "95% limits": f"{100 * limits.low:.1f} to {100 * limits.high:.1f}",
            "Kolmogorov-Smirnov p": float(kstest(p, "uniform").pvalue),
        })  # fmt: skip
    return rows


def spread(variances):
    """Return mean variances beside the true one."""
    frame = pd.DataFrame(variances)
    return [
        {
            "variance of": name,
            "true": ABILITY_SD**2,
            "mean": float(own.mean()),
            "Monte-Carlo se": float(own.std() / np.sqrt(len(own))),
        }
        for name, own in frame.items()
    ]


def main():
    asked = simulation_options(__doc__, 1948, "of intervals; half of tests")
    n = asked.replicates
    about = machine()
    report("Machine", [{"what": name, "value": value} for name, value in about.items()])
    ps, variances = zip(*replicated(tests_study, max(n // 2, 2), asked.seed), strict=True)
    items = sum(replicated(items_study, n, asked.seed + 1), [])
    features = sum(replicated(features_study, n, asked.seed + 2), [])
    tables = {
        "Coverage of 95% intervals": coverage(items, ITEMS) + coverage(features, 1),
        "P-values where the model holds": uniformity(ps),
        "Variance of ability": spread(variances),
    }
    for title, rows in tables.items():
        report(title, rows)
    save(asked.json, machine=about, replicates=n, seed=asked.seed, tables=tables)


if __name__ == "__main__":
    main()
