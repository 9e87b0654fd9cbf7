"""Score tests of terms that a fit does not have."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats

import eirt
from tests.conftest import COLUMNS


def test_without_random_effects_it_is_that_of_logistic_regression(va):
    """U' I^-1 U by hand, with all of U and I at the restricted estimates."""
    fit = eirt.eirm(va, "r2 ~ situ + (1 | id)", anchors={"sd[id|(Intercept)]": 0.0}, check=False)
    y = (va["r2"] == "Y").to_numpy(float)
    x = np.column_stack([np.ones(len(va)), va["situ"] == "self", va["mode"] == "do"]).astype(float)
    p = np.array([y[va["situ"] == level].mean() for level in ("other", "self")])[
        x[:, 1].astype(int)
    ]
    score = x.T @ (y - p)
    information = x.T @ ((p * (1 - p))[:, None] * x)
    row = fit.score_test("mode", data=va).iloc[0]
    assert row["chi2"] == pytest.approx(score @ np.linalg.solve(information, score), rel=1e-6)
    assert row["estimate"] == pytest.approx(np.linalg.solve(information, score)[2], rel=1e-6)
    assert row["p"] == pytest.approx(scipy.stats.chi2.sf(row["chi2"], 1))


@pytest.mark.parametrize(
    ("small", "term", "large"),
    [
        ("btype + situ", "btype:situ", "btype * situ"),
        ("btype + situ + mode", "Gender", "btype + situ + mode + Gender"),
        ("btype + Gender", "Gender:btype", "btype * Gender"),
        ("btype", "situ * mode", "btype + situ * mode"),
    ],
)
def test_it_is_near_the_likelihood_ratio(va, small, term, large):
    """For items, persons and both (where cells are split)."""
    fits = [eirt.eirm(va, f"r2 ~ {rhs} + (1 | id)", check=False) for rhs in (small, large)]
    row = fits[0].score_test(term, data=va).iloc[0]
    ratio = 2 * (fits[1].loglik - fits[0].loglik)
    assert row["df"] == fits[1].n_params - fits[0].n_params
    assert row["chi2"] == pytest.approx(ratio, rel=0.1, abs=0.1)


def test_persons_and_items_crossed(va, fits):
    small = fits("nested_null")
    row = small.score_test("mode", data=va).iloc[0]
    h, fixed = 0.05, {}
    for value in (-h, h):
        fixed[value] = eirt.eirm(
            va, "r2 ~ mode + (1 | id) + (1 | item)", anchors={"mode[do]": value}, check=False
        ).loglik
    slope = (fixed[h] - fixed[-h]) / (2 * h)  # of the profile likelihood
    curvature = -(fixed[h] + fixed[-h] - 2 * small.loglik) / h**2
    assert row["chi2"] == pytest.approx(slope**2 / curvature, rel=0.02)
    assert row["estimate"] == pytest.approx(slope / curvature, rel=0.02)


@pytest.mark.parametrize("kind", ["ordered", "conditional"])
def test_where_the_intercept_is_elsewhere(va, fits, kind):
    if kind == "ordered":
        formulas = "resp ~ situ + (1 | id)", "resp ~ situ + mode + (1 | id)"
        small, large = (
            eirt.eirm(va, text, family=eirt.Cumulative(), check=False) for text in formulas
        )
    else:
        large = fits("lltm_cml")
        small = eirt.lltm(va, "~ btype + situ", likelihood=eirt.Conditional(), **COLUMNS)
    row = small.score_test("mode", data=va).iloc[0]
    assert row["df"] == 1
    assert row["chi2"] == pytest.approx(2 * (large.loglik - small.loglik), rel=0.1)


def test_it_has_its_distribution():
    """A covariate of persons, and a feature of items, that do nothing."""
    found = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        eta = rng.normal(size=(200, 1)) + np.linspace(-1, 1, 6)
        person, item = np.indices(eta.shape).reshape(2, -1)
        y = (rng.random(eta.size) < 1 / (1 + np.exp(-eta.ravel()))).astype(int)
        group = rng.integers(0, 2, 200)[person]
        frame = pd.DataFrame({"id": person, "item": item, "resp": y, "group": group})
        fit = eirt.rasch(frame, check=False)
        found.append(fit.score_test("group", "group:item", data=frame)["p"])
    for p in np.array(found).T:
        assert scipy.stats.kstest(p, "uniform").pvalue > 0.01


def test_what_cannot_be_tested_is_refused(va, fits):
    fit = fits("lltm")
    with pytest.raises(eirt.FormulaError, match="'btype' adds nothing"):
        fit.score_test("btype", data=va)
    with pytest.raises(eirt.FormulaError, match="random term"):
        fit.score_test("(1 | item)", data=va)
    with pytest.raises(eirt.FormulaError, match="modus"):
        fit.score_test("modus", data=va)
    with pytest.raises(ValueError, match="Name the terms"):
        fit.score_test(data=va)
    for other in (va[:-1], va.iloc[::-1], va.assign(r2=va["r2"].to_numpy()[::-1])):
        with pytest.raises(eirt.DataError, match="not the 7584 rows of LLTM"):
            fit.score_test("Anger", data=other)
