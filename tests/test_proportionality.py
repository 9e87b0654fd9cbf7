"""Tests of proportional odds against those of R's ordinal."""

import numpy as np
import pytest

import eirt

FORMULA = "resp ~ btype + situ + mode"


def test_terms_of_ordinal(va, reference):
    peer, table = reference("verbagg_ordinal"), eirt.proportional_odds(va, FORMULA)
    known = peer["nominal_test"]
    assert table["term"].tolist() == [*known["term"][1:], "all"]
    np.testing.assert_allclose(table["loglik"][:3], known["logLik"][1:], atol=1e-4)
    np.testing.assert_allclose(table["chi2"][:3], known["LRT"][1:], atol=1e-4)
    np.testing.assert_allclose(table["p"][:3], known["Pr(>Chi)"][1:], rtol=1e-3)
    assert table["df"].tolist() == [*known["Df"][1:], 4]
    expected = 2 * (peer["clm_nominal_all"]["logLik"] - peer["clm"]["logLik"])
    assert table["chi2"][3] == pytest.approx(expected, abs=1e-4)


def test_each_later_threshold_has_effects():
    """Christensen's (2018) wine, five categories: chi-square .5667 on 3 degrees of freedom."""
    table = eirt.proportional_odds(eirt.load("wine"), "rating ~ temp + contact", terms=["contact"])
    assert table["term"].tolist() == ["contact"]
    assert table["chi2"][0] == pytest.approx(0.5667, abs=1e-4)
    assert table["df"][0] == 3
    assert table["p"][0] == pytest.approx(0.9040, abs=1e-4)


def test_random_effects_of_persons(va, reference):
    """By adaptive quadrature: 15 nodes with proportional odds, 11 without."""
    peer = reference("verbagg_ordinal")
    table = eirt.proportional_odds(va, f"{FORMULA} + (1 | id)", person="id", terms=["mode"])
    small, large = peer["clmm_id_agq15"]["logLik"], peer["clmm2_nominal_mode_agq11"]["logLik"]
    assert table["loglik"][0] == pytest.approx(large, abs=1e-3)
    assert table["chi2"][0] == pytest.approx(2 * (large - small), abs=1e-3)


def test_steps_have_the_same_test(va):
    """Every parameter of steps is free: their models are two logistic regressions."""
    family = eirt.Sequential()
    table = eirt.proportional_odds(va, "resp ~ mode", family=family)
    same = eirt.eirm(va, "resp ~ mode", family=family)
    reached = va[va["resp"] != "no"]
    first = eirt.eirm(va.assign(y=(va["resp"] != "no").astype(int)), "y ~ mode")
    second = eirt.eirm(reached.assign(y=(reached["resp"] == "yes").astype(int)), "y ~ mode")
    assert table["loglik"][0] == pytest.approx(first.loglik + second.loglik, abs=1e-5)
    assert table["chi2"][0] == pytest.approx(2 * (table["loglik"][0] - same.loglik))


def test_what_cannot_be_tested(va):
    with pytest.raises(eirt.FormulaError, match=r"No term 'btyp'; there are .*'btype'"):
        eirt.proportional_odds(va, FORMULA, terms=["btyp"])
    with pytest.raises(eirt.FormulaError, match="no terms whose effects could differ"):
        eirt.proportional_odds(va, "resp ~ 1 + (1 | id)")
    with pytest.raises(eirt.DataError, match="one threshold only"):
        eirt.proportional_odds(va, "r2 ~ mode")
    with pytest.raises(ValueError, match="has no order"):
        eirt.proportional_odds(va, FORMULA, family=eirt.Nominal())
