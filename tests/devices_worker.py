"""Fits on several devices, or in one of several processes: `tests/test_devices.py` runs this.

    python -m tests.devices_worker FOLDER [PROCESS PORT]

With a process and a port it fits its own part of the persons, otherwise all on four devices.
"""

import os
import pathlib
import pickle
import sys

import numpy as np
import pandas as pd

N, FIRST = 240, 100  # persons, and those of the first process
ITEMS = list("abcdef")


def data():
    """Return persons x items, binary, with holes, and graded, with covariates of persons."""
    rng = np.random.default_rng(5)
    theta = rng.normal(size=(N, 1))
    slope, easiness = rng.lognormal(0, 0.3, len(ITEMS)), rng.normal(0, 0.7, len(ITEMS))
    p = 1 / (1 + np.exp(-(slope * theta + easiness)))
    binary = pd.DataFrame((rng.random(p.shape) < p).astype(int), columns=ITEMS)
    holes = binary.astype(float).mask(rng.random(p.shape) < 0.1)
    holes.loc[: FIRST - 1, "c"] = np.nan  # an item that nobody of the first process answered
    graded = np.clip(np.round(1 + theta + rng.normal(size=(N, 4))), 0, 2).astype(int)
    graded = pd.DataFrame(graded, columns=ITEMS[:4])
    graded.loc[: FIRST - 1, "b"] = graded["b"].clip(upper=1)  # a category that it does not know
    kind = np.where(np.arange(N) < FIRST, "u", rng.choice(["u", "v", "w"], N))
    about = pd.DataFrame({"id": [f"p{k}" for k in range(N)], "age": rng.normal(size=N)})
    covariates = pd.concat([about.assign(kind=kind), binary[ITEMS[:4]]], axis=1)
    return {"binary": binary, "holes": holes, "graded": graded, "covariates": covariates}


CASES = {
    "complete": ("binary", "two_pl", {}),
    "missing": ("holes", "two_pl", {}),
    "graded": ("graded", "grm", {}),
    "equal scores": ("binary", "rasch", {}),
    "latent regression": ("covariates", "rasch", {"ability": "~ age + kind"}),
    "large": ("binary", "two_pl", {}),
    "large graded": ("graded", "grm", {}),
}
APART = [case for case in CASES if case not in ("equal scores", "large graded")]  # by process


def outcome(name, part, **options):
    """Return what is compared of a fit to some of the persons."""
    import eirt

    frame, model, own = CASES[name]
    frame = data()[frame][part].reset_index(drop=True)
    fit = getattr(eirt, model)(frame, wide=True, **own, **options)
    sandwich = {"sandwich": fit.covariance("sandwich")} if name == "complete" else {}
    return sandwich | {
        "loglik": fit.loglik,
        "estimates": fit.full,
        "vcov": fit.vcov.to_numpy(),
        "bic": fit.bic,
        "n": fit.items["n"].to_numpy(),
        "names": fit.names,
        "converged": fit.converged,
        "persons": fit.persons(),
        "summary": str(fit),
    }


def as_if_large():
    """Make few persons many: blocks, samples that lead the search, scores on polynomials."""
    import jax

    from eirt.likelihood import persons, quadrature, table

    jax.clear_caches()  # programs of the same shapes, without blocks
    persons.CACHED, quadrature.LEAST_REHEARSED = 2**10, 20
    table.MOST_PRODUCTS, quadrature.SAMPLE = 0.0, (20, 1)


def refusal(call):
    """Return what an error says."""
    try:
        call()
    except ValueError as error:
        return str(error)
    return None


def refusals(part):
    """Return what is refused: on several devices, or where processes disagree."""
    import jax

    import eirt

    frames, first = data(), jax.process_index() == 0
    apart = jax.process_count() > 1
    found = {}
    if apart:
        same = frames["covariates"][:50]
        other = frames["binary"][part].rename(columns={"a": "a" if first else "z"})
        few = frames["binary"][part]
        fit = eirt.rasch(few, wide=True, device="all")
        found["person"] = refusal(lambda: eirt.rasch(same, wide=ITEMS[:4], device="all"))
        listed = same.melt("id", ITEMS[:2] if first else ITEMS[2:4], "item", "resp")
        found["person, listed"] = refusal(lambda: eirt.rasch(listed, device="all"))
        found["items"] = refusal(lambda: eirt.rasch(other, wide=True, device="all"))
        found["refit"] = refusal(lambda: fit.bootstrap(2))
        return found
    long = frames["covariates"].melt(["id", "age", "kind"], ITEMS[:4], "item", "resp")
    crossed = "resp ~ 1 + (1 | id) + (1 | item)"
    found["crossed"] = refusal(lambda: eirt.eirm(long, crossed, device="all"))
    conditional = eirt.Conditional()
    wide = frames["binary"]
    found["conditional"] = refusal(
        lambda: eirt.rasch(wide, wide=True, likelihood=conditional, device=jax.devices()[:2])
    )
    return found


def main(folder, process=None, port=None):
    if process is None:
        # on a busy machine devices may wait for each other longer than the 40 seconds of XLA
        waiting = "--xla_cpu_collective_call_terminate_timeout_seconds=600"
        os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count=4 {waiting}"
        part, name, cases = slice(None), "devices", list(CASES)
    else:
        import jax

        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(f"localhost:{port}", 2, int(process))
        part = (slice(0, FIRST), slice(FIRST, N))[int(process)]
        name, cases = f"process{process}", APART
    found = {}
    for case in cases:
        if case == "large":
            as_if_large()
        found[case] = outcome(case, part, device="all")
    found["refusals"] = refusals(part)
    (pathlib.Path(folder) / name).write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
