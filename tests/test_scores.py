"""Person abilities."""

import itertools

import numpy as np
import pandas as pd
import pytest

import eirt
from eirt.scores.sums import sum_distribution


def test_eap_columns_and_scale(fits):
    table = fits("rasch").persons()
    assert list(table.columns) == ["id", "n", "score", "ability", "se"]
    assert len(table) == 316
    # EAPs of equal scores are equal in the Rasch model, and rise with the score
    by_score = table.groupby("score")["ability"].agg(["min", "max"])
    np.testing.assert_allclose(by_score["min"], by_score["max"], atol=1e-8)
    assert by_score["min"].is_monotonic_increasing


def test_eap_variance_and_error_add_up(fits):
    fit = fits("rasch")
    table = fit.persons()
    total = table["ability"].var() + (table["se"] ** 2).mean()
    assert total == pytest.approx(fit.random["variance"][0], rel=0.02)
    assert table.attrs["reliability"] == pytest.approx(0.874, abs=2e-3)


def test_map_maximises_the_posterior(fits):
    fit = fits("rasch")
    table = fit.persons("MAP")
    easiness, sd = fit.items["easiness"].to_numpy(), fit.random["sd"][0]
    theta = table["ability"].to_numpy()
    p = 1 / (1 + np.exp(-theta[:, None] - easiness))
    np.testing.assert_allclose(table["score"] - p.sum(1) - theta / sd**2, 0.0, atol=1e-7)
    np.testing.assert_allclose(table["se"] ** -2, (p * (1 - p)).sum(1) + sd**-2, rtol=1e-7)


def test_scales_of_rasch_and_one_pl(fits):
    rasch, one = fits("rasch").persons(), fits("1pl").persons()
    sd = fits("rasch").random["sd"][0]
    np.testing.assert_allclose(one["ability"] * sd, rasch["ability"], atol=1e-7)


def test_ability_includes_what_covariates_predict(fits):
    fit = fits("latreg_rasch")
    table, residual = fit.persons(), fit.effects("id")
    beta = fit.fixed.set_index("term")["estimate"]
    predicted = fit.design.person_x @ beta[["Anger", "Gender[M]"]].to_numpy()
    np.testing.assert_allclose(table["ability"], residual["estimate"] + predicted)


def test_several_dimensions_get_a_row_each(fits):
    table = fits("laplace_slope").persons()
    assert list(table["dimension"][:2]) == ["mode[want]", "mode[do]"]
    assert len(table) == 632


def test_unknown_method(fits):
    with pytest.raises(ValueError, match="'EAP', 'MAP', 'ML', 'WLE' and 'EAPsum'"):
        fits("rasch").persons("BLUP")


@pytest.mark.parametrize(("recipe", "name"), [("rasch", "rasch"), ("2pl", "pl2")])
@pytest.mark.parametrize("method", ["EAP", "MAP", "ML", "WLE"])
def test_against_mirt(fits, reference, recipe, name, method):
    table, known = fits(recipe).persons(method), reference("verbagg_scores")[name][method]
    theta = np.array(known["theta"], float)  # not a number where mirt says infinite
    finite = np.isfinite(theta)
    np.testing.assert_allclose(table["ability"][finite], theta[finite], atol=1e-4)
    if method != "WLE":
        se = np.array(known["se"], float)
        np.testing.assert_allclose(table["se"][finite], se[finite], atol=1e-3)
    assert np.isinf(table["ability"]).sum() == (~finite).sum()


@pytest.mark.parametrize(("recipe", "name"), [("rasch", "TAM_rasch"), ("2pl", "TAM_2pl")])
def test_weighted_likelihood_against_tam(fits, reference, recipe, name):
    # mirt's standard error is the curvature of the weighted likelihood, TAM's Warm's 1 / sqrt(I)
    table, known = fits(recipe).persons("WLE"), reference("verbagg_scores")[name]
    np.testing.assert_allclose(table["ability"], known["WLE"], atol=1e-4)
    np.testing.assert_allclose(table["se"], known["WLE_se"], atol=1e-4)
    assert table.attrs["reliability"] == pytest.approx(known["WLE_rel"], abs=1e-4)


