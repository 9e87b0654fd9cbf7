"""Fit of items, persons, pairs of items and models."""

import itertools

import numpy as np
import pandas as pd
import pytest

import eirt
from eirt._config import double_precision
from eirt.diagnostics.residuals import mean_squares, residuals
from eirt.diagnostics.sum_score_fit import expected_shares, own_parameters
from eirt.scores.answers import answers_of
from eirt.scores.sums import one_test

pytestmark = pytest.mark.usefixtures("quick_compilation")

MIRT = [("rasch", "rasch"), ("2pl", "pl2")]
NAMES = {"infit": "infit", "infit_z": "z.infit", "outfit": "outfit", "outfit_z": "z.outfit"}


def simulated(seed, n=500, k=10, slopes=1.2):
    rng = np.random.default_rng(seed)
    eta = slopes * (rng.normal(size=(n, 1)) - np.linspace(-1.5, 1.5, k))
    y = (rng.random((n, k)) < 1 / (1 + np.exp(-eta))).astype(int)
    return pd.DataFrame(y, columns=[f"i{j}" for j in range(k)])


def floored(found):
    """mirt takes variances below sqrt(1e-5) for that: outfit of improbable responses is smaller."""
    variance = np.where(found.present > 0, np.maximum(found.expected.variance, np.sqrt(1e-5)), 0)
    return found._replace(expected=found.expected._replace(variance=variance))


@pytest.mark.parametrize(("recipe", "name"), MIRT)
@pytest.mark.parametrize("method", ["EAP", "WLE"])
def test_mean_squares_against_mirt(fits, reference, recipe, name, method):
    fit, known = fits(recipe), reference("verbagg_scores")[name]
    found = floored(residuals(fit, method))
    n, k = found.present.shape
    items = np.asarray(found.answers.item)
    order = [list(fit.design.items).index(item) for item in known[f"infit_{method}"]["item"]]
    by_item = mean_squares(found, items, k)[1]
    by_person = mean_squares(found, np.repeat(np.arange(n), k).reshape(n, k), n)[1]
    for ours, theirs in NAMES.items():
        # mirt takes EAP for fit from fewer nodes than those it reports
        close = 1e-4 if method == "WLE" else 1e-3 if theirs in ("infit", "outfit") else 5e-3
        there = np.array(known[f"infit_{method}"][theirs])
        np.testing.assert_allclose(getattr(by_item, ours)[order], there, atol=close)
        there = np.array(known[f"personfit_{method}"][theirs])
        np.testing.assert_allclose(getattr(by_person, ours), there, atol=close)


@pytest.mark.parametrize(("recipe", "name"), MIRT)
def test_lz_against_mirt(fits, reference, recipe, name):
    known = reference("verbagg_scores")[name]["personfit_WLE"]["Zh"]
    table = fits(recipe).person_fit()
    np.testing.assert_allclose(table["lz"], known, atol=1e-4)
    assert list(table.columns[:7]) == ["id", "n", "score", "infit", "infit_z", "outfit", "outfit_z"]
    worst = table["p"].argmin()
    assert table["reading"][worst] == "responses contradict the model"
    assert (table["p_adjusted"] >= table["p"] - 1e-15).all()


def test_corrected_lz_is_nearer_to_normal():
    fit = eirt.rasch(simulated(3, n=3000), wide=True, check=False)
    table = fit.person_fit().query("2 <= score <= 8")
    assert table["lz"].std() < 0.92
    assert table["lz_star"].std() == pytest.approx(1, abs=0.05)


def test_corrected_lz_of_rasch_by_the_formula_of_snijders(fits):
    fit = fits("rasch")
    table, theta = fit.person_fit(), fit.persons("WLE")["ability"].to_numpy()
    b = -fit.items["easiness"].to_numpy()
    codes = np.zeros((316, 24))
    codes[fit.design.obs_person, fit.design.obs_item] = fit.design.y
    p = 1 / (1 + np.exp(b - theta[:, None]))
    v, w = p * (1 - p), np.log(p / (1 - p))
    c = (v * w).sum(1) / v.sum(1)
    r0 = (v * (1 - 2 * p)).sum(1) / (2 * v.sum(1))
    moved = ((codes - p) * w).sum(1) + c * r0
    known = moved / np.sqrt((v * (w - c[:, None]) ** 2).sum(1))
    np.testing.assert_allclose(table["lz_star"], known, atol=1e-6)


