"""Comparison of fits."""

import numpy as np
import pytest
import scipy.stats

import eirt
from eirt.inference import nested_in
from tests.conftest import COLUMNS


def test_compare_orders_and_tests(fits):
    table = eirt.compare(fits("2pl"), fits("lltm"), fits("rasch"))
    assert list(table["model"]) == ["LLTM", "Rasch", "2PL"]
    assert list(table["against"].fillna("")) == ["", "LLTM", "Rasch"]
    np.testing.assert_allclose(table["chi2"][1:], [159.4165, 40.9553], atol=1e-3)
    assert list(table["df"][1:]) == [19, 23]
    assert table["p"][2] == pytest.approx(scipy.stats.chi2.sf(40.9553, 23), rel=1e-3)


def test_an_added_variance_is_tested_at_its_boundary(fits):
    table = eirt.compare(fits("lltm"), fits("nested"))
    chi2 = 2 * (fits("nested").loglik - fits("lltm").loglik)
    assert table["p"][1] == pytest.approx(scipy.stats.chi2.sf(chi2, 1) / 2, rel=1e-9)


def test_what_is_not_nested_is_not_tested(fits):
    table = eirt.compare(fits("nested"), fits("rasch"))
    assert table["against"].isna().all()
    assert not nested_in(fits("rasch"), fits("1pl"))
    assert nested_in(fits("lltm"), fits("nested_person"))
    # Laplace's log-likelihood is not comparable with quadrature's
    assert not nested_in(fits("lltm"), fits("laplace"))


def test_different_data_are_refused(va, fits):
    fewer = eirt.rasch(va[va["id"].astype(str) != "1"], **COLUMNS)
    with pytest.raises(eirt.DataError, match="different responses"):
        eirt.compare(fits("rasch"), fewer)
    with pytest.raises(ValueError, match="two fits"):
        eirt.compare(fits("rasch"))


def test_the_order_of_rows_does_not_hide_that_models_are_nested(va, fits):
    shuffled = va.sample(frac=1.0, random_state=2)
    lltm = eirt.lltm(shuffled, "~ btype + situ + mode", **COLUMNS)
    assert nested_in(lltm, fits("rasch"))
