"""The same fit as a mixed model: intraclass correlations, averaged effects, scales, centering."""

import pathlib

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, special, stats

import eirt

REFERENCE = pathlib.Path(__file__).parent / "reference"
GROWTH = "y ~ time + stress_within + stress_between + (1 + time | id)"
RESIDUAL = {"logit": np.pi**2 / 3, "probit": 1.0, "cloglog": np.pi**2 / 6}


@pytest.fixture(scope="module")
def growth():
    data = pd.read_csv(REFERENCE / "growth.csv")
    return eirt.center(data, "stress", by="id")


@pytest.fixture(scope="module")
def grown(growth):
    return eirt.eirm(growth, GROWTH)


# ---- a two-level model of occasions within persons -----------------------------------------


def test_laplace_agrees_with_lme4(growth, reference):
    fit, peer = eirt.eirm(growth, GROWTH, likelihood=eirt.Laplace()), reference("growth")
    table = fit.fixed.set_index("term")
    assert fit.loglik == pytest.approx(peer["logLik"], abs=1e-4)
    for term, value in peer["fixef"].items():
        assert table.loc[term, "estimate"] == pytest.approx(value, abs=1e-3)
        assert table.loc[term, "se"] == pytest.approx(peer["se"][term], rel=0.01)
    np.testing.assert_allclose(fit.random["sd"].dropna(), peer["sd"], rtol=2e-3)
    assert fit.random["correlation"].dropna().item() == pytest.approx(peer["correlation"], abs=4e-3)


def test_the_integral_is_exact(growth, grown):
    """The log-likelihood is a sum of two-dimensional integrals, here by a fine product rule."""
    table, random = grown.fixed.set_index("term")["estimate"], grown.random
    sd, correlation = random["sd"].dropna(), random["correlation"].dropna().item()
    cov = np.outer(sd, sd) * np.array([[1, correlation], [correlation, 1]])
    nodes, weights = special.roots_hermitenorm(80)
    z = np.stack(np.meshgrid(nodes, nodes), -1).reshape(-1, 2)
    log_weights = np.log(np.outer(weights, weights).ravel() / (2 * np.pi))
    b = z @ np.linalg.cholesky(cov).T
    x = growth[["time", "stress_within", "stress_between"]].to_numpy()
    fixed = table["(Intercept)"] + x @ table[["time", "stress_within", "stress_between"]].to_numpy()
    eta = fixed[:, None] + b[:, 0] + np.outer(growth["time"], b[:, 1])
    each = stats.bernoulli.logpmf(growth["y"].to_numpy()[:, None], special.expit(eta))
    persons = pd.DataFrame(each).groupby(growth["id"].to_numpy()).sum().to_numpy()
    assert grown.loglik == pytest.approx(
        special.logsumexp(persons + log_weights, axis=1).sum(), abs=1e-3
    )


# ---- intraclass correlations ---------------------------------------------------------------


@pytest.mark.parametrize("name", ["lltm", "lltm_probit", "lltm_cloglog"])
def test_icc_of_persons(fits, name):
    fit = fits(name)
    link = fit.model.response.distribution.name
    table = fit.icc()
    direct = fit.transform(
        lambda psi: (
            psi["sd[id|(Intercept)]"] ** 2 / (psi["sd[id|(Intercept)]"] ** 2 + RESIDUAL[link])
        )
    )
    assert table["icc"][0] == pytest.approx(direct["estimate"][0], rel=1e-9)
    assert table["se"][0] == pytest.approx(direct["se"][0], rel=1e-5)
    half = stats.norm.ppf(0.975) * table["se"][0] / (table["icc"][0] * (1 - table["icc"][0]))
    assert table["lower"][0] == pytest.approx(special.expit(special.logit(table["icc"][0]) - half))
    assert table["group"].tolist() == ["id", "(residual)"]
    assert table["share"].sum() == pytest.approx(1.0)


def test_crossed_groups_share_nothing(lltm):
    table = lltm.icc().set_index("group")
    np.testing.assert_allclose(table["icc"].iloc[:2], table["share"].iloc[:2])
    assert lltm.icc(level=0.5)["lower"][0] > table["lower"].iloc[0]


@pytest.mark.parametrize("likelihood", [eirt.Laplace(), None])
def test_testlets_share_the_person(va, likelihood):
    fit = eirt.eirm(va, "r2 ~ mode + (1 | id) + (1 | id:mode)", likelihood=likelihood)
    table = fit.icc().set_index("group")
    assert table.loc["id", "icc"] == pytest.approx(table.loc["id", "share"])
    both = table.loc["id", "share"] + table.loc["id:mode", "share"]
    assert table.loc["id:mode", "icc"] == pytest.approx(both)


