"""Optimisers agree, starts are sensible, and the certificate tells the truth."""

import numpy as np
import pandas as pd
import pytest

import eirt
from eirt.certificate import Certificate
from eirt.fit import start_values
from tests.conftest import COLUMNS, FEATURES

OPTIMISERS = [eirt.Newton(), eirt.QuasiNewton(), eirt.LBFGS()]


@pytest.mark.parametrize("optimiser", OPTIMISERS, ids=lambda o: type(o).__name__)
def test_optimisers_agree(va, fits, optimiser):
    fit = eirt.lltm(va, f"~ {FEATURES}", optimiser=optimiser, **COLUMNS)
    assert fit.converged
    np.testing.assert_allclose(fit.full, fits("lltm").full, atol=1e-5)
    assert fit.loglik == pytest.approx(fits("lltm").loglik, abs=1e-8)


@pytest.mark.parametrize("optimiser", OPTIMISERS, ids=lambda o: type(o).__name__)
def test_optimisers_agree_on_crossed_effects(va, fits, optimiser):
    formula = f"r2 ~ {FEATURES} + (1 | id) + (1 | item)"
    fit = eirt.eirm(va, formula, optimiser=optimiser, check=False)
    assert fit.converged
    assert fit.loglik == pytest.approx(fits("nested").loglik, abs=1e-6)
    np.testing.assert_allclose(fit.full, fits("nested").full, atol=1e-3)


def test_starts_are_close(fits):
    fit = fits("rasch")
    start = start_values(fit.model, fit.design)
    np.testing.assert_allclose(start[:24], fit.full[:24], atol=0.4)


def test_certificate_of_a_good_fit(fits):
    certificate = fits("2pl").certificate
    assert certificate.converged
    assert certificate.gradient < 1e-8
    assert certificate.decrement < 1e-10
    assert certificate.smallest_eigenvalue > 1e-4
    assert abs(certificate.quadrature_error) < 1e-6


def test_a_fit_that_stops_early_says_so(va):
    with pytest.warns(eirt.ConvergenceWarning, match="log-likelihood units are still to gain"):
        fit = eirt.two_pl(va, optimiser=eirt.Newton(max_iterations=1), **COLUMNS)
    assert not fit.converged
    assert "still to gain" in fit.certificate.failures[0]


def test_coarse_nodes_are_reported(va):
    with pytest.warns(eirt.ConvergenceWarning, match="quadrature error"):
        fit = eirt.rasch(va, likelihood=eirt.Quadrature(15), **COLUMNS)
    assert abs(fit.quadrature_error) > 1e-2


def test_a_long_test_refines_its_grid_by_itself():
    rng = np.random.default_rng(2)
    theta, easiness = 1.5 * rng.normal(size=200), rng.normal(size=900)
    y = rng.uniform(size=(200, 900)) < 1 / (1 + np.exp(-theta[:, None] - easiness))
    fit = eirt.rasch(pd.DataFrame(y.astype(int)).add_prefix("i"), wide=True, extreme="drop")
    assert abs(fit.quadrature_error) < 1e-3
    assert fit.objective.choice.nodes > 61


def test_singular_information_is_found():
    certificate = Certificate(1e-9, 1e-15, 1e-14, 5)
    assert "not identified" in certificate.failures[0]


def test_interruption_returns_the_best_so_far(va, monkeypatch):
    from eirt.likelihood.quadrature import QuadratureObjective

    calls = []
    original = QuadratureObjective.newton_terms

    def interrupted(self, psi):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return original(self, psi)

    monkeypatch.setattr(QuadratureObjective, "newton_terms", interrupted)
    with pytest.warns(eirt.ConvergenceWarning, match="interrupted"):
        fit = eirt.rasch(va, **COLUMNS)
    assert fit.certificate.interrupted
    assert -4200 < fit.loglik < -4036.9


def test_anchored_parameters_stay(va):
    fit = eirt.rasch(va, anchors={"sd[id|(Intercept)]": 1.0}, **COLUMNS)
    assert fit.random["sd"][0] == 1.0
    assert fit.n_params == 24
    assert fit.vcov.loc["sd[id|(Intercept)]"].abs().max() == 0.0
    assert fit.loglik < -4036.9


def test_zero_variance_is_a_boundary_not_a_failure():
    rng = np.random.default_rng(0)
    n, k = 60, 8
    # responses more alike over persons than chance: no person variance to find
    y = np.stack([rng.permutation(np.arange(n) % 2) for _ in range(k)], axis=1)
    for row in range(n):
        y[row] = np.where(rng.permutation(k) < k // 2, 1, 0)
    fit = eirt.one_pl(pd.DataFrame(y).add_prefix("i"), wide=True, extreme="drop")
    rasch = eirt.rasch(pd.DataFrame(y).add_prefix("i"), wide=True, extreme="drop")
    assert rasch.converged
    assert fit.loglik == pytest.approx(rasch.loglik, abs=1e-6)
    assert rasch.boundary == ("id|(Intercept)",)
    assert "zero" in str(rasch)


def test_progress_is_silent_or_spoken(va, capsys):
    eirt.rasch(va, progress=False, **COLUMNS)
    assert capsys.readouterr().err == ""
    eirt.rasch(va, progress=True, **COLUMNS)
    lines = capsys.readouterr().err.splitlines()
    assert "iteration   1" in lines[0]
    assert "log-likelihood -4036.9049" in lines[-1]


def test_single_level_model_is_a_logistic_regression(va):
    fit = eirt.eirm(va, f"r2 ~ {FEATURES}")
    p = fit.predict()
    y = (va["r2"] == "Y").to_numpy()
    x = fit.design.x_of(np.arange(fit.n_obs))
    np.testing.assert_allclose(x.T @ (y - p), 0.0, atol=1e-6)
    assert fit.loglik == pytest.approx(np.log(np.where(y, p, 1 - p)).sum(), abs=1e-8)
    covariance = np.linalg.inv(x.T @ (x * (p * (1 - p))[:, None]))
    np.testing.assert_allclose(fit.vcov, covariance, rtol=1e-8)


@pytest.mark.parametrize("name", ["rasch", "2pl", "laplace_slope"])
def test_reflected_starts_end_at_the_same_signs(fits, name):
    known = fits(name)
    start = known.full.copy()
    n_fixed = known.model.n_fixed
    start[n_fixed:] = -start[n_fixed:]
    found = eirt.fit.fit(known.model, known.design, known.likelihood, start=start, check=False)
    assert found.converged
    assert found.loglik == pytest.approx(known.loglik, abs=1e-7)
    np.testing.assert_allclose(found.full, known.full, atol=1e-5)
    np.testing.assert_allclose(found.vcov, known.vcov, atol=1e-5)
    np.testing.assert_allclose(found.persons()["ability"], known.persons()["ability"], atol=1e-5)


@pytest.mark.parametrize("link", ["loglog", "cauchit"])
@pytest.mark.parametrize("random", ["(1 | id)", "(1 | id) + (1 | item)"])
def test_every_link_fits_real_data(va, link, random):
    formula = f"r2 ~ {FEATURES} + {random}"
    fit = eirt.eirm(va, formula, family=eirt.Bernoulli(link), check=False)
    assert fit.converged
    assert -4200 < fit.loglik < -4060
    assert (fit.fixed["estimate"][1:] < 0).all()
