"""Verbal aggression: fits after compilation, whole processes, and R's mixed models beside them."""

import argparse
import os
import re
import sys
import tempfile
from pathlib import Path

import peers
from timing import machine, medians, report, rounds, run, save, timed

FEATURES = "btype + situ + mode"
LLTM, CROSSED = "LLTM", "LLTM + item residuals"

# The exact log-likelihood where there is one integral a person, by importance sampling (standard
# error 0.003) for the crossed model; see tests/reference/verbagg_rasch and verbagg_exact.
TRUTH = {"Rasch": -4036.90487, "2PL": -4016.42722, LLTM: -4116.61312, CROSSED: -4071.549}
PEER_FORMULAS = {
    LLTM: f"r2 ~ {FEATURES} + (1 | id)",
    CROSSED: f"r2 ~ {FEATURES} + (1 | id) + (1 | item)",
}
CALLS = 3  # a fit takes so little that each round makes several


def eirt_fits(data):
    """Return what fits each model, by model and program."""
    import eirt

    columns = {"person": "id", "item": "item", "response": "r2"}
    ability, laplace = {"ability": "~ Anger + Gender"}, {"likelihood": eirt.Laplace()}

    def lltm(rest="", **options):
        return lambda: eirt.lltm(data, f"~ {FEATURES}{rest}", **options, **columns)

    return {
        ("Rasch", "eirt"): lambda: eirt.rasch(data, **columns),
        ("2PL", "eirt"): lambda: eirt.two_pl(data, **columns),
        (LLTM, "eirt"): lltm(),
        (CROSSED, "eirt, Nested"): lltm(" + (1 | item)"),
        (CROSSED, "eirt, Laplace"): lltm(" + (1 | item)", **laplace),
        (f"{CROSSED}, persons", "eirt, Nested"): lltm(" + (1 | item)", **ability),
    }


def eirt_processes(data, folder, with_demo):
    """Return what runs each command; `cold` starts with an empty cache of compiled functions."""
    file = folder / "verbagg.csv"
    data.to_csv(file, index=False)
    lltm = ["fit", str(file), "--model", "lltm", "--person", "id", "--response", "r2", "--formula"]
    commands = {
        (LLTM, "eirt fit"): [*lltm, f"~ {FEATURES}"],
        (CROSSED, "eirt fit"): [*lltm, f"~ {FEATURES} + (1 | item)"],
    }
    if with_demo:
        commands["six models", "eirt demo"] = ["demo", "--quiet"]
    tasks = {
        ("", f"import {name}"): lambda n=name: run([sys.executable, "-c", f"import {n}"])
        for name in ("jax", "eirt")
    }
    for (model, name), arguments in commands.items():

        def start(cache=None, command=(sys.executable, "-m", "eirt", *arguments)):
            return run(command, EIRT_CACHE_DIR=cache or tempfile.mkdtemp(dir=folder))

        filled = tempfile.mkdtemp(dir=folder)
        start(filled)
        tasks[model, f"{name}, cold cache"] = start
        tasks[model, f"{name}, warm cache"] = lambda again=start, cache=filled: again(cache)
    return tasks


def fit_row(model, program, first, seconds, loglik, estimated=None):
    return {
        "model": model,
        "program": program,
        "first": first,
        "seconds": seconds.wall,
        "CPU": seconds.cpu,
        "log-likelihood": loglik,
        "error": loglik - TRUTH[model] if model in TRUTH else None,
        "estimated error": estimated,
    }


def process_row(model, command, found):
    return {"model": model, "process": command, "seconds": found.wall, "CPU": found.cpu}


def rows(found, first):
    """Return the rows of both tables: fits and whole processes."""
    fit_rows, process_rows = [], []
    for (kind, model, program), samples in found.items():
        if kind == "fit":
            fit, compiling = first[model, program]
            estimated = None if fit.laplace_error is None else -fit.laplace_error
            row = (model, program, compiling.wall, medians(samples), fit.loglik, estimated)
            fit_rows.append(fit_row(*row))
        elif kind == "process":
            process_rows.append(process_row(model, program, medians(samples)))
        else:
            seconds = medians([peer.fit for peer in samples])
            fit_rows.append(fit_row(model, program, None, seconds, samples[-1].loglik))
            process = medians([peer.process for peer in samples])
            process_rows.append(process_row(model, program, process))
    return fit_rows, process_rows


def beside_peers(table, packages):
    """Put each model's rows together and add how many times as long each peer takes."""
    models = list(dict.fromkeys(row["model"] for row in table))
    for row in table:
        for package in packages:
            peer = [r for r in table if r["model"] == row["model"] and package in r.values()]
            row[f"{package} / this"] = peer[0]["seconds"] / row["seconds"] if peer else None
    return sorted(table, key=lambda row: models.index(row["model"]))


def check(found):
    """Stop where a command did not print the log-likelihood that it should."""
    for (model, command), runs in found.items():
        if model in TRUTH and command.startswith("eirt"):
            loglik = float(re.findall(r"-\d+\.\d{4}", runs[-1].out)[0])
            assert abs(loglik - TRUTH[model]) < 0.1, f"{command}: {model} gave {loglik}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round, no demo")
    parser.add_argument("--json", metavar="FILE", help="write the results here as well")
    arguments = parser.parse_args()
    repeats = 1 if arguments.quick else 3

    versions = peers.versions()
    about = machine(**versions)
    report("Machine", [{"what": name, "value": value} for name, value in about.items()])
    packages = [package for package in peers.FITTERS if package in versions]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["EIRT_CACHE_DIR"] = tempfile.mkdtemp(dir=folder)
        import eirt

        data = eirt.load("verbagg")
        fits = eirt_fits(data)
        first = {key: timed(fit) for key, fit in fits.items()}
        tasks = {
            ("fit", *key): lambda f=fit: medians([timed(f)[1] for _ in range(CALLS)])
            for key, fit in fits.items()
        }
        processes = eirt_processes(data, folder, not arguments.quick)
        tasks |= {("process", *key): start for key, start in processes.items()}
        for model, formula in PEER_FORMULAS.items():
            for package in packages:
                key = ("peer", model, package)
                tasks[key] = lambda p=package, f=formula: peers.fit(p, f, data, folder)
        found = rounds(tasks, repeats)

    check({key: found["process", *key] for key in processes})
    fit_rows, process_rows = rows(found, first)
    fit_rows = beside_peers(fit_rows, packages)
    process_rows = beside_peers(process_rows, packages)
    report("Fits, in a process that has fitted the model before", fit_rows)
    report("Whole processes, from CSV to the result", process_rows)
    save(arguments.json, machine=about, fits=fit_rows, processes=process_rows)


if __name__ == "__main__":
    main()
