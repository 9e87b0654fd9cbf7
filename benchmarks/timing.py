"""What every benchmark shares: timings, child processes, the machine, tables."""

import argparse
import importlib.metadata
import json
import math
import os
import pathlib
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

VERSIONS = ["eirt", "jax", "jaxlib", "numpy", "scipy", "pandas"]
DECIMALS = {"log-likelihood": 4, "error": 4, "estimated error": 4, "se of it": 4, "peak MiB": 0}

Key = TypeVar("Key")
T = TypeVar("T")


class Seconds(NamedTuple):
    """On the clock, and of all threads of the process."""

    wall: float
    cpu: float


class Run(NamedTuple):
    """A child process: seconds, peak memory, what it printed."""

    wall: float
    cpu: float
    peak_mib: float
    out: str


def timed(function: Callable[[], Any]) -> tuple[Any, Seconds]:
    """Return the result of a function and the seconds that it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = function()
    return result, Seconds(time.perf_counter() - wall, time.process_time() - cpu)


def rounds(tasks: Mapping[Key, Callable[[], T]], repeats: int) -> dict[Key, list[T]]:
    """Do every task in turn, `repeats` times, so that a busy moment disturbs all alike."""
    results: dict[Key, list[T]] = {key: [] for key in tasks}
    for _ in range(repeats):
        for key, task in tasks.items():
            results[key].append(task())
    return results


def simulation_options(description: str, seed: int, of: str) -> argparse.Namespace:
    """Read the options of a simulation study from the command line.

    Args:
        description: what it is about.
        seed: by default.
        of: what there are so many replicates of.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--replicates", type=int, default=1000, help=of)
    parser.add_argument("--seed", type=int, default=seed, help="of the random numbers")
    parser.add_argument("--quick", action="store_true", help="60 replicates")
    parser.add_argument("--json", metavar="FILE", help="write the results here as well")
    asked = parser.parse_args()
    asked.replicates = 60 if asked.quick else asked.replicates
    return asked


def replicated(study: Callable[[Any], T], n: int, seed: int) -> list[T]:
    """Return what a study finds in n simulated data sets, each with random numbers of its own.

    The first of them are the same however many there are.
    """
    import numpy as np

    start, found = time.perf_counter(), []
    for number, own in enumerate(np.random.SeedSequence(seed).spawn(n), 1):
        found.append(study(np.random.default_rng(own)))
        if number % 100 == 0:
            seconds = time.perf_counter() - start
            print(f"{study.__name__}: {number} of {n}, {seconds:.0f} s", file=sys.stderr)
    return found


def medians(samples: Sequence[Any]) -> Any:
    """Return named tuples as one, numbers being medians and the rest as in the last."""
    last = samples[-1]
    columns = zip(last._fields, zip(*samples, strict=True), strict=True)
    numbers = {name: values for name, values in columns if isinstance(values[-1], float)}
    return last._replace(**{name: statistics.median(x) for name, x in numbers.items()})


def run(command: Sequence[str], **environment: str) -> Run:
    """Run a command to its end in an empty folder and return what it took.

    A child starts with the memory of its parent on its account, so `peak_mib` can be trusted only
    where the parent is smaller: a benchmark that reports it imports little.
    """
    with tempfile.TemporaryDirectory() as folder:
        out, error = pathlib.Path(folder, "out"), pathlib.Path(folder, "error")
        with out.open("wb") as stdout, error.open("wb") as stderr:
            start = time.perf_counter()
            child = subprocess.Popen(
                command, stdout=stdout, stderr=stderr, cwd=folder, env={**os.environ, **environment}
            )
            _, status, used = os.wait4(child.pid, 0)
            wall = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            raise RuntimeError(f"{command} failed:\n{error.read_text(errors='replace')[-2000:]}")
        return Run(wall, used.ru_utime + used.ru_stime, _mib(used), out.read_text())


def _mib(used: resource.struct_rusage) -> float:
    return used.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def machine(**more: str) -> dict[str, str]:
    """Describe the machine and the versions in use."""
    found = {"CPU": _cpu(), "cores": str(os.cpu_count()), "system": platform.system()}
    found["load at start"] = f"{os.getloadavg()[0]:.1f}"
    found["Python"] = platform.python_version()
    for name in VERSIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "from source"
    return found | more


def _cpu() -> str:
    information = pathlib.Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Lay out rows with the same keys as a Markdown table."""
    heads = list(rows[0])
    body = [[_text(row[head], DECIMALS.get(head)) for head in heads] for row in rows]
    widths = [max(map(len, column)) for column in zip(heads, *body, strict=True)]
    lines = [heads, ["-" * width for width in widths], *body]
    return "\n".join(
        "| " + " | ".join(f"{x:<{w}}" for x, w in zip(line, widths, strict=True)) + " |"
        for line in lines
    )


def _text(value: Any, decimals: int | None) -> str:
    """Write numbers with so many decimals, or three digits."""
    if not isinstance(value, float):
        return "" if value is None else str(value)
    if decimals is None:
        decimals = max(2 - math.floor(math.log10(abs(value) or 1)), 0)
    return f"{value:.{decimals}f}"


def report(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a titled table."""
    print(f"\n### {title}\n\n{table(rows)}", flush=True)


def save(path: str | None, **results: Any) -> None:
    """Write results as JSON where a path is given."""
    if path:
        pathlib.Path(path).write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
