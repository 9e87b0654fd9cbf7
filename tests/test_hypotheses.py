"""Covariances of the estimates, Wald tests, and functions of the parameters."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats

import eirt
from eirt._config import double_precision
from eirt.samples import of_persons
from tests.conftest import COLUMNS

# ---- covariances -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "name"), [("observed", "pl2"), ("sandwich", "pl2_sandwich"), ("bhhh", "pl2_crossprod")]
)
def test_standard_errors_agree_with_mirt(fits, reference, kind, name):
    fit = fits("2pl")
    there = list(reference("verbagg_rasch")["mirt"][name]["coef"].values())[:24]
    slopes, easiness = np.array([item["values"][1][:2] for item in there]).T
    se = np.sqrt(np.diag(fit.covariance(kind)))
    np.testing.assert_allclose(se[:24], easiness, rtol=1e-6)
    np.testing.assert_allclose(se[24:], slopes, rtol=1e-6)


@pytest.mark.parametrize("name", ["2pl", "rasch", "lltm_person", "groups_rasch", "rasch_2d"])
@double_precision
def test_scores_of_persons_sum_to_the_gradient(fits, name):
    fit = fits(name)
    psi = fit.psi + 0.1
    scores = fit.objective.person_scores(psi)
    assert scores.shape == (len(fit.design.persons), fit.n_params)
    expected = fit.objective.value_and_grad(psi)[1]
    np.testing.assert_allclose(scores.sum(axis=0), expected, atol=1e-8)
    few = np.array([3, 100])
    there = fit.likelihood.bind(fit.model, of_persons(fit.design, few), fit.restriction)
    if not fit.model.varied:  # covariates are centred, which moves the nodes
        alone = there.value_and_grad(psi)[1]
        np.testing.assert_allclose(scores[few].sum(axis=0), alone, atol=1e-6)


def test_persons_in_clusters(fits, va):
    fit = fits("lltm")
    alone = fit.covariance("sandwich", cluster="id", data=va)
    np.testing.assert_allclose(alone, fit.covariance("sandwich"), rtol=1e-10)
    school = np.arange(316) // 4
    own, there = fit.covariance("sandwich", cluster=school), fit.covariance("sandwich")
    by_name = dict(zip(fit.design.persons, school, strict=True))
    np.testing.assert_allclose(fit.covariance("sandwich", cluster=by_name), own)
    assert not np.allclose(own, there)


@pytest.mark.parametrize("name", ["rasch_cml", "lltm_cml"])
@double_precision
def test_scores_of_persons_given_their_scores(fits, name):
    fit = fits(name)
    psi = fit.psi + 0.1
    scores = fit.objective.person_scores(psi)
    np.testing.assert_allclose(scores.sum(axis=0), fit.objective.value_and_grad(psi)[1], atol=1e-8)
    extreme = np.isin(np.bincount(fit.design.obs_person, fit.design.y), [0, 24])
    assert not scores[extreme].any()
    person = np.flatnonzero(~extreme)[5]
    alone = fit.likelihood.bind(fit.model, of_persons(fit.design, [person]), fit.restriction)
    np.testing.assert_allclose(scores[person], alone.value_and_grad(psi)[1], atol=1e-8)
    assert np.linalg.matrix_rank(fit.covariance("sandwich")) == fit.n_params


def test_pairs_of_the_same_persons_double_the_variance(va):
    """Counting everybody twice halves the observed variance; clusters put that right."""
    twice = va.assign(pair=va["id"].astype(str))
    other = twice.assign(id=twice["id"].astype(str) + "b")
    both = twice.assign(id=twice["id"].astype(str))
    both = pd.concat([both, other], ignore_index=True)
    once = eirt.lltm(va, "~ mode", **COLUMNS)
    fit = eirt.lltm(both, "~ mode", **COLUMNS)
    np.testing.assert_allclose(2 * fit.covariance(), once.covariance(), rtol=1e-5)
    found = fit.covariance("sandwich", cluster="pair", data=both)
    np.testing.assert_allclose(found, once.covariance("sandwich"), rtol=1e-5)


def test_covariances_that_cannot_be_had_are_refused(fits):
    with pytest.raises(ValueError, match="No covariance 'sandwhich'.*'sandwich'"):
        fits("rasch").covariance("sandwhich")
    with pytest.raises(ValueError, match="no scores of single persons"):
        fits("nested").covariance("sandwich")
    with pytest.raises(eirt.DataError, match="persons have no cluster"):
        fits("rasch").covariance("sandwich", cluster={"1": "a"})
    with pytest.raises(eirt.DataError, match="2 clusters cannot tell"):
        fits("rasch").covariance("sandwich", cluster=np.arange(316) % 2)


# ---- tests -----------------------------------------------------------------------------------


def test_terms_contrasts_and_equations(fits):
    fit = fits("lltm")
    fixed, v = fit.fixed.set_index("term"), fit.vcov
    table = fit.test("mode", "btype[scold] = btype[shout]", "2 * btype[scold] - btype[shout] = .1")
    assert table["estimate"][0] == pytest.approx(fixed.loc["mode[do]", "estimate"])
    assert table["chi2"][0] == pytest.approx(fixed.loc["mode[do]", "z"] ** 2)
    assert table["p"][0] == pytest.approx(fixed.loc["mode[do]", "p"], rel=1e-6)
    a, b = "btype[scold]", "btype[shout]"
    difference = fixed.loc[a, "estimate"] - fixed.loc[b, "estimate"]
    variance = v.loc[a, a] + v.loc[b, b] - 2 * v.loc[a, b]
    assert table["estimate"][1] == pytest.approx(difference)
    assert table["se"][1] == pytest.approx(np.sqrt(variance))
    third = 2 * fixed.loc[a, "estimate"] - fixed.loc[b, "estimate"] - 0.1
    assert table["estimate"][2] == pytest.approx(third)


def test_a_term_is_tested_by_all_its_coefficients(fits):
    fit = fits("lltm")
    names = ["btype[scold]", "btype[shout]"]
    beta, v = fit.fixed.set_index("term").loc[names, "estimate"], fit.vcov.loc[names, names]
    chi2 = beta @ np.linalg.solve(v, beta)
    matrix = np.zeros((2, 5))
    matrix[[0, 1], [1, 2]] = 1.0
    table = fit.test("btype", names, matrix)
    np.testing.assert_allclose(table["chi2"], chi2)
    assert table["df"].tolist() == [2, 2, 2]
    assert table["p"][0] == pytest.approx(scipy.stats.chi2.sf(chi2, 2), rel=1e-6)
    assert fit.test()["hypothesis"].tolist() == ["(Intercept)", "btype", "situ", "mode"]


def test_redundant_hypotheses_do_not_count_twice(fits):
    table = fits("lltm").test(["mode", "mode[do] = 0"], "mode")
    assert table["df"].tolist() == [1, 1]
    assert table["chi2"][0] == pytest.approx(table["chi2"][1])


def test_tests_take_other_covariances(fits):
    fit = fits("lltm")
    sandwich = fit.test("mode", covariance="sandwich")
    assert sandwich["se"][0] == pytest.approx(
        np.sqrt(fit.covariance("sandwich").loc["mode[do]", "mode[do]"])
    )
    given = fit.test("mode", covariance=fit.covariance("sandwich"))
    assert given["chi2"][0] == sandwich["chi2"][0]


def test_hypotheses_that_cannot_be_read_are_refused(fits):
    fit = fits("lltm")
    with pytest.raises(ValueError, match=r"No parameter in 'btyp\[scold\]'.*'btype\[scold\]'"):
        fit.test("btyp[scold] = 0")
    with pytest.raises(ValueError, match="3 columns"):
        fit.test(np.eye(3))
    with pytest.raises(ValueError, match="fixed: nothing to test"):
        fits("lltm_cml").test("(Intercept)")
    with pytest.raises(ValueError, match="No parameter in"):
        fit.test("mode[do] mode[do]")


# ---- functions of parameters -----------------------------------------------------------------


def test_functions_have_errors_by_the_delta_method(fits):
    fit = fits("lltm")
    table = fit.transform(
        lambda psi: {"odds": np.exp(psi["mode[do]"]), "sum": psi["mode[do]"] + psi["situ[self]"]}
    ).set_index("quantity")
    own = fit.fixed.set_index("term").loc["mode[do]"]
    assert table.loc["odds", "estimate"] == pytest.approx(own["odds_ratio"])
    assert table.loc["odds", "se"] == pytest.approx(own["odds_ratio"] * own["se"], rel=1e-6)
    names = ["mode[do]", "situ[self]"]
    expected = np.sqrt(fit.vcov.loc[names, names].to_numpy().sum())
    assert table.loc["sum", "se"] == pytest.approx(expected, rel=1e-6)
    half = table["upper"] - table["estimate"]
    np.testing.assert_allclose(half, 1.959964 * table["se"], rtol=1e-6)


def test_functions_may_return_arrays_and_ignore_what_is_fixed(fits):
    table = fits("lltm_cml").transform(lambda psi: psi.iloc[:2].to_numpy())
    assert table["quantity"].tolist() == ["f[1]", "f[2]"]
    assert table["se"][0] == 0.0


# ---- few items -------------------------------------------------------------------------------


def test_f_tests_on_items_are_the_t_tests_of_features(fits):
    fit = fits("lltm_residuals")
    names = ["situ[self]", "mode[do]"]
    table, t = fit.test(*names, df="items"), fit.feature_tests().set_index("term").loc[names]
    np.testing.assert_allclose(table["f"], t["t"] ** 2)
    np.testing.assert_allclose(table["p"], t["p"])
    np.testing.assert_allclose(table["se"], t["se"])
    assert (table["df_items"] == 19).all()


def test_f_tests_of_several_coefficients(fits):
    fit = fits("nested_person")
    table = fit.test("btype", "Anger", "btype[scold] = btype[shout]", df="items")
    chi = fit.test("btype", "Anger")
    assert table["f"][0] == pytest.approx(chi["chi2"][0] / 2 * 19 / 24)
    assert table["p"][0] == pytest.approx(scipy.stats.f.sf(table["f"][0], 2, 19))
    assert table["df_items"].tolist() == [19, np.inf, 19]
    assert table["p"][1] == pytest.approx(chi["p"][1])  # persons are not few
    assert table["df"].tolist() == [2, 1, 1]


def test_f_tests_need_random_items(fits):
    with pytest.raises(eirt.DataError, match="no random residuals of items"):
        fits("lltm").test("btype", df="items")
    with pytest.raises(ValueError, match="No df='persons'"):
        fits("lltm").test("btype", df="persons")