def test_random_slopes_are_averaged(growth, grown):
    random = grown.random
    sd, r = random["sd"].dropna().to_numpy(), random["correlation"].dropna().item()
    time = growth["time"]
    v = np.mean(sd[0] ** 2 + 2 * r * sd[0] * sd[1] * time + sd[1] ** 2 * time**2)
    assert grown.icc()["variance"][0] == pytest.approx(v)


def test_slopes_and_groups_are_averaged(va, fits):
    items = fits("2pl").items["discrimination"].to_numpy()
    assert fits("2pl").icc()["variance"][0] == pytest.approx(np.mean(items**2))
    fit = fits("groups_rasch")
    men = (va["Gender"] == "M").mean()
    first = va["Gender"].cat.categories[0]
    share = men if first == "F" else 1 - men  # of those whose sd differs from the reference
    log_ratio = fit.fixed.loc[fit.fixed["term"].str.contains("sd"), "estimate"].iloc[-1]
    expected = fit.random["variance"][0] * (1 - share + share * np.exp(2 * log_ratio))
    assert fit.icc()["variance"][0] == pytest.approx(expected)


def test_gaussian_responses_have_their_own_residual():
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(60), 8)
    data = pd.DataFrame({"g": g, "y": rng.normal(0, 1, 60)[g] + rng.normal(0, 2, 480)})
    fit = eirt.eirm(data, "y ~ 1 + (1 | g)", family=eirt.Gaussian())
    sd, error = fit.random["sd"][0], fit.response_parameters["estimate"][0]
    table = fit.icc()
    assert table["icc"][0] == pytest.approx(sd**2 / (sd**2 + error**2))
    direct = fit.transform(
        lambda psi: (
            psi["sd[g|(Intercept)]"] ** 2
            / (psi["sd[g|(Intercept)]"] ** 2 + np.exp(2 * psi["log_sd"]))
        )
    )
    assert table["se"][0] == pytest.approx(direct["se"][0], rel=1e-5)


def test_icc_refusals(va, fits):
    cauchit = eirt.lltm(va, "~ mode", response="r2", family=eirt.Bernoulli("cauchit"))
    with pytest.raises(eirt.DataError, match=r"Bernoulli \(cauchit\) responses have no latent"):
        cauchit.icc()
    with pytest.raises(eirt.DataError, match="conditional on scores"):
        fits("lltm_cml").icc()
    with pytest.raises(eirt.DataError, match="move discrimination"):
        fits("explained").icc()


# ---- effects for one, and on average -------------------------------------------------------


def test_probit_effects_shrink_exactly(fits):
    fit = fits("lltm_probit")
    table = fit.population_effects()
    terms = list(fit.design.x_names)
    direct = fit.transform(lambda psi: psi[terms] / np.sqrt(1 + psi["sd[id|(Intercept)]"] ** 2))
    np.testing.assert_allclose(table["average"], direct["estimate"], rtol=1e-6)
    np.testing.assert_allclose(table["se"], direct["se"], rtol=1e-4)
    assert "average_odds_ratio" not in table


def test_logit_effects_are_integrals(va):
    fit = eirt.eirm(va, "r2 ~ mode + (1 | id) + (1 | item)")
    sd = np.sqrt((fit.random["sd"] ** 2).sum())
    at = fit.fixed["estimate"].cumsum()

    def averaged(eta):
        return integrate.quad(lambda z: special.expit(eta + sd * z) * stats.norm.pdf(z), -9, 9)[0]

    want, do = special.logit([averaged(eta) for eta in at])
    table = fit.population_effects()
    np.testing.assert_allclose(table["average"], [want, do - want], rtol=1e-5)
    np.testing.assert_allclose(table["average_odds_ratio"], np.exp(table["average"]))


def test_averages_need_one_probability(fits):
    with pytest.raises(eirt.DataError, match="not for Cumulative"):
        fits("nested_ordered").population_effects()
    with pytest.raises(eirt.DataError, match="conditional on scores"):
        fits("lltm_cml").predict_intervals()


# ---- predictions with limits ---------------------------------------------------------------


def test_intervals_without_effects(fits, va):
    fit, rows = fits("lltm"), va.iloc[:30]
    table = fit.predict_intervals(rows, effects="zero")
    x = fit.design.x_of(np.arange(30))
    v = fit.vcov.to_numpy()[: x.shape[1], : x.shape[1]]
    np.testing.assert_allclose(table["se"], np.sqrt(np.sum((x @ v) * x, axis=1)), rtol=1e-6)
    np.testing.assert_allclose(table["logit"], x @ fit.full[: x.shape[1]])
    np.testing.assert_allclose(table["odds_upper"], np.exp(table["logit"] + 1.959964 * table["se"]))
    np.testing.assert_allclose(table["probability_lower"], special.expit(table["logit_lower"]))


