"""Crossed persons and items with covariates of both: time, memory, and error of the likelihood."""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import peers
from timing import machine, medians, report, run, save, timed

FORMULA = "resp ~ x1 + x2 + x3 + x4 + (1 | person) + (1 | item)"
PEERS = ("glmm", "gpboost", "glmmTMB", "lme4")
SIZES = [(316, 24, 7584), (5000, 100, 500_000)]
SCALE = [(200, 6000, 759_000), (100_000, 100, 10_000_000)]
QUICK = [(200, 20, 4000)]
PROCESS = """
import sys, pandas, eirt
data = pandas.read_csv(sys.argv[1])
print(eirt.eirm(data, sys.argv[2]))
"""


def simulate(n_persons, n_items, n_responses, seed=1):
    """Return responses; x1 and x2 describe items, x3 and x4 persons."""
    import numpy as np
    import pandas as pd

    random = np.random.default_rng(seed)
    of_items, of_persons = random.normal(size=(n_items, 2)), random.normal(size=(n_persons, 2))
    easiness = of_items @ [0.5, -0.5] + 0.5 * random.normal(size=n_items)
    ability = of_persons @ [0.3, -0.3] + random.normal(size=n_persons)
    cells = np.arange(n_persons * n_items)
    if n_responses < len(cells):
        cells = np.sort(random.permutation(cells)[:n_responses])
    person, item = np.divmod(cells, n_items)
    y = random.random(len(person)) < 1 / (1 + np.exp(-ability[person] - easiness[item]))
    covariates = np.hstack([of_items[item], of_persons[person]])
    data = pd.DataFrame(covariates, columns=["x1", "x2", "x3", "x4"])
    labels = {"person": pd.Categorical(person), "item": pd.Categorical(item)}
    return data.assign(**labels, resp=y.astype(int))


def child(n_persons, n_items, n_responses, repeats):
    """Fit once, then `repeats` times more and estimate the error; print what it took."""
    import eirt

    data = simulate(n_persons, n_items, n_responses)
    found, first = timed(lambda: eirt.eirm(data, FORMULA))
    results = {"first": first.wall, "loglik": found.loglik, "converged": found.converged}
    if repeats:
        warm = medians([timed(lambda: eirt.eirm(data, FORMULA))[1] for _ in range(repeats)])
        errors, check = timed(found.check)
        results |= {"warm": warm.wall, "warm CPU": warm.cpu, "check": check.wall} | errors
    print(json.dumps(results))


def eirt_row(n_persons, n_items, n_responses, repeats):
    """Fit in three processes, the first with an empty cache of compiled functions."""
    with tempfile.TemporaryDirectory() as cache:

        def process(times):
            sizes = map(str, (n_persons, n_items, n_responses, times))
            return run([sys.executable, __file__, "--child", *sizes], EIRT_CACHE_DIR=cache)

        cold, warm = process(0), process(repeats)
        data = Path(cache, "data.csv")
        simulate(n_persons, n_items, n_responses).to_csv(data, index=False)
        command = [sys.executable, "-c", PROCESS, str(data), FORMULA]
        run(command, EIRT_CACHE_DIR=cache)
        whole = run(command, EIRT_CACHE_DIR=cache)
    one, many = json.loads(cold.out), json.loads(warm.out)
    return {
        "persons": n_persons,
        "items": n_items,
        "responses": n_responses,
        "program": "eirt, Nested",
        "first, cold cache": one["first"],
        "first, warm cache": many["first"],
        "seconds": many["warm"],
        "CPU": many["warm CPU"],
        "process": whole.wall,
        "peak MiB": cold.peak_mib,
        "log-likelihood": many["loglik"],
        "error": -many["laplace"],
        "se of it": many["laplace_se"],
        "check": many["check"],
        "peer / eirt, fit": None,
        "peer / eirt, process": None,
    }


def peer_row(package, n_persons, n_items, n_responses, ours):
    """Fit with a peer, in one process."""
    data = simulate(n_persons, n_items, n_responses)
    with tempfile.TemporaryDirectory() as folder:
        found = peers.fit(package, FORMULA, data, Path(folder))
    return dict.fromkeys(ours) | {
        "persons": n_persons,
        "items": n_items,
        "responses": n_responses,
        "program": package,
        "seconds": found.fit.wall,
        "CPU": found.fit.cpu,
        "process": found.process.wall,
        "peer / eirt, fit": found.fit.wall / ours["seconds"],
        "peer / eirt, process": found.process.wall / ours["process"],
        "peak MiB": found.process.peak_mib,
        "log-likelihood": found.loglik,
        # how far each is from the importance-sampling estimate at eirt's maximum
        "error": found.loglik - ours["log-likelihood"] + ours["error"],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="200 x 20 only, one repeat")
    parser.add_argument("--peers", action="store_true", help="also glmm, gpboost, glmmTMB, lme4")
    parser.add_argument("--json", metavar="FILE", help="write the results here as well")
    parser.add_argument(
        "--scale", action="store_true", help="the sparse and the large data instead"
    )
    parser.add_argument("--child", nargs=4, type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(*arguments.child)
        return
    versions = peers.versions(PEERS) if arguments.peers else {}
    about = machine(**versions)
    report("Machine", [{"what": name, "value": value} for name, value in about.items()])
    imported = run([sys.executable, "-c", "import eirt, pandas"]).peak_mib
    sizes, repeats = (QUICK, 1) if arguments.quick else (SIZES, 3)
    if arguments.scale:
        sizes, repeats = SCALE, 1
    rows = [eirt_row(*size, repeats) for size in sizes]
    ours = dict(zip(sizes, rows, strict=True))
    found = [package for package in PEERS if package in versions]
    rows += [peer_row(package, *size, ours[size]) for size in sizes for package in found]
    report(FORMULA, rows)
    print(f"\nOf the peak, {imported:.0f} MiB are there once eirt is imported.")
    save(arguments.json, machine=about, import_mib=imported, fits=rows)


if __name__ == "__main__":
    main()
