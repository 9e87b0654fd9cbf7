"""Item features tested with and without random items: how often a feature without effect is found.

155 persons answer 36 items of a traffic-sign reading test, and four features describe the items.
Each replicate draws new persons and new items: abilities, features and item residuals. The item
residuals have sd 0.9, and brightness does nothing.
"""

import numpy as np
import pandas as pd
from scipy.stats import norm, t
from timing import machine, replicated, report, save, simulation_options, timed

PERSONS, ITEMS = 155, 36
INTERCEPT = 0.5
EFFECTS = {"clutter": -0.5, "relevance": 0.8, "brightness": 0.0, "legibility": 0.4}
NULL = "brightness"
SD = {"id": 1.0, "item": 0.9}
FEATURES = list(EFFECTS)
FORMULA = "~ " + " + ".join(FEATURES)
DF = ITEMS - len(FEATURES) - 1  # what is left of the items when the coefficients are estimated
INFLATION = np.sqrt(ITEMS / DF)  # maximum likelihood divides by the first, regression by the second

LLTM, CROSSED, BY_ITEMS = "LLTM", "LLTM + item residuals", "by-items regression"
Z, T, CORRECTED = "z", "t", "t, corrected SE"
LIMITS = {Z: norm.ppf(0.975), T: t.ppf(0.975, DF), CORRECTED: t.ppf(0.975, DF)}
TESTS = {LLTM: [Z, T], CROSSED: [Z, T, CORRECTED], BY_ITEMS: [T]}


def simulate(random):
    """Return the responses of one replicate: new persons and new items."""
    x = pd.DataFrame(random.normal(size=(ITEMS, len(FEATURES))), columns=FEATURES)
    x["relevance"] = random.permutation(np.arange(ITEMS) % 2)  # half of the items have it
    easiness = INTERCEPT + x.to_numpy() @ list(EFFECTS.values())
    easiness += random.normal(scale=SD["item"], size=ITEMS)
    ability = random.normal(scale=SD["id"], size=PERSONS)
    person, item = np.divmod(np.arange(PERSONS * ITEMS), ITEMS)
    y = random.random(len(person)) < 1 / (1 + np.exp(-ability[person] - easiness[item]))
    return x.iloc[item].reset_index(drop=True).assign(id=person, item=item, resp=y.astype(int))


def by_items(data):
    """Regress the empirical logits of the items on their features; return estimates and SE."""
    items = data.groupby("item").agg({"resp": ["sum", "count"], **dict.fromkeys(FEATURES, "first")})
    right, n = items["resp", "sum"] + 0.5, items["resp", "count"] + 1
    y = np.log(right / (n - right)).to_numpy()
    x = np.column_stack([np.ones(len(items)), items[FEATURES]])
    estimates, residual_ss, *_ = np.linalg.lstsq(x, y, rcond=None)
    covariance = np.linalg.inv(x.T @ x) * residual_ss[0] / (len(items) - x.shape[1])
    return estimates[1:], np.sqrt(np.diagonal(covariance))[1:]


def replicate(random):
    """Return the effects of one replicate and its standard deviations, a row each."""
    import eirt

    data = simulate(random)
    effects, sds = [], []
    for model, formula in {LLTM: FORMULA, CROSSED: f"{FORMULA} + (1 | item)"}.items():
        fit = eirt.lltm(data, formula, check=False)
        fixed = fit.fixed.set_index("term").loc[FEATURES]
        effects.append(_rows(model, fixed["estimate"], fixed["se"]))
        found = dict(zip(fit.random["group"], fit.random["sd"], strict=True))
        sds.append({"model": model, "converged": fit.converged, **found})
    effects.append(_rows(BY_ITEMS, *by_items(data)))
    return pd.concat(effects), pd.DataFrame(sds)


def _rows(model, estimates, se):
    columns = {"feature": FEATURES, "estimate": np.asarray(estimates), "se": np.asarray(se)}
    return pd.DataFrame({"model": model, **columns})


def outside(found, test, value):
    """Return where a test at 5% rejects a value."""
    se = found["se"] * (INFLATION if test == CORRECTED else 1)
    return (found["estimate"] - value).abs() > LIMITS[test] * se


def rate(events):
    """Return a share and its Monte-Carlo standard error."""
    share = float(np.mean(events))
    return share, float(np.sqrt(share * (1 - share) / len(events)))


def rejections(effects):
    """Return how often each test rejects that the null feature does nothing."""
    rows = []
    for model, tests in TESTS.items():
        found = effects[(effects["model"] == model) & (effects["feature"] == NULL)]
        for test in tests:
            rejected, se = rate(outside(found, test, 0.0))
            rows.append({"model": model, "test": test, "rejected": rejected, "se of it": se})
    return rows


def accuracy(effects):
    """Return bias, standard errors beside the true spread, and coverage of every effect."""
    rows = []
    for (model, feature), found in effects.groupby(["model", "feature"], sort=False):
        if model == BY_ITEMS:
            continue  # its effects are those on proportions, in another unit
        true, sd = EFFECTS[feature], found["estimate"].std()
        row = {
            "model": model,
            "feature": feature,
            "true": true,
            "bias": float(found["estimate"].mean() - true),
            "se of it": float(sd / np.sqrt(len(found))),
            "sd of estimates": float(sd),
            "mean SE": float(found["se"].mean()),
        }
        covered = {f"covered, {x}": None for x in (Z, T, CORRECTED)}
        covered |= {f"covered, {x}": 1 - rate(outside(found, x, true))[0] for x in TESTS[model]}
        rows.append(row | covered | {"rejected, z": rate(outside(found, Z, 0.0))[0]})
    return rows


def deviations(sds):
    """Return the mean standard deviations of persons and items, and how many fits converged."""
    return [
        {
            "model": model,
            "sd of persons": float(found["id"].mean()),
            "sd of items": None if found["item"].isna().all() else float(found["item"].mean()),
            "converged": f"{found['converged'].sum()} of {len(found)}",
        }
        for model, found in sds.groupby("model", sort=False)
    ]


def fixed_point(rows):
    """Write all numbers with three decimals."""
    return [{k: f"{v:.3f}" if isinstance(v, float) else v for k, v in row.items()} for row in rows]


def main():
    asked = simulation_options(__doc__, 1973, "data sets")
    n = asked.replicates
    about = machine()
    report("Machine", [{"what": name, "value": value} for name, value in about.items()])
    found, taken = timed(lambda: replicated(replicate, n, asked.seed))
    effects, sds = (pd.concat(part) for part in zip(*found, strict=True))
    tables = {
        f"{NULL.capitalize()}, which does nothing: rejected at 5%": rejections(effects),
        "Effects of all features": accuracy(effects),
        f"Standard deviations (true: persons {SD['id']}, items {SD['item']})": deviations(sds),
    }
    for title, rows in tables.items():
        report(title, fixed_point(rows))
    print(f"\n{n} replicates of {PERSONS} x {ITEMS} in {taken.wall:.0f} s.")
    save(asked.json, machine=about, replicates=n, seed=asked.seed, tables=tables)


if __name__ == "__main__":
    main()
