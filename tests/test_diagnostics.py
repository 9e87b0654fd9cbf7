"""Fit of items, persons, pairs of items and models."""

import itertools

import numpy as np
import pandas as pd
import pytest
import scipy.stats

import eirt
from eirt._config import double_precision
from eirt.diagnostics.moments import basis, model_moments, moment_covariance, sample_moments
from eirt.diagnostics.residuals import mean_squares, residuals
from eirt.diagnostics.sum_score_fit import expected_shares, own_parameters
from eirt.scores.answers import answers_of
from eirt.scores.sums import one_test

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


def test_likelihood_ratios_of_items_against_all_patterns():
    """S-G2 of one item from its probabilities given the sum score, summed over patterns."""
    frame = simulated(1, n=4000, k=5)
    fit = eirt.rasch(frame, wide=True, check=False)
    test = double_precision(lambda: one_test(fit, answers_of(fit)))()
    y, p = frame.to_numpy(), test.probabilities
    joint = np.zeros((6, 2))
    for pattern in itertools.product(range(2), repeat=5):
        chance = np.prod([p[i, c] for i, c in enumerate(pattern)], axis=0) @ test.weights
        joint[sum(pattern), pattern[2]] += chance
    g2 = 0.0
    for score in range(1, 5):
        here = y[y.sum(axis=1) == score, 2]
        expected = len(here) * joint[score] / joint[score].sum()
        observed = np.array([(here == 0).sum(), (here == 1).sum()])
        assert expected.min() > 1
        g2 += 2 * np.sum(observed * np.log(observed / expected))
    row = fit.item_fit().iloc[2]
    assert row["s_g2"] == pytest.approx(g2, rel=1e-8)
    assert row["s_g2"] == pytest.approx(row["s_x2"], rel=0.05)  # the same where persons abound
    assert row["p_g2"] == pytest.approx(scipy.stats.chi2.sf(g2, row["df"]))


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


def test_sum_score_fit_of_several_categories_has_its_distribution():
    found = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        eta = 1.3 * (rng.normal(size=(500, 1)) - np.linspace(-1, 1, 7))
        chance = rng.random(eta.shape)
        ahead = [chance < 1 / (1 + np.exp(shift - eta)) for shift in (-0.7, 0.7)]
        frame = pd.DataFrame(ahead[0].astype(int) + ahead[1]).add_prefix("i")
        found.append(eirt.grm(frame, wide=True, check=False).item_fit()[["s_x2", "df"]])
    table = pd.concat(found)
    assert table["s_x2"].mean() == pytest.approx(table["df"].mean(), rel=0.1)


def test_fit_of_several_dimensions(fits):
    items, people = fits("2pl_2d").item_fit(), fits("2pl_2d").person_fit()
    assert items["p"].between(0, 1).all()
    assert len(people) == 316
    assert np.isfinite(people[["lz", "lz_star", "infit_z"]]).all().all()


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


FIT_INDICES = {"value": "M2", "df": "df", "rmsea": "RMSEA", "srmsr": "SRMSR", "cfi": "CFI"}


@pytest.mark.parametrize("data", ["verbagg rasch", "verbagg pl2", "lsat6", "lsat7"])
def test_model_fit_against_mirt(fits, reference, data):
    source, _, name = data.partition(" ")
    if name:
        known = reference("verbagg_scores")[name]["M2"]
    else:
        known = reference("mirt_datasets")[source]["pl2_M2"]
    table = fits({"rasch": "rasch", "pl2": "2pl"}.get(name, source)).model_fit().iloc[0]
    for ours, theirs in (FIT_INDICES | {"p": "p", "tli": "TLI"}).items():
        assert table[ours] == pytest.approx(known[theirs], rel=1e-4, abs=1e-6)
    # mirt divides the limits by N, the estimate by N - 1
    for ours, theirs in {"rmsea_lower": "RMSEA_5", "rmsea_upper": "RMSEA_95"}.items():
        assert table[ours] == pytest.approx(known[theirs], rel=3e-3)


def test_statistics_agree_for_binary_items(fits):
    values = [fits("lsat7").model_fit(kind).loc[0, "value"] for kind in ("M2", "C2", "M2*")]
    assert values == pytest.approx([values[0]] * 3, rel=1e-8)


@pytest.mark.parametrize("statistic", ["M2", "C2", "M2*"])
def test_moments_and_their_covariance_against_all_patterns(statistic):
    rng = np.random.default_rng(2)
    sizes, weights = np.array([2, 3, 2, 4]), np.array([0.5, 0.3, 0.2])
    p = np.zeros((4, 4, 3))
    for i, size in enumerate(sizes):
        p[i, :size] = rng.dirichlet(np.ones(size), 3).T
    of = basis(statistic, sizes)
    patterns = np.array(list(itertools.product(*map(range, sizes))))
    chance = np.prod([p[i, patterns[:, i]] for i in range(4)], axis=0) @ weights
    moments = np.stack([sample_moments(of, pattern[None]) for pattern in patterns])
    mean = chance @ moments
    known = (moments - mean).T @ ((moments - mean) * chance[:, None])
    found = double_precision(moment_covariance)(of, p, weights)
    np.testing.assert_allclose(found, known, atol=1e-12)
    np.testing.assert_allclose(double_precision(model_moments)(of, p, weights), mean, atol=1e-12)