def test_perfect_scores(fits):
    ml, wle = fits("rasch").persons("ML"), fits("rasch").persons("WLE")
    extreme = ml["score"].isin([0, 24])
    known = np.where(ml["score"][extreme] == 24, np.inf, -np.inf)
    np.testing.assert_array_equal(ml["ability"][extreme], known)
    assert ml["se"][extreme].isna().all()
    assert f"{extreme.sum()} persons" in ml.attrs["note"]
    assert np.isfinite(wle[["ability", "se"]]).all().all()
    assert "note" not in wle.attrs


def test_weighted_likelihood_of_several_categories(va):
    """The graded model's WLE against the equation in Warm (1989), by finite differences."""
    fit = eirt.grm(va, person="id", item="item", response="resp")
    table, found = fit.persons("WLE").head(40), fit.item_parameters
    parts = found.slope[:, None], found.aux

    def probabilities(theta):
        ahead = 1 / (1 + np.exp(-(parts[0] * theta + found.easiness[:, None] + parts[1])))
        return np.diff(np.concatenate([np.ones((24, 1)), ahead, np.zeros((24, 1))], 1)) * -1

    codes = np.zeros((316, 24), int)
    codes[fit.design.obs_person, fit.design.obs_item] = fit.design.y
    h = 1e-4
    for row, theta in zip(codes, table["ability"], strict=False):
        below, here, above = (probabilities(theta + step) for step in (-h, 0, h))
        first, second = (above - below) / (2 * h), (above - 2 * here + below) / h**2
        information, j = (first**2 / here).sum(), (first * second / here).sum()
        score = (first / here)[np.arange(24), row].sum()
        assert score + j / (2 * information) == pytest.approx(0, abs=1e-4)


def test_likelihood_mode_of_several_dimensions(fits):
    fit = fits("2pl_2d")
    table = fit.persons("ML")
    assert len(table) == 632
    wide = table.pivot(index="id", columns="dimension", values="ability")
    assert np.isinf(wide).any(axis=1).sum() > 9  # extreme on one dimension is enough
    both = np.isfinite(wide).all(axis=1)
    eap = fit.persons().pivot(index="id", columns="dimension", values="ability")
    assert np.corrcoef(wide[both].iloc[:, 0], eap[both].iloc[:, 0])[0, 1] > 0.95
    with pytest.raises(ValueError, match="for one ability"):
        fit.persons("WLE")


def test_what_is_infinite_on_each_dimension(fits, va):
    """All right, or all wrong, on one dimension, whatever is known of the other."""
    table = fits("2pl_2d").persons("ML").set_index(["id", "dimension"])
    answers = va.assign(id=va["id"].astype(str), right=va["r2"] == "Y")
    shares = answers.groupby(["id", "mode"], observed=True)["right"].mean()
    shares = shares.reindex(table.index).to_numpy()
    known = np.where(shares == 1, np.inf, np.where(shares == 0, -np.inf, 0.0))
    here = table["ability"].where(np.isinf(table["ability"]), 0.0)
    np.testing.assert_array_equal(here, known)
    assert (table["se"].isna() == (known != 0)).all()
    want = fits("2pl_2d").design.items[:2]
    new = pd.DataFrame({"id": "a", "item": want, "r2": ["Y", "N"]})
    alone = fits("2pl_2d").persons("ML", new=new)
    assert alone["ability"].notna().sum() == 1  # of what nobody asked nothing is known


@pytest.mark.parametrize("recipe", ["rasch", "2pl", "latreg_rasch", "2pl_2d", "lltm"])
@pytest.mark.parametrize("method", ["EAP", "MAP"])
def test_scoring_the_same_persons_anew(fits, va, recipe, method):
    fit = fits(recipe)
    here, there = fit.persons(method), fit.persons(method, new=va[va["id"].isin(["3", "7"])])
    here = here[here["id"].isin(["3", "7"])].reset_index(drop=True)
    np.testing.assert_allclose(there["ability"], here["ability"], atol=2e-4)
    np.testing.assert_allclose(there["se"], here["se"], atol=2e-4)
    assert list(there["id"]) == list(here["id"])


def test_new_persons_in_wide_form(fits, va):
    wide = va.pivot(index="id", columns="item", values="r2")
    some = wide.iloc[[4, 8]].astype(object)
    some.iloc[1, 3] = None
    for recipe in ("rasch", "lltm"):  # the features of items are known to the fit
        table = fits(recipe).persons("WLE", new=some.reset_index())
        assert table["n"].tolist() == [24, 23]
        assert table["ability"][0] == pytest.approx(
            fits(recipe).persons("WLE").set_index("id")["ability"][wide.index[4]], abs=1e-8
        )


