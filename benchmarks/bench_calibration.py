"""2PL and graded response models on large data: eirt against Python peers, where installed.

    P(y >= c) = logistic(a_i (theta_p - b_ic)),   theta_p ~ N(0, 1)

Two categories make it the 2PL. PyPI's mirt (with standard errors, its default, or without), girth,
and for the 2PL theta-irt. Every package fits the same table in a process of its own. As each has
its own grid and stops by its own rule, all estimates are put into one log-likelihood: on 121
nodes, by numpy.
"""

import argparse
import importlib.util
import json
import sys
import tempfile
from pathlib import Path

from timing import machine, report, rounds, run, save

FIT = """
import json, time, warnings
import numpy as np
warnings.simplefilter("ignore")
y = np.load({file})
{body}
taken = []
for _ in range({times}):
    wall, cpu = time.perf_counter(), time.process_time()
    a, b = fit()
    taken.append((time.perf_counter() - wall, time.process_time() - cpu))
print(json.dumps(dict(taken=taken, a=np.asarray(a).tolist(), b=np.asarray(b).tolist())))
"""
EIRT = """
import pandas as pd
import eirt
table = pd.DataFrame(y, columns=[f"i{j:03d}" for j in range(y.shape[1])])
def fit():
    found = eirt.DOOR(table, wide=True, check=False).difficulty()
    b = found["difficulty"].to_numpy().reshape(y.shape[1], -1)
    return found["discrimination"].to_numpy().reshape(b.shape)[:, 0], b
"""
MIRT = """
import mirt
def fit():
    found = mirt.fit_mirt(y, model=MODEL, compute_standard_errors=ERRORS)
    parameters = found.model.parameters
    return parameters["discrimination"], parameters[THRESHOLDS]
"""
GIRTH = """
import girth
def fit():
    found = girth.DOOR(y.T + FIRST)
    return found["Discrimination"], found["Difficulty"]
"""
THETA = """
import theta
def fit():
    found = theta.fit(y, model="2PL")
    return found.a, found.b
"""
BODIES = {
    "graded": {
        "eirt": EIRT.replace("DOOR", "grm"),
        "mirt": MIRT.replace("MODEL", "'GRM', n_categories=int(y.max()) + 1", 1)
        .replace("ERRORS", "True")
        .replace("THRESHOLDS", "'thresholds'"),
        "girth": GIRTH.replace("DOOR", "grm_mml").replace("FIRST", "1"),
    },
    "2pl": {
        "eirt": EIRT.replace("DOOR", "two_pl"),
        "mirt": MIRT.replace("MODEL", "'2PL'", 1)
        .replace("ERRORS", "True")
        .replace("THRESHOLDS", "'difficulty'"),
        "girth": GIRTH.replace("DOOR", "twopl_mml").replace("FIRST", "0"),
        "theta": THETA,
    },
}
for bodies in BODIES.values():
    bodies["mirt, no errors"] = bodies["mirt"].replace("errors=True", "errors=False")


def simulate(n_persons, n_items, n_categories):
    """Return codes, persons x items."""
    import numpy as np

    rng = np.random.default_rng(1)
    a = rng.lognormal(0.2, 0.3, n_items)
    b = np.sort(rng.normal(0, 1.2, (n_items, n_categories - 1)), axis=1)
    latent = a * rng.normal(size=(n_persons, 1)) + rng.logistic(size=(n_persons, n_items))
    return sum((latent > a * b[:, c]).astype(int) for c in range(n_categories - 1))


def loglik(y, a, b):
    """Return the marginal log-likelihood of estimates."""
    import numpy as np
    from scipy.special import expit, logsumexp

    nodes = np.linspace(-6.5, 6.5, 121)
    log_weights = -(nodes**2) / 2
    log_weights -= logsumexp(log_weights)
    total = np.zeros((len(y), len(nodes)))
    for j in range(y.shape[1]):
        reached = expit(a[j] * (nodes - b[j][:, None]))
        reached = np.vstack([np.ones_like(nodes), reached, np.zeros_like(nodes)])
        total += np.log(np.maximum(reached[:-1] - reached[1:], 1e-300))[y[:, j]]
    return float(logsumexp(total + log_weights, axis=1).sum())


def fitted(name, y, folder, times):
    """Return a row of the table: seconds of the first and of the last fit, and the estimates'."""
    import numpy as np

    np.save(folder / "y.npy", y)
    script = folder / "fit.py"
    body = BODIES["2pl" if y.max() == 1 else "graded"][name]
    script.write_text(FIT.format(file=repr(str(folder / "y.npy")), body=body, times=times))
    with tempfile.TemporaryDirectory() as cache:  # the first fit finds nothing compiled
        process = run([sys.executable, str(script)], EIRT_CACHE_DIR=cache)
    found = json.loads(process.out.splitlines()[-1])
    a, b = np.array(found["a"]), np.array(found["b"]).reshape(y.shape[1], -1)
    (first, _), (last, last_cpu) = found["taken"][0], found["taken"][-1]
    return {
        "package": name,
        "first fit": first,
        "last fit": last,
        "CPU of last": last_cpu,
        "peak MiB": process.peak_mib,
        "log-likelihood": loglik(y, a, b),
    }


def installed(name):
    """Return whether the package of a row is there."""
    return importlib.util.find_spec(name.partition(",")[0]) is not None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--persons", type=int, default=10_000)
    parser.add_argument("--items", type=int, default=40)
    parser.add_argument("--categories", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--times", type=int, default=3, help="fits of eirt and theta in a process")
    parser.add_argument("--peers", nargs="*", default=["mirt", "mirt, no errors", "girth", "theta"])
    parser.add_argument("--json")
    asked = parser.parse_args()
    bodies = BODIES["2pl" if asked.categories == 2 else "graded"]
    there = [name for name in asked.peers if name in bodies and installed(name)]
    y = simulate(asked.persons, asked.items, asked.categories)
    times = dict.fromkeys(["eirt", "theta"], asked.times)  # they compile on first use
    with tempfile.TemporaryDirectory() as folder:
        tasks = {
            name: lambda name=name: fitted(name, y, Path(folder), times.get(name, 1))
            for name in ["eirt", *there]
        }
        rows = [found[-1] for found in rounds(tasks, asked.repeats).values()]
    for row in rows:
        row["times eirt"] = row["last fit"] / rows[0]["last fit"]
    report(f"{asked.persons} x {asked.items}, {asked.categories} categories", rows)
    save(asked.json, machine=machine(), rows=rows)


if __name__ == "__main__":
    main()