@pytest.mark.parametrize("name", ["lltm", "lltm_cloglog", "nested_person", "2pl"])
@pytest.mark.parametrize("effects", ["conditional", "average"])
def test_intervals_are_around_predictions(fits, va, name, effects):
    fit, rows = fits(name), va.iloc[:20]
    table = fit.predict_intervals(rows, effects=effects)
    p = fit.predict(rows, effects=effects)
    np.testing.assert_allclose(table["probability"], p, rtol=1e-9)
    np.testing.assert_allclose(table["odds"], p / (1 - p), rtol=1e-8)
    assert (table["probability_lower"] < p).all()
    assert (p < table["probability_upper"]).all()


def test_unseen_persons_and_items_vary_as_the_population(fits, va):
    fit = fits("nested")
    row = va.iloc[[0]].assign(id="nobody", item="new")
    new, zero = fit.predict_intervals(row), fit.predict_intervals(row, effects="zero")
    variance = (fit.random["sd"] ** 2).sum()
    assert new["se"][0] ** 2 == pytest.approx(zero["se"][0] ** 2 + variance, rel=1e-6)


def test_known_persons_have_their_posterior(fits, va):
    """Given the parameters, the variance is that of the person's effect."""
    fit = fits("lltm")
    known = fit.predict_intervals(va.iloc[[0]])["se"][0]
    person = fit.effects("id").set_index("level").loc[va["id"].iloc[0], "sd"]
    assert person < known < 1.1 * person


# ---- one scale -----------------------------------------------------------------------------


def test_what_is_left_out_does_not_matter_after_rescaling():
    rng = np.random.default_rng(5)
    n = 12000
    data = pd.DataFrame(
        {"id": np.arange(n) % 300, "a": rng.normal(size=n), "b": rng.normal(size=n)}
    )
    eta = 0.7 * data["a"] + 1.6 * data["b"] + rng.normal(0, 0.5, 300)[data["id"]]
    data["y"] = (eta + rng.normal(size=n) > 0).astype(int)
    probit = eirt.Bernoulli("probit")
    small, large = (eirt.eirm(data, f"y ~ {x} + (1 | id)", family=probit) for x in ("a", "a + b"))
    table = eirt.rescaled(small, large)
    a = table[table["term"] == "a"]
    assert a["estimate"].iloc[1] > 1.6 * a["estimate"].iloc[0]
    assert a["rescaled"].iloc[1] == pytest.approx(
        a["rescaled"].iloc[0], abs=2 * a["rescaled_se"].max()
    )
    fixed = np.var(large.full[1] * data["a"] + large.full[2] * data["b"])
    total = fixed + large.random["variance"][0] + 1
    before = np.var(small.full[1] * data["a"]) + small.random["variance"][0] + 1
    assert a["factor"].iloc[1] == pytest.approx(np.sqrt(before / total), rel=1e-6)
    np.testing.assert_allclose(table["rescaled"], table["estimate"] * table["factor"])


def test_rescaling_refusals(fits):
    with pytest.raises(ValueError, match="two fits"):
        eirt.rescaled(fits("lltm"))
    with pytest.raises(eirt.DataError, match="different families or links"):
        eirt.rescaled(fits("lltm"), fits("lltm_probit"))
    with pytest.raises(eirt.DataError, match="different responses"):
        eirt.rescaled(fits("lltm"), fits("lsat6"))


# ---- within and between --------------------------------------------------------------------


def test_centering_takes_two_effects_apart(growth, grown):
    assert np.allclose(growth["stress"], growth["stress_within"] + growth["stress_between"])
    assert np.allclose(growth.groupby("id")["stress_within"].mean(), 0.0)
    table = grown.fixed.set_index("term")
    for term, truth in {"stress_within": 0.3, "stress_between": 0.9}.items():
        assert abs(table.loc[term, "estimate"] - truth) < 2.5 * table.loc[term, "se"]


def test_centering_of_several_columns_and_missing_values():
    data = pd.DataFrame(
        {"id": list("aabb"), "day": [1, 1, 1, 2], "x": [1.0, np.nan, 2, 4], "z": [0, 1, 5, 5]}
    )
    table = eirt.center(data, ["x", "z"], by="id")
    assert table["x_between"].tolist() == [1, 1, 3, 3]
    assert table["z_within"].tolist() == [-0.5, 0.5, 0, 0]
    assert "x_between" not in data
    with pytest.raises(eirt.DataError, match="'x' is constant within id:day"):
        eirt.center(data, "x", by=["id", "day"])
    with pytest.raises(eirt.DataError, match="'id' holds no numbers"):
        eirt.center(data, "id", by="day")
    with pytest.raises(eirt.DataError, match="'x_within' already"):
        eirt.center(table, "x", by="id")
    with pytest.raises(eirt.DataError, match="no column 'xx'"):
        eirt.center(data, "xx", by="id")