def test_new_persons_are_refused_in_words(fits, va):
    fit = fits("rasch")
    with pytest.raises(eirt.DataError, match="no column 'r2'"):
        fit.persons(new=va.drop(columns="r2"))
    with pytest.raises(eirt.DataError, match="'item' holds Swear"):
        fit.persons(new=va.head(2).assign(item="Swear"))
    with pytest.raises(eirt.DataError, match="'r2' holds 7"):
        fit.persons(new=va.head(2).assign(r2=7))


@pytest.mark.parametrize(("recipe", "name"), [("rasch", "rasch"), ("2pl", "pl2")])
def test_sum_scores_against_mirt(fits, reference, recipe, name):
    table, known = fits(recipe).sum_scores(), reference("verbagg_scores")[name]["EAPsum"]
    np.testing.assert_allclose(table["ability"], known["F1"], atol=1e-4)
    np.testing.assert_allclose(table["se"], known["SE_F1"], atol=1e-4)
    np.testing.assert_allclose(table["expected"], known["expected"], atol=1e-3)
    assert table["observed"].tolist() == known["observed"]
    persons = fits(recipe).persons("EAPsum")
    by_score = table.set_index("score")["ability"]
    np.testing.assert_allclose(persons["ability"], by_score[persons["score"]], atol=1e-12)


def test_sum_distribution_against_all_patterns():
    p = np.random.default_rng(0).dirichlet(np.ones(3), (4, 2)).transpose(0, 2, 1)
    p[1, 2], p[1, 1] = 0.0, p[1, 1] + p[1, 2]  # an item of two categories
    found = np.zeros((9, 2))
    for pattern in itertools.product(range(3), repeat=4):
        found[sum(pattern)] += np.prod([p[i, c] for i, c in enumerate(pattern)], axis=0)
    np.testing.assert_allclose(sum_distribution(p), found, atol=1e-15)


def test_sum_scores_need_one_test(fits, va):
    with pytest.raises(eirt.DataError, match="needs one test"):
        eirt.rasch(va.iloc[3:], person="id", item="item", response="r2").sum_scores()
    with pytest.raises(eirt.DataError, match="needs one test"):
        fits("latreg_rasch").persons("EAPsum")


def test_reliability(fits, reference):
    table = fits("2pl").reliability().set_index(["coefficient", "method"])["reliability"]
    tam, mirt = (reference("verbagg_scores")[name] for name in ("TAM_2pl", "pl2"))
    assert table["marginal", "EAP"] == pytest.approx(tam["EAP_rel"], abs=1e-4)
    assert table["separation", "WLE"] == pytest.approx(tam["WLE_rel"], abs=1e-4)
    for method in ("EAP", "MAP"):
        known = mirt[method]["empirical_rxx"]
        assert table["empirical", method] == pytest.approx(known, abs=1e-4)
    assert len(fits("2pl_2d").reliability()) == 6


@pytest.mark.parametrize("recipe", ["rasch", "latreg_rasch", "2pl_2d"])
def test_plausible_values_have_the_posterior_moments(fits, recipe):
    fit, n = fits(recipe), 100
    draws = fit.plausible_values(n, seed=3).filter(like="pv").to_numpy()
    table = fit.persons()
    z = (draws.mean(axis=1) - table["ability"]) / (table["se"] / np.sqrt(n))
    assert abs(z.mean()) < 4 / np.sqrt(len(z))
    assert z.std() == pytest.approx(1, abs=0.15)
    ratio = (draws.var(axis=1, ddof=1) / table["se"] ** 2).mean()
    assert ratio == pytest.approx(1, abs=0.03)


def test_plausible_values_recover_mean_and_variance(fits):
    fit = fits("rasch")
    draws = fit.plausible_values(20).filter(like="pv").to_numpy()
    assert draws.mean() == pytest.approx(0, abs=0.02)
    # at the maximum, the average posterior second moment is the variance of the model
    assert (draws**2).mean() == pytest.approx(fit.random["variance"][0], rel=0.03)
    assert fit.persons("EAP")["ability"].var() < 0.9 * draws.var()
    same = fit.plausible_values(2).filter(like="pv").to_numpy()
    np.testing.assert_array_equal(same, fit.plausible_values(2).filter(like="pv").to_numpy())
    with pytest.raises(ValueError, match="n=0"):
        fit.plausible_values(0)