@pytest.mark.parametrize("data", ["verbagg rasch", "verbagg pl2", "lsat6", "lsat7"])
def test_sum_score_fit_against_mirt(fits, reference, data):
    source, _, name = data.partition(" ")
    if name:
        known = reference("verbagg_scores")[name]["S_X2"]
    else:
        known = reference("mirt_datasets")[source]["pl2_S_X2"]
    table = fits({"rasch": "rasch", "pl2": "2pl"}.get(name, source)).item_fit()
    if name:
        table = table.set_index("item").loc[known["item"]]
    np.testing.assert_allclose(table["s_x2"], known["S_X2"], rtol=1e-3)
    # mirt takes a degree of freedom of every Rasch item for the variance that all share
    shared = 1 if name == "rasch" else 0
    np.testing.assert_array_equal(table["df"] - shared, known["df.S_X2"])
    if not shared:
        np.testing.assert_allclose(table["p"], known["p.S_X2"], atol=1e-4)
        np.testing.assert_allclose(table["rmsea"], known["RMSEA.S_X2"], atol=1e-5)


def test_expected_shares_against_all_patterns():
    frame = simulated(0, k=4).assign(i0=lambda x: x["i0"] + x["i1"] * (x.index % 2))
    fit = eirt.pcm(frame, wide=True, check=False)
    test = double_precision(lambda: one_test(fit, answers_of(fit)))()
    shares, p = expected_shares(test, 0), test.probabilities
    joint = np.zeros((len(shares), 3))
    for pattern in itertools.product(range(3), repeat=4):
        chance = np.prod([p[i, c] for i, c in enumerate(pattern)], axis=0) @ test.weights
        joint[sum(pattern), pattern[0]] += chance
    possible = joint.sum(axis=1) > 1e-12
    known = joint[possible] / joint[possible].sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shares[possible], known, atol=1e-10)


def test_parameters_of_one_item(fits):
    counts = {"rasch": 1, "2pl": 2, "1pl": 1, "lltm": 0}
    for recipe, count in counts.items():
        assert (double_precision(own_parameters)(fits(recipe)) == count).all()


def test_item_fit_finds_the_item_that_does_not_fit():
    frame = simulated(5, n=1500)
    frame["i3"] = np.random.default_rng(0).integers(0, 2, len(frame))
    table = eirt.rasch(frame, wide=True, check=False).item_fit().set_index("item")
    assert table["p_adjusted"].idxmin() == "i3"
    assert table["reading"]["i3"] == "does not follow its curve: noisier than the model says"
    frame.iloc[0, 0] = np.nan
    some = eirt.rasch(frame, wide=True, check=False).item_fit().set_index("item")
    assert some["s_x2"].isna().all()
    assert "one test" in some.attrs["note"]
    assert some["infit"]["i3"] == pytest.approx(table["infit"]["i3"], abs=0.01)


def test_sum_score_fit_has_its_distribution():
    found = [
        eirt.rasch(simulated(seed), wide=True, check=False).item_fit()[["s_x2", "df"]]
        for seed in range(15)
    ]
    table = pd.concat(found)
    assert table["s_x2"].mean() == pytest.approx(table["df"].mean(), rel=0.1)


def test_fit_of_several_categories(va):
    fit = eirt.grm(va, person="id", item="item", response="resp")
    table = fit.item_fit()
    assert (table["df"] > 15).all()
    assert table["p"].between(0, 1).all()
    assert table["infit"].between(0.8, 1.2).all()
    people = fit.person_fit()
    assert people["lz_star"].std() > people["lz"].std() * 0.9


def test_statistics_that_a_model_does_not_have(va):
    with pytest.raises(eirt.DataError, match="binary or ordered"):
        eirt.nominal(va, person="id", item="item", response="resp").item_fit()
    with pytest.raises(ValueError, match="'EAP', 'MAP' and 'WLE'"):
        eirt.rasch(simulated(0), wide=True).person_fit("ML")