def test_model_fit_of_several_categories_and_dimensions(va, fits):
    fit = eirt.grm(va, person="id", item="item", response="resp")
    assert fit.model_fit().loc[0, ["statistic", "df"]].tolist() == ["C2", 324 - 72]
    assert fit.model_fit("M2*")["df"][0] == 300 - 72
    two, one = fits("2pl_2d").model_fit(), fits("2pl").model_fit()
    assert two["df"][0] == one["df"][0] - 1
    assert two["value"][0] < one["value"][0]
    lltm = fits("lltm").model_fit()
    assert lltm["df"][0] == 300 - fits("lltm").n_params


def test_model_fit_has_its_distribution():
    values = [
        eirt.two_pl(simulated(seed, k=6), wide=True, check=False).model_fit().loc[0, "value"]
        for seed in range(30)
    ]
    # 9 degrees of freedom: the mean of 30 has a standard error of 0.8
    assert np.mean(values) == pytest.approx(9, abs=2.4)


def test_model_fit_is_refused_in_words(fits, va):
    with pytest.raises(eirt.DataError, match="random effects across persons"):
        fits("lltm_residuals").model_fit()
    with pytest.raises(eirt.DataError, match="random effects across persons"):
        fits("lltm_residuals").local_dependence()
    crossed = fits("lltm_residuals").item_fit()
    assert "random effects across persons" in crossed.attrs["note"]
    assert crossed["infit"].between(0.7, 1.3).all()
    with pytest.raises(eirt.DataError, match="one test"):
        eirt.rasch(va.iloc[3:], person="id", item="item", response="r2").model_fit()
    with pytest.raises(eirt.DataError, match="no degrees of freedom"):
        eirt.two_pl(simulated(0, k=4).iloc[:, :3], wide=True, check=False).model_fit()
    with pytest.raises(ValueError, match="M2, C2 and M2"):
        fits("rasch").model_fit("M3")


@pytest.mark.parametrize(("recipe", "name"), MIRT)
@pytest.mark.parametrize("method", ["EAP", "WLE"])
def test_q3_against_mirt(fits, reference, recipe, name, method):
    known = reference("verbagg_scores")[name]
    order = known["S_X2"]["item"]
    there = pd.DataFrame(known[f"Q3_{method}"], order, order)
    table = fits(recipe).q3(method)
    values = [there.loc[a, b] for a, b in zip(table["item_1"], table["item_2"], strict=True)]
    np.testing.assert_allclose(table["q3"], values, atol=1e-3)
    np.testing.assert_allclose(table["q3_adjusted"], table["q3"] - np.mean(values), atol=1e-3)
    assert (table["reading"] == "more alike than ability explains").sum() > 5


def test_q3_of_incomplete_responses(fits, va):
    fit = eirt.rasch(va.iloc[5:], person="id", item="item", response="r2")
    table, whole = fit.q3(), fits("rasch").q3()
    assert set(table["n"]) == {311, 316}
    both = table.merge(whole, on=["item_1", "item_2"])
    np.testing.assert_allclose(both["q3_x"], both["q3_y"], atol=0.02)


@pytest.mark.parametrize(("recipe", "name"), MIRT)
def test_local_dependence_against_mirt(fits, reference, recipe, name):
    known = reference("verbagg_scores")[name]
    order = known["S_X2"]["item"]
    there = pd.DataFrame(known["LD"], order, order, float).to_numpy()
    table = fits(recipe).local_dependence()
    first, second = (pd.Index(order).get_indexer(table[c]) for c in ("item_1", "item_2"))
    low, high = np.minimum(first, second), np.maximum(first, second)
    known_v = there[low, high]
    np.testing.assert_allclose(np.abs(table["cramer_v"]), np.abs(known_v), atol=1e-3)
    plain = np.abs(known_v) > 0.05  # mirt takes the sign from another correlation
    assert (np.sign(known_v) == np.sign(table["cramer_v"]))[plain].all()
    np.testing.assert_allclose(table["x2"], np.abs(there[high, low]), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize(("recipe", "name"), MIRT)
def test_information_against_mirt(fits, reference, recipe, name):
    known = reference("verbagg_scores")[name]
    table = fits(recipe).information_function(known["testinfo"]["theta"])
    np.testing.assert_allclose(table["information"], known["testinfo"]["info"], atol=1e-3)
    np.testing.assert_allclose(table["se"] ** -2, table["information"])
    each = fits(recipe).information_function(known["testinfo"]["theta"], items=True)
    wide = each.pivot(index="theta", columns="item", values="information")
    there = np.array(known["testinfo"]["item_info"])
    there = there if there.shape[1] == 24 else there.T
    np.testing.assert_allclose(wide[known["S_X2"]["item"]], there, atol=1e-3)
    assert len(fits(recipe).information_function()) == 81


def test_information_is_about_one_ability(fits):
    with pytest.raises(eirt.DataError, match="one ability"):
        fits("2pl_2d").information_function()
