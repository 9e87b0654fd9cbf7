"""Large data on one machine: time and memory of fits and scores, and small data in a process.

Every row is a process of its own that reads its table (a byte a response) from a file. The first
fit finds an empty folder of compiled functions; the others are warm. Memory is what the process
held at most beyond what it held with the data read and eirt imported.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from timing import machine, report, run, save

N_ITEMS = 50
CAP = 4 * 2**30  # bytes of data, reserved ones included, for the largest table

SIMULATE = """
import numpy as np
def simulate(n_persons, n_items, slopes, seed=1):
    rng = np.random.default_rng(seed)
    slope = rng.lognormal(0.1, 0.3, n_items) if slopes else np.ones(n_items)
    easiness = rng.normal(0, 1, n_items)
    y = np.empty((n_persons, n_items), np.int8)
    for begin in range(0, n_persons, 50_000):
        theta = rng.normal(size=(min(50_000, n_persons - begin), 1))
        y[begin:begin + 50_000] = rng.random((len(theta), n_items)) < 1 / (
            1 + np.exp(-(slope * theta + easiness)))
    return y
"""
FIT = """
import json, resource, sys, time
import numpy as np, pandas as pd, eirt
eirt.two_pl, eirt.rasch
import jax; jax.devices()
y = np.load({file})
table = pd.DataFrame(y, columns=[f"i{{k:03d}}" for k in range(y.shape[1])])
place = np.arange(y.shape[1])
features = pd.DataFrame(dict(item=table.columns, x1=place % 7, x2=place % 3))
scale = 2**20 if sys.platform == "darwin" else 2**10
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale
before, taken = peak(), []
for _ in range({times}):
    start = time.perf_counter()
    fit = {fit}
    taken.append(time.perf_counter() - start)
beyond = peak() - before
start = time.perf_counter()
fit.persons()
first = time.perf_counter() - start
again = {fit}
start = time.perf_counter()
again.persons()
scores = time.perf_counter() - start
print(json.dumps(dict(taken=taken, beyond=beyond, scores=scores, first_scores=first,
                      converged=fit.converged, error=fit.quadrature_error)))
"""
FITS = {
    "Rasch": "eirt.rasch(table, wide=True)",
    "LLTM": "eirt.lltm(table, '~ x1 + x2', features=features, wide=True)",
    "2PL": "eirt.two_pl(table, wide=True)",
}
SPARSE = """
import json, resource, sys, time
import numpy as np, pandas as pd, eirt
n_persons, n_items, each = {persons}, {items}, {each}
rng = np.random.default_rng(1)
item = np.concatenate([rng.choice(n_items, each, replace=False) for _ in range(n_persons)])
person = np.repeat(np.arange(n_persons), each)
slope, location = rng.lognormal(0, 0.3, n_items), rng.normal(size=n_items)
eta = slope[item] * (rng.normal(size=n_persons)[person] - location[item])
names = [f"i{{k:05d}}" for k in range(n_items)]
data = pd.DataFrame(dict(id=person, item=pd.Categorical.from_codes(item, names),
                         resp=(rng.random(len(eta)) < 1 / (1 + np.exp(-eta))).astype(np.int8)))
priors = dict(discrimination=eirt.LogNormal(0, 0.5))
taken = []
for _ in range(2):
    start = time.perf_counter()
    fit = eirt.two_pl(data, extreme="drop", priors=priors, progress=False)
    fitted = time.perf_counter() - start
    table = fit.items
    taken.append((fitted, time.perf_counter() - start))
scale = 2**20 if sys.platform == "darwin" else 2**10
gap = table["easiness"] + (slope * location)[table["item"].str[1:].astype(int)]
print(json.dumps(dict(
    taken=taken, parameters=fit.n_params, converged=fit.converged, error=fit.quadrature_error,
    covered=float((abs(gap / table["se"]) < 1.96).mean()),
    peak=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale)))
