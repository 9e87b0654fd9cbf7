"""Lecture ratings (insteval): 73,421 ordered responses of 2,972 students about 1,128 lecturers.

    y ~ service + lectage + studage + (1 | s) + (1 | d),   cumulative logits

By Laplace's approximation and by Nested, which integrates each student by quadrature. The same
model of one department is compared with R's ordinal in tests/test_families_peers.py; of all
departments ordinal::clmm had not finished after 20 minutes.
"""

import argparse

from timing import machine, report, save, timed

FORMULA = "y ~ service + lectage + studage + (1 | s) + (1 | d)"


def row(ratings, likelihood):
    """Fit once and return seconds, log-likelihood and standard deviations."""
    import eirt

    fit, clock = timed(
        lambda: eirt.eirm(
            ratings, FORMULA, family=eirt.Cumulative(), likelihood=likelihood, check=False
        )
    )
    sds = fit.random.set_index("group")["sd"]
    return {
        "likelihood": fit.likelihood.name,
        "seconds": clock.wall,
        "CPU": clock.cpu,
        "converged": fit.converged,
        "log-likelihood": fit.loglik,
        "sd of students": float(sds["s"]),
        "sd of lecturers": float(sds["d"]),
        "service": float(fit.fixed.set_index("term").loc["service[1]", "estimate"]),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json")
    asked = parser.parse_args()
    import eirt

    ratings = eirt.load("insteval")
    rows = [row(ratings, likelihood) for likelihood in (eirt.Laplace(), eirt.Nested())]
    report("Lecture ratings, crossed", rows)
    save(asked.json, machine=machine(), rows=rows)


if __name__ == "__main__":
    main()
