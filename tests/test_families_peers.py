"""Every family against glmmTMB, and real data against R's packages."""

import pandas as pd
import pytest

import eirt
from tests.conftest import REFERENCE

# family, and the number that glmmTMB gives for its extra parameter, if it has one
FAMILIES = {
    "poisson": (eirt.Poisson(), {}),
    "nb": (eirt.NegativeBinomial(), {"size": "dispersion"}),
    "zip": (eirt.ZeroInflated(eirt.Poisson()), {"zero": "zero"}),
    "hurdle": (eirt.Hurdle(eirt.Poisson()), {"zero": "zero"}),
    "gamma": (eirt.Gamma(), {}),
    "beta": (eirt.BetaProportion(), {"precision": "dispersion"}),
    "gaussian": (eirt.Gaussian(), {"sd": "dispersion"}),
    "binomial": (eirt.Binomial("trials"), {}),
    "betabinomial": (eirt.BetaBinomial("trials"), {"precision": "dispersion"}),
}
TICKS = "TICKS ~ YEAR + cHEIGHT + (1 | BROOD) + (1 | INDEX) + (1 | LOCATION)"


@pytest.fixture(scope="module")
def simulated():
    return pd.read_csv(REFERENCE / "families.csv")


def check(fit, peer):
    assert fit.converged and peer["converged"]
    assert fit.loglik == pytest.approx(peer["logLik"], abs=1e-3)
    assert fit.fixed["estimate"].tolist() == pytest.approx([*peer["fixed"].values()], abs=1e-3)
    assert fit.fixed["se"].tolist() == pytest.approx([*peer["se"].values()], rel=0.01)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_random_intercept(simulated, reference, name):
    (family, extra), peer = FAMILIES[name], reference("families")[name]
    fit = eirt.eirm(
        simulated, f"{name} ~ x + (1 | g)", family=family, likelihood=eirt.Laplace(), check=False
    )
    check(fit, peer)
    assert fit.random["sd"][0] == pytest.approx(peer["sd"], rel=0.01)
    found = fit.response_parameters.set_index("parameter")["estimate"]
    for parameter, known in extra.items():
        assert found[parameter] == pytest.approx(peer[known], rel=0.01)
    if name == "gamma":  # there the coefficient of variation
        assert found["shape"] ** -0.5 == pytest.approx(peer["dispersion"], rel=0.01)


def test_ticks_on_grouse_chicks(reference):
    fit = eirt.eirm(
        eirt.load("grouseticks"),
        TICKS,
        family=eirt.Poisson(),
        likelihood=eirt.Laplace(),
        check=False,
    )
    peer = reference("families")["grouseticks"]
    check(fit, peer)
    sds = fit.random.set_index("group")["sd"]
    assert sds[["BROOD", "INDEX", "LOCATION"]].tolist() == pytest.approx(peer["sd"], rel=0.01)


def test_crossed_counts_converge_by_default():
    """Broods with many ticks have sharp posteriors: shared nodes were too far apart."""
    formula = "TICKS ~ YEAR + cHEIGHT + (1 | BROOD) + (1 | LOCATION)"
    fit = eirt.eirm(eirt.load("grouseticks"), formula, family=eirt.Poisson(), check=False)
    assert fit.converged
    assert fit.loglik == pytest.approx(-987.7706, abs=1e-3)


def test_lectures_of_a_department(reference):
    """R's ordinal, Laplace: 4,708 ratings of 94 lecturers by 501 students, crossed and sparse."""
    ratings, peer = eirt.load("insteval").query("dept == '10'"), reference("insteval")
    formula = "y ~ service + lectage + studage + (1 | s) + (1 | d)"
    fit = eirt.eirm(ratings, formula, family=eirt.Cumulative(), likelihood=eirt.Laplace())
    assert fit.converged
    assert fit.n_obs == peer["n"]
    assert fit.loglik == pytest.approx(peer["logLik"], abs=1e-3)
    assert fit.fixed["estimate"].tolist() == pytest.approx(list(peer["fixed"].values()), abs=1e-3)
    assert fit.fixed["se"].tolist() == pytest.approx(list(peer["se"].values())[4:], rel=0.01)
    thresholds = -fit.response_parameters["estimate"]
    assert thresholds.tolist() == pytest.approx(list(peer["thresholds"].values()), abs=1e-3)
    sds = fit.random.set_index("group")["sd"]
    assert sds[["s", "d"]].tolist() == pytest.approx([peer["sd"]["s"], peer["sd"]["d"]], rel=0.001)


def test_bitterness_of_wine():
    """Published for R's ordinal: Christensen (2018), clm and clmm with Laplace and 10 nodes."""
    wine, formula, family = eirt.load("wine"), "rating ~ temp + contact", eirt.Cumulative()
    single = eirt.eirm(wine, formula, family=family)
    assert single.loglik == pytest.approx(-86.49, abs=0.005)
    assert single.fixed["estimate"].tolist() == pytest.approx([2.5031, 1.5278], abs=1e-4)
    judges = eirt.eirm(wine, f"{formula} + (1 | judge)", family=family, likelihood=eirt.Laplace())
    assert judges.loglik == pytest.approx(-81.57, abs=0.005)
    assert judges.fixed["estimate"].tolist() == pytest.approx([3.0630, 1.8349], abs=1e-3)
    assert judges.random["variance"][0] == pytest.approx(1.279, abs=2e-3)


QUESTIONS = [f"q{k}" for k in range(1, 16)]


@pytest.fixture(scope="module")
def beliefs():
    """800 persons, the first, with who did not answer everything."""
    return eirt.load("conspiracist").head(800)


def test_models_of_conspiracist_beliefs_are_within_each_other(beliefs):
    fits = {
        name: getattr(eirt, door)(beliefs, wide=QUESTIONS, check=False, **options)
        for name, door, options in (
            ("graded", "grm", {}),
            ("common slope", "grm", {"slopes": "common"}),
            ("rating scale graded", "grm", {"thresholds": "common"}),
            ("gpcm", "gpcm", {}),
            ("pcm", "pcm", {}),
            ("rsm", "rsm", {}),
        )
    }
    assert all(fit.converged for fit in fits.values())
    parameters = {name: fit.n_params for name, fit in fits.items()}
    assert [*parameters.values()] == [75, 61, 33, 75, 61, 19]
    for larger, smaller in (
        ("graded", "common slope"),
        ("graded", "rating scale graded"),
        ("gpcm", "pcm"),
        ("pcm", "rsm"),
    ):
        table = eirt.compare(fits[smaller], fits[larger])
        assert table["p"][1] < 1e-6
    thresholds = (
        fits["graded"].difficulty().pivot(index="item", columns="threshold", values="difficulty")
    )
    assert (thresholds.diff(axis=1).iloc[:, 1:] > 0).all().all()
