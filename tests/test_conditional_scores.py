"""Abilities under conditional likelihood: eRm's numbers, brute force, booklets, categories."""

import numpy as np
import pytest
from scipy import optimize

import eirt
from tests.conftest import COLUMNS


def test_scores_agree_with_erm(fits, reference):
    """eRm lists persons without those of extreme scores, whom ML does not place."""
    there = reference("verbagg_rasch")["eRm_person"]
    table = fits("rasch_cml").persons("ML")
    finite = table[np.isfinite(table["ability"])]
    # eRm stops short of the maximum, where estimates still move in the fifth decimal
    np.testing.assert_allclose(finite["ability"], there["theta"]["NAgroup1"], atol=5e-5)
    np.testing.assert_allclose(finite["se"], there["se"]["NAgroup1"], atol=2e-4)
    b = fits("rasch_cml").difficulty()["difficulty"].to_numpy()
    p = 1 / (1 + np.exp(b - finite["ability"].to_numpy()[:, None]))
    np.testing.assert_allclose(p.sum(axis=1), finite["score"], rtol=1e-7)
    np.testing.assert_allclose(finite["se"], (p * (1 - p)).sum(axis=1) ** -0.5, rtol=1e-7)
    assert set(table.loc[~np.isfinite(table["ability"]), "score"]) == {0.0, 24.0}
    assert "infinite" in table.attrs["note"]


def test_weighted_likelihood_solves_its_equation(fits):
    """Warm's estimate maximises log L + log(I) / 2 in the Rasch model."""
    fit = fits("rasch_cml")
    b = fit.difficulty()["difficulty"].to_numpy()
    for score, own in fit.persons().groupby("score").first().iterrows():

        def minus(theta, score=score):
            p = 1 / (1 + np.exp(b - theta))
            return -(
                score * theta - np.logaddexp(0, theta - b).sum() + np.log((p * (1 - p)).sum()) / 2
            )

        found = optimize.minimize_scalar(
            minus, bounds=(-9, 9), options={"xatol": 1e-9}, method="bounded"
        )
        assert own["ability"] == pytest.approx(found.x, abs=1e-6)
        p = 1 / (1 + np.exp(b - found.x))
        assert own["se"] == pytest.approx((p * (1 - p)).sum() ** -0.5, rel=1e-6)


def test_the_population_is_estimated_afterwards(fits):
    """Mean and sd maximise the marginal likelihood at the conditional difficulties."""
    fit = fits("rasch_cml")
    table = fit.persons("EAP")
    b, scores = fit.difficulty()["difficulty"].to_numpy(), table["score"].to_numpy()
    z = np.linspace(-8, 8, 801)
    weights = np.exp(-(z**2) / 2) / np.exp(-(z**2) / 2).sum()

    def joint(at):
        theta = at[0] + np.exp(at[1]) * z
        log_p = scores[:, None] * theta - np.logaddexp(0, theta[:, None] - b).sum(axis=1)
        return theta, weights * np.exp(log_p)

    found = optimize.minimize(lambda at: -np.log(joint(at)[1].sum(axis=1)).sum(), [0.0, 0.0])
    people = table.attrs["population"]
    np.testing.assert_allclose([people["mean"], np.log(people["sd"])], found.x, atol=1e-4)
    theta, density = joint([people["mean"], np.log(people["sd"])])
    np.testing.assert_allclose(table["ability"], density @ theta / density.sum(axis=1), atol=1e-6)


@pytest.mark.parametrize("door", [eirt.pcm, eirt.rsm])
def test_scores_of_categories_have_the_origin_of_thresholds(door, va):
    fit = door(va, likelihood=eirt.Conditional())
    exact = door(va)
    scores, there = fit.persons("WLE"), exact.persons("WLE")
    moved = exact.difficulty()["difficulty"].mean()  # to a mean threshold of zero
    usual = scores["ability"].abs() < 3  # farther out estimates hang on few thresholds
    np.testing.assert_allclose(scores["ability"][usual], there["ability"][usual] - moved, atol=0.03)
    new = fit.persons("WLE", new=va[va["id"].isin(va["id"].unique()[:5])])
    np.testing.assert_allclose(new["ability"], scores["ability"][:5], atol=1e-9)


def test_booklets_are_scored(va):
    """Persons who answered fewer items have larger errors, on the same scale."""
    some = va[~(va["item"].str.contains("S1") & va["id"].astype(int).gt(150))]
    fit = eirt.rasch(some, likelihood=eirt.Conditional(), **COLUMNS)
    table = fit.persons()
    b = fit.difficulty().set_index("item")["difficulty"]
    b = b[~b.index.str.contains("S1")].to_numpy()
    own = table[table["n"] == 18].iloc[0]
    p = 1 / (1 + np.exp(b - own["ability"]))
    assert own["se"] == pytest.approx((p * (1 - p)).sum() ** -0.5, rel=1e-6)


def test_what_scores_allow(fits, va):
    fit = fits("rasch_cml")
    right = (va["r2"] == "Y").to_numpy().reshape(24, 316).T  # items one after another
    theta = fit.persons().set_index("id").loc[va["id"].iloc[:316], "ability"].to_numpy()
    p = 1 / (1 + np.exp(fit.difficulty()["difficulty"].to_numpy() - theta[:, None]))
    infit = ((right - p) ** 2).sum(axis=0) / (p * (1 - p)).sum(axis=0)
    np.testing.assert_allclose(fit.item_fit()["infit"], infit, rtol=1e-6)
    assert 0.8 < fit.reliability().set_index("coefficient").loc["marginal", "reliability"] < 0.9
    assert fit.information_function()["theta"].mean() == pytest.approx(-0.166, abs=0.01)
    icc, wright = fit.plot("icc", items=["S1WantCurse"]), fit.plot("wright")
    half = icc.data.iloc[(icc.data["probability"] - 0.5).abs().argmin()]["theta"]
    b = fit.difficulty().set_index("item").loc["S1WantCurse", "difficulty"]
    assert half == pytest.approx(b, abs=0.06)
    assert wright.data["difficulty"].mean() == pytest.approx(0.0, abs=1e-9)
