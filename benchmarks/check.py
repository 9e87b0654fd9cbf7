"""Has anything got slower? Fits are timed beside a yardstick, and ratios compared with old ones.

Seconds differ between machines and moments; how often a fixed piece of work (products, a loop,
exponentials) fits into a fit differs far less. `--update` stores the ratios of now.
"""

import argparse
import json
import sys
from pathlib import Path

from timing import report, rounds, timed

STORED = Path(__file__).with_name("check.json")
MORE = 1.3  # times the stored ratio: slower


def yardstick():
    """Do a fixed piece of work."""
    import numpy as np

    rng = np.random.default_rng(0)
    x = rng.normal(size=(700, 700))
    for _ in range(5):
        x = np.tanh(x @ x.T / 700)
    total = np.exp(rng.normal(size=2_000_000)).sum()
    return total + sum(i % 7 for i in range(300_000))


def cases():
    """Return what is timed, by name; everything is compiled once before."""
    import numpy as np
    import pandas as pd

    import eirt

    rng = np.random.default_rng(1)
    va = eirt.load("verbagg")

    def table(size, n_items, most):
        y = most / 2 + rng.normal(size=(size, 1)) + rng.logistic(size=(size, n_items))
        codes = np.clip(np.round(y), 0, most).astype(np.int8)
        return pd.DataFrame(codes, columns=[f"i{k}" for k in range(n_items)])

    binary, graded = table(40_000, 40, 1), table(8000, 30, 4)
    crossed = "r2 ~ btype + situ + mode + (1 | id) + (1 | item)"
    two_pl = eirt.two_pl(binary, wide=True)
    return {
        "Rasch, verbal aggression": lambda: eirt.rasch(va, response="r2").difficulty(),
        "2PL, 40,000 x 40": lambda: eirt.two_pl(binary, wide=True),
        "Rasch, 40,000 x 40": lambda: eirt.rasch(binary, wide=True),
        "graded, 8,000 x 30 x 5": lambda: eirt.grm(graded, wide=True, check=False),
        "crossed, verbal aggression": lambda: eirt.eirm(va, crossed),
        "Laplace, verbal aggression": lambda: eirt.eirm(va, crossed, likelihood=eirt.Laplace()),
        "abilities by WLE, 40,000": lambda: two_pl.persons("WLE"),
        "item fit, verbal aggression": lambda: eirt.rasch(va, response="r2").item_fit(),
    }


def measure(repeats):
    """Return each case's seconds of CPU over the yardstick's, the least of several rounds."""
    tasks = cases()
    for task in tasks.values():
        task()
    every = {"yardstick": yardstick, **tasks}
    taken = rounds({name: lambda t=task: timed(t)[1].cpu for name, task in every.items()}, repeats)
    least = {name: min(seconds) for name, seconds in taken.items()}
    return {name: least[name] / least["yardstick"] for name in tasks}


def verdict(now, before, more=MORE):
    """Return a row for each case: the ratios, how they compare, and what that means."""
    rows = []
    for name, ratio in now.items():
        old = before.get(name)
        change = None if old is None else ratio / old
        word = (
            "new"
            if change is None
            else "slower"
            if change > more
            else "faster"
            if change < 1 / more
            else "same"
        )
        rows.append(
            {"case": name, "now": ratio, "stored": old, "now / stored": change, "it is": word}
        )
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--update", action="store_true", help="store the ratios of now")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--more", type=float, default=MORE)
    asked = parser.parse_args()
    now = measure(asked.repeats)
    before = json.loads(STORED.read_text()) if STORED.exists() else {}
    rows = verdict(now, before, asked.more)
    report("CPU seconds of fits over those of a yardstick", rows)
    if asked.update:
        STORED.write_text(
            json.dumps({name: round(x, 4) for name, x in now.items()}, indent=2) + "\n"
        )
    slower = [row["case"] for row in rows if row["it is"] == "slower"]
    if slower and not asked.update:
        sys.exit(f"slower by more than {asked.more:g} times: {', '.join(slower)}")


if __name__ == "__main__":
    main()