"""
PARQUET = """
import json, resource, sys, time
resource.setrlimit(resource.RLIMIT_DATA, ({cap}, {cap}))
import eirt
start = time.perf_counter()
fit = eirt.two_pl({file}, wide=True)
taken = time.perf_counter() - start
scale = 2**20 if sys.platform == "darwin" else 2**10
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale
print(json.dumps(dict(taken=taken, converged=fit.converged, peak=peak)))
"""
WRITE = """
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
n, n_items, part = {persons}, {items}, 500_000
writer = None
for begin in range(0, n, part):
    y = simulate(min(part, n - begin), n_items, True, seed=1).astype(np.int64)
    if begin:
        y = np.roll(y, 1 + begin // part, axis=0)
    rows = pa.table({{f"i{{k:03d}}": y[:, k] for k in range(n_items)}})
    writer = writer or pq.ParquetWriter({file}, rows.schema)
    writer.write_table(rows)
writer.close()
"""
SMALL = {
    "eirt": """
import pandas as pd, eirt
print(eirt.two_pl(pd.read_csv({file}), wide=True).difficulty())
""",
    "mirt": """
import pandas as pd, mirt
print(mirt.fit_mirt(pd.read_csv({file}).to_numpy(), model="2PL").summary())
""",
    "theta-irt": """
import pandas as pd, theta
found = theta.fit(pd.read_csv({file}).to_numpy(), model="2PL")
print(pd.DataFrame(dict(a=found.a, b=found.b)))
""",
}
IMPORTS = {"import jax": "import jax", "import eirt": "import eirt"}


def script(folder, text):
    """Return the command that runs a text."""
    file = Path(folder, "script.py")
    file.write_text(text)
    return [sys.executable, str(file)]


def table_of(folder, n_persons, n_items=N_ITEMS, slopes=True):
    """Write a simulated table and return its path."""
    file = Path(folder, f"{n_persons}x{n_items}{slopes}.npy")
    if not file.exists():
        text = f"{SIMULATE}\nnp.save({str(file)!r}, simulate({n_persons}, {n_items}, {slopes}))"
        run(script(folder, text))
    return file


def fitted(folder, model, n_persons, n_items=N_ITEMS, times=3):
    """Return a row: the first fit with nothing compiled, the last one, memory, scores."""
    file = table_of(folder, n_persons, n_items, model == "2PL")
    with tempfile.TemporaryDirectory() as cache:
        text = FIT.format(file=repr(str(file)), fit=FITS[model], times=times)
        found = json.loads(run(script(folder, text), EIRT_CACHE_DIR=cache).out.splitlines()[-1])
    if not found["converged"]:
        raise RuntimeError(f"{model} of {n_persons} x {n_items} did not converge")
    return {
        "model": model,
        "persons": n_persons,
        "items": n_items,
        "first, cold cache": found["taken"][0],
        "warm": min(found["taken"][1:]),
        "MiB beyond the data": found["beyond"],
        "scores": found["scores"],
        "microseconds a person": 1e6 * min(found["taken"][1:]) / n_persons,
        "quadrature error": f"{found['error']:.0e}",
    }


def streamed(folder, n_persons):
    """Return a row: a Parquet file of eight bytes a response, read and fitted in capped memory."""
    file = Path(folder, "large.parquet")
    run(
        script(
            folder, SIMULATE + WRITE.format(persons=n_persons, items=N_ITEMS, file=repr(str(file)))
        )
    )
    text = PARQUET.format(file=repr(str(file)), cap=CAP)
    found = json.loads(run(script(folder, text)).out.splitlines()[-1])
    return {
        "persons": n_persons,
        "items": N_ITEMS,
        "GiB at 8 bytes a response": n_persons * N_ITEMS * 8 / 2**30,
        "seconds": found["taken"],
        "peak MiB": found["peak"],
        "converged": found["converged"],
        "microseconds a person": 1e6 * found["taken"] / n_persons,
    }


def sparse(folder, n_persons, n_items, each):
    """Return a row: persons who answered a few of many items, a prior on discriminations."""
    text = SPARSE.format(persons=n_persons, items=n_items, each=each)
    with tempfile.TemporaryDirectory() as cache:
        found = json.loads(run(script(folder, text), EIRT_CACHE_DIR=cache).out.splitlines()[-1])
    first, warm = found["taken"]
    return {
        "persons": n_persons,
        "items": n_items,
        "responses": n_persons * each,
        "parameters": found["parameters"],
        "first, cold cache": first[0],
        "warm": warm[0],
        "with standard errors": warm[1],
        "peak MiB": found["peak"],
        "covered, %": 100 * found["covered"],
        "converged": found["converged"],
        "quadrature error": f"{found['error']:.0e}",
    }


def small(folder, name, n_persons, n_items, repeats=3):
    """Return a row: a whole process from CSV to the table of items, in CPU seconds."""
    file = Path(folder, f"small{n_persons}.csv")
    if not file.exists():
        text = f"""{SIMULATE}
import pandas as pd
y = simulate({n_persons}, {n_items}, True)
pd.DataFrame(y, columns=[f"i{{k}}" for k in range({n_items})]).to_csv({str(file)!r}, index=False)"""
        run(script(folder, text))
    command = script(folder, SMALL[name].format(file=repr(str(file))))
    with tempfile.TemporaryDirectory() as cache:
        first, *later = (run(command, EIRT_CACHE_DIR=cache) for _ in range(1 + repeats))
    best = min(later, key=lambda one: one.cpu)
    return {
        "table": f"{n_persons} x {n_items}",
        "process": name,
        "first": first.wall,
        "CPU of first": first.cpu,
        "later": best.wall,
        "CPU of later": best.cpu,
    }


def imports(folder, repeats=5):
    """Return rows: what imports cost."""
    rows = []
    for name, text in IMPORTS.items():
        best = min((run(script(folder, text)) for _ in range(repeats)), key=lambda one: one.wall)
        rows.append({"process": name, "seconds": best.wall, "CPU": best.cpu})
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tables of 20,000 persons at most")
    parser.add_argument("--parquet", action="store_true", help="10 million from Parquet, too")
    parser.add_argument("--json")
    asked = parser.parse_args()
    largest = 20_000 if asked.quick else 1_000_000
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        results["Large tables"] = [fitted(folder, model, largest) for model in FITS]
        persons = [n for n in (10_000, 100_000, 1_000_000) if n < largest]
        results["Time against persons"] = [fitted(folder, "2PL", n) for n in persons]
        n = largest // 20
        items = (20, 50) if asked.quick else (20, 50, 100, 200, 500)
        results["Time against items"] = [fitted(folder, "2PL", n, size) for size in items]
        sizes = [(3000, 20_000, 633), (20_000, 2000, 40)]  # many items; a bank, and many persons
        if asked.quick:
            sizes = [(400, 3000, 300)]
        results["Few answers to each of many items"] = [sparse(folder, *size) for size in sizes]
        if asked.parquet:
            results["Parquet in capped memory"] = [streamed(folder, 10 * largest)]
        sizes = [(1000, 30)]
        results["Small data, whole process"] = [
            small(folder, name, *size) for size in sizes for name in SMALL if _installed(name)
        ]
        results["Imports"] = imports(folder)
    for title, rows in results.items():
        report(title, rows)
    save(asked.json, machine=machine(), **results)


def _installed(name):
    import importlib.util

    return importlib.util.find_spec(name.partition("-")[0]) is not None


if __name__ == "__main__":
    main()
