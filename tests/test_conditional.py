"""Conditional likelihood: symmetric functions, brute force, eRm's numbers, and what is refused."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import eirt
from eirt._config import double_precision
from eirt._symmetric import log_symmetric, score_information
from eirt.inference import nested_in
from tests.conftest import COLUMNS

CML = eirt.Conditional()
log_symmetric, score_information = jax.jit(log_symmetric), jax.jit(score_information)


def patterns(n, categories):
    return np.array(list(itertools.product(range(categories), repeat=n)))


def log_weights(n, steps, seed=1):
    return np.random.default_rng(seed).normal(size=(n, steps))


def simulated(n_persons, easiness, seed=0, sd=1.0):
    """Responses to items with thresholds: easiness is items x steps."""
    rng = np.random.default_rng(seed)
    eta = rng.normal(0, sd, (n_persons, 1, 1)) + easiness
    cumulative = np.concatenate([np.zeros((*eta.shape[:2], 1)), np.cumsum(eta, axis=2)], axis=2)
    gumbel = rng.gumbel(size=cumulative.shape)
    y = np.argmax(cumulative + gumbel, axis=2)
    frame = pd.DataFrame({"id": np.repeat(np.arange(n_persons), y.shape[1]), "resp": y.ravel()})
    return frame.assign(item=np.tile([f"i{k:02d}" for k in range(y.shape[1])], n_persons))


# ---- elementary symmetric functions --------------------------------------------------------


@pytest.mark.parametrize(("n", "steps"), [(2, 1), (4, 1), (4, 2), (8, 1), (4, 3)])
@double_precision
def test_symmetric_functions_are_sums_over_patterns(n, steps):
    weights = log_weights(n, steps)
    every = patterns(n, steps + 1)
    logs = np.pad(weights, ((0, 0), (1, 0)))[np.arange(n), every].sum(axis=1)
    expected = np.bincount(every.sum(axis=1), np.exp(logs))
    found = log_symmetric(jnp.asarray(weights), jnp.ones(n * steps + 1))
    np.testing.assert_allclose(np.exp(found), expected, rtol=1e-11)


@double_precision
def test_information_is_the_covariance_given_scores():
    weights, counts = log_weights(4, 2), np.array([0, 3, 0, 5, 2, 7, 1, 4, 0.0])
    every = patterns(4, 3)
    shown = (every[:, :, None] == [1, 2]).reshape(len(every), -1).astype(float)
    chance = np.exp(shown @ weights.ravel())
    expected = np.zeros((8, 8))
    for score in range(9):
        here = every.sum(axis=1) == score
        covariance = np.cov(shown[here].T, aweights=chance[here], ddof=0)
        expected += counts[score] * covariance
    found = score_information(jnp.asarray(weights), jnp.asarray(counts))
    np.testing.assert_allclose(found, expected, atol=1e-12)


@double_precision
def test_long_tests_lose_no_digits():
    """With equal items gamma_r is a binomial coefficient, whatever ability it is summed at."""
    n = 256
    scores = np.arange(1, n)
    counts = jnp.asarray(np.r_[0.0, np.ones(n - 1), 0.0])
    found = np.asarray(log_symmetric(jnp.full((n, 1), 2.0), counts))[1:-1]
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    expected = log_factorial[n] - log_factorial[scores] - log_factorial[n - scores] + 2.0 * scores
    np.testing.assert_allclose(found, expected, rtol=1e-12)


# ---- brute force -----------------------------------------------------------------------------


def enumerated(frame, weights):
    """Return the log-likelihood by enumeration, weights being items x categories."""
    total = 0.0
    item = frame["item"].str[1:].astype(int).to_numpy()
    for _, rows in frame.groupby("id").indices.items():
        own, y = weights[item[rows]], frame["resp"].to_numpy()[rows]
        every = patterns(len(rows), weights.shape[1])
        same = every[every.sum(axis=1) == y.sum()]
        logs = own[np.arange(len(rows)), same].sum(axis=1)
        total += own[np.arange(len(rows)), y].sum() - np.log(np.exp(logs).sum())
    return total


def booklets(frame, seed=5):
    """Leave out about a third of the responses, so that persons answer different items."""
    return frame[np.random.default_rng(seed).random(len(frame)) > 0.35]


@pytest.mark.parametrize("missing", [False, True])
def test_likelihood_of_binary_items_is_that_of_patterns_given_scores(missing):
    frame = simulated(40, np.array([[0.0], [0.5], [-0.5], [1.0]]))
    frame = booklets(frame) if missing else frame
    fit = eirt.rasch(frame, likelihood=CML)
    easiness = fit.items["easiness"].to_numpy()
    assert easiness[0] == 0.0
    weights = np.column_stack([np.zeros(4), easiness])
    assert fit.loglik == pytest.approx(enumerated(frame, weights), abs=1e-10)


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("door", [eirt.pcm, eirt.rsm])
def test_likelihood_of_several_categories(door, missing):
    frame = simulated(60, np.array([[0.5, 0.0], [0.2, -0.5], [-0.5, -0.3], [1.0, 0.4]]))
    frame = booklets(frame) if missing else frame
    fit = door(frame, likelihood=CML)
    steps = -fit.difficulty()["difficulty"].to_numpy().reshape(4, 2)
    weights = np.column_stack([np.zeros(4), np.cumsum(steps, axis=1)])
    assert fit.converged
    assert fit.loglik == pytest.approx(enumerated(frame, weights), abs=1e-10)


@double_precision
def test_derivatives_agree_with_finite_differences():
    frame = booklets(simulated(80, np.array([[0.5, 0.0], [0.2, -0.5], [-0.5, -0.3], [1.0, 0.4]])))
    objective = eirt.pcm(frame, likelihood=CML).objective
    psi = np.random.default_rng(3).normal(0, 0.3, 7)
    steps = 1e-5 * np.eye(7)
    expected = [(objective.value_and_grad(psi + h)[0] - objective.value_and_grad(psi - h)[0]) / 2e-5
                for h in steps]  # fmt: skip
    np.testing.assert_allclose(objective.value_and_grad(psi)[1], expected, atol=1e-7)
    by_differences = [
        (objective.value_and_grad(psi - h)[1] - objective.value_and_grad(psi + h)[1]) / 2e-5
        for h in steps
    ]
    np.testing.assert_allclose(objective.information(psi), by_differences, atol=1e-6)


def test_bands_of_scores_change_nothing(monkeypatch):
    frame = simulated(60, np.linspace(-1, 1, 6)[:, None])
    whole = eirt.rasch(frame, likelihood=CML)
    monkeypatch.setattr("eirt.likelihood.booklets.BAND", 2)
    cut = eirt.rasch(frame, likelihood=CML)
    assert len(cut.objective.booklets.counts) > len(whole.objective.booklets.counts) == 1
    np.testing.assert_allclose(cut.psi, whole.psi, atol=1e-10)
    np.testing.assert_allclose(cut.information, whole.information, atol=1e-9)


# ---- eRm -------------------------------------------------------------------------------------


def test_rasch_agrees_with_erm(fits, reference):
    fit, there = fits("rasch_cml"), reference("verbagg_rasch")["eRm_RM"]
    assert fit.n_params == there["npar"]
    assert fit.loglik == pytest.approx(there["loglik_cml"], abs=1e-6)
    table = fit.difficulty()  # sum of difficulties zero, as there
    # eRm stops 8e-8 below the maximum, where estimates still move in the fifth decimal
    np.testing.assert_allclose(-table["difficulty"], list(there["easiness"].values()), atol=5e-5)
    np.testing.assert_allclose(table["se"], there["se_beta"], atol=1e-5)
    first = there["sum0_FALSE"]
    np.testing.assert_allclose(fit.items["easiness"], _shifted(first["easiness"]), atol=1e-4)
    np.testing.assert_allclose(fit.items["se"], first["se_beta"], atol=3e-5)


def _shifted(easiness):
    values = np.array(list(easiness.values()))
    return values - values[0]


def test_lltm_agrees_with_erm(fits, reference):
    fit, there = fits("lltm_cml"), reference("verbagg_rasch")["eRm_LLTM"]
    assert fit.loglik == pytest.approx(there["loglik_cml"], abs=1e-6)
    assert fit.fixed.loc[0, ["term", "estimate", "se"]].tolist() == ["(Intercept)", 0.0, 0.0]
    np.testing.assert_allclose(fit.psi, there["eta"], atol=1e-5)
    np.testing.assert_allclose(fit.fixed["se"][1:], there["se_eta"], atol=1e-5)


def test_features_are_tested_against_free_items(fits, reference):
    test = eirt.compare(fits("lltm_cml"), fits("rasch_cml")).iloc[1]
    there = reference("verbagg_rasch")["eRm_LR_RM_LLTM"]
    assert test["df"] == there["df"]
    assert test["chi2"] == pytest.approx(there["chisq"], abs=1e-5)


@pytest.mark.parametrize(("door", "name"), [(eirt.pcm, "eRm_PCM"), (eirt.rsm, "eRm_RSM")])
def test_several_categories_agree_with_erm(va, reference, door, name):
    fit, there = door(va, likelihood=CML), reference("verbagg_poly2")[name]
    assert fit.n_params == there["npar"]
    # eRm stops about 5e-7 below the maximum
    assert 0 <= fit.loglik - there["loglik_cml"] < 1e-6
    cumulative = np.array(list(there["betapar"].values())).reshape(24, 2)
    steps = np.diff(np.pad(cumulative, ((0, 0), (1, 0))), axis=1)
    found = -fit.difficulty()["difficulty"].to_numpy().reshape(24, 2)
    np.testing.assert_allclose(found, steps - steps.mean(), atol=3e-4)


def test_linear_rating_scale_model_agrees_with_erm(va, reference):
    there = reference("verbagg_poly2")["eRm_LRSM"]
    fit = eirt.lltm(va, "~ btype + situ + mode", family=eirt.Adjacent(), likelihood=CML)
    assert fit.loglik == pytest.approx(there["loglik_cml"], abs=1e-6)
    np.testing.assert_allclose(fit.psi, there["eta"], atol=1e-5)
    se = np.sqrt(np.diag(fit.free_covariance))
    np.testing.assert_allclose(se, there["se_eta"], atol=1e-5)


# ---- what it estimates -----------------------------------------------------------------------


def test_recovery_where_ability_is_far_from_normal():
    easiness = np.linspace(-1.5, 1.5, 12)
    rng = np.random.default_rng(8)
    ability = rng.choice([-1.5, 2.0], 3000)[:, None]
    y = (rng.random((3000, 12)) < 1 / (1 + np.exp(-ability - easiness))).astype(int)
    table = eirt.rasch(pd.DataFrame(y), wide=True, likelihood=CML).difficulty()
    z = (-table["difficulty"] - easiness) / table["se"]
    assert np.abs(z).max() < 3.5


def test_partial_credit_is_close_to_marginal_likelihood_on_a_long_test():
    steps = np.column_stack([np.linspace(-1, 1.5, 30), np.linspace(0.5, -1, 30)])
    frame = simulated(800, steps, seed=4)
    conditional, marginal = eirt.pcm(frame, likelihood=CML), eirt.pcm(frame, check=False)
    a, b = conditional.difficulty(), marginal.difficulty("items")
    assert np.abs(a["difficulty"] - b["difficulty"]).max() < 0.1 * a["se"].min()
    np.testing.assert_allclose(a["se"], b["se"], rtol=0.03)


def test_partial_credit_with_features_lies_within_partial_credit(va):
    linear = eirt.lltm(
        va, "~ btype + situ + mode", family=eirt.Adjacent(), by_item=True, likelihood=CML
    )
    free = eirt.pcm(va, likelihood=CML)
    assert linear.n_params == 28
    assert linear.loglik < free.loglik
    assert eirt.compare(linear, free).iloc[1]["df"] == 19


def test_items_may_lack_categories():
    frame = simulated(200, np.array([[0.5, 0.0], [0.2, -0.5], [-0.5, -0.3], [1.0, 0.4]]))
    frame.loc[frame["item"] == "i02", "resp"] = frame["resp"].clip(upper=1)
    fit = eirt.pcm(frame, likelihood=CML)
    assert fit.converged
    assert len(fit.difficulty()) == 7
    full = frame.groupby("id")["resp"].sum().isin([0, 7]).sum()
    assert fit.objective.extreme == full


def test_an_anchored_item_gives_the_origin(va):
    anchored = eirt.rasch(va, anchors={"item[S3DoCurse]": 1.0}, likelihood=CML, **COLUMNS)
    assert anchored.n_params == 23
    assert dict(zip(anchored.names, anchored.full, strict=True))["item[S3DoCurse]"] == 1.0


# ---- what it says and refuses ----------------------------------------------------------------


def test_summary_counts_persons_who_say_nothing(fits, va):
    score = va.assign(y=va["r2"] == "Y").groupby("id", observed=True)["y"].sum()
    extreme = score.isin([0, 24]).sum()
    assert f"Conditional; {extreme} persons with the lowest or highest score" in str(
        fits("rasch_cml")
    )
    assert len(fits("rasch_cml").random) == 0


def test_what_scores_do_not_condition_away_is_refused(va):
    with pytest.raises(ValueError, match="Discriminations cannot be estimated"):
        eirt.two_pl(va, likelihood=CML, **COLUMNS)
    with pytest.raises(ValueError, match="no random effects besides"):
        eirt.lltm(va, "~ btype + (1 | item)", likelihood=CML, **COLUMNS)
    with pytest.raises(ValueError, match="Covariates of persons"):
        eirt.rasch(va, ability="~ Anger", likelihood=CML, **COLUMNS)
    with pytest.raises(ValueError, match="sufficient for Bernoulli"):
        eirt.rasch(va, family=eirt.Bernoulli("probit"), likelihood=CML, **COLUMNS)
    with pytest.raises(ValueError, match="one ability"):
        eirt.eirm(va, "r2 ~ 0 + item + (0 + mode | id)", likelihood=CML)


def test_abilities_have_no_distribution(fits):
    fit = fits("rasch_cml")
    with pytest.raises(eirt.DataError, match="distribution of ability"):
        fit.effects("id")
    with pytest.raises(ValueError, match="neither mean nor sd of ability"):
        fit.difficulty("ability")


def test_data_that_tell_nothing_are_refused():
    frame = pd.DataFrame({"id": [1, 1, 2, 2], "item": list("abab"), "resp": [0, 0, 1, 1]})
    with pytest.raises(eirt.DataError, match="Every person"):
        eirt.rasch(frame, likelihood=CML)
    apart = simulated(40, np.zeros((4, 1)))
    late = apart["id"] >= 20
    kept = apart[late == apart["item"].isin(["i02", "i03"])]
    with pytest.raises(eirt.DataError, match=r"2 sets that nobody links.*i00, i01 \| i02, i03"):
        eirt.rasch(kept, likelihood=CML)


def test_interactions_with_items_may_stay(va):
    """Gender moves nobody's items alike, so that its interaction is all that there is of it."""
    columns = {"person": "id", "item": "item"}
    fit = eirt.eirm(va, "r2 ~ 0 + item + I((Gender == 'M') * (mode == 'do')) + (1 | id)",
                    likelihood=CML, **columns)  # fmt: skip
    assert fit.converged
    assert fit.n_params == 24
    assert not fit.design.complete
    assert jax.tree.map(np.shape, fit.objective.booklets.counts) == (2, 25)


def test_only_likelihoods_of_a_kind_are_compared(fits):
    mixed = eirt.compare(fits("lltm"), fits("rasch"), fits("rasch_cml"))
    assert dict(zip(mixed["model"] + mixed["kind"], mixed["against"].fillna(""), strict=True)) == {
        "LLTMmarginal": "",
        "Raschconditional": "",
        "Raschmarginal": "LLTM",
    }
    assert "kind" not in eirt.compare(fits("lltm"), fits("rasch"))
    sabic = mixed["sabic"] - (-2 * mixed["loglik"] + mixed["n_params"] * np.log(7586 / 24))
    np.testing.assert_allclose(sabic.astype(float), 0.0, atol=1e-9)


def test_where_the_origin_is_does_not_hide_that_models_are_nested(va, fits):
    other = eirt.rasch(va, anchors={"item[S4DoShout]": 0.0}, likelihood=CML, **COLUMNS)
    assert nested_in(fits("lltm_cml"), other)
