"""Guessing, counts, times: against peers, closed forms, and in simulation."""

import jax
import numpy as np
import pandas as pd
import pytest
import scipy.optimize
import scipy.stats

import eirt

N, K = 400, 8


def long(y, name="resp", **more):
    n, k = y.shape
    frame = pd.DataFrame({
        "id": np.repeat(np.arange(n), k),
        "item": np.tile([f"i{j}" for j in range(k)], n),
        name: y.ravel(),
    })  # fmt: skip
    return frame.assign(**more)


@pytest.fixture(scope="module")
def truth():
    rng = np.random.default_rng(3)
    return rng, rng.normal(size=(N, 1)), np.linspace(-0.8, 0.8, K)


def test_three_pl_of_mirt(reference):
    """mirt stopped short of the maximum without a prior, where three asymptotes go to zero."""
    peer, data = reference("mirt_datasets")["lsat7"], eirt.load("lsat7")
    free = eirt.three_pl(data, wide=True)
    assert peer["pl3"]["logLik"] <= free.loglik <= peer["pl3"]["logLik"] + 1e-3
    assert free.converged
    assert free.boundary == tuple(f"logit_guessing[Q{k}]" for k in (1, 3, 4, 5))
    assert "logit_guessing[Q5]: a simpler family fits as well" in " ".join(str(free).split())
    fit = eirt.three_pl(data, wide=True, guessing_prior=eirt.Normal(-1.4, 0.7))
    assert fit.converged
    assert fit.loglik == pytest.approx(peer["pl3_prior"]["logLik"], abs=1e-3)
    known = np.array(peer["pl3_prior"]["pars"]["value"])[:20].reshape(5, 4)
    np.testing.assert_allclose(fit.items["discrimination"], known[:, 0], atol=1e-3)
    np.testing.assert_allclose(fit.items["easiness"], known[:, 1], atol=1e-3)
    np.testing.assert_allclose(fit.response_parameters["estimate"], known[:, 2], atol=1e-3)


@pytest.fixture(scope="module")
def guessed():
    """2,000 persons, of whom some slip and some guess, and what made them."""
    rng, n, k = np.random.default_rng(4), 2000, 15
    steep, easy = rng.lognormal(0.2, 0.2, k), rng.normal(size=k)
    low, share = rng.beta(5, 17, k), rng.beta(30, 3, k)
    high = low + (1 - low) * share
    chance = 1 / (1 + np.exp(-steep * rng.normal(size=(n, 1)) - easy))
    y = (rng.uniform(size=(n, k)) < low + (high - low) * chance).astype(int)
    return long(y), {"guessing": low, "ceiling": high}


PRIORS = {"guessing_prior": eirt.Beta(5, 17), "ceiling_prior": eirt.Beta(30, 3)}


def test_four_pl_recovers_both_asymptotes(guessed):
    data, truth = guessed
    fit = eirt.four_pl(data, **PRIORS)
    assert fit.converged
    found = fit.response_parameters
    kind = found["parameter"].str.split(": ").str[1]
    for name, known in truth.items():
        rows = found[kind == name]
        z = (rows["estimate"] - known) / rows["se"]
        assert np.abs(z).max() < 3.5
        assert np.abs(rows["estimate"] - known).mean() < 0.06
    three = eirt.three_pl(data, guessing_prior=PRIORS["guessing_prior"])
    assert three.loglik < fit.loglik


def test_three_pl_recovers_guessing():
    """5,000 persons and 40 items: intervals of all three parameters cover what made the data."""
    rng, n, k = np.random.default_rng(8), 5000, 40
    steep, easy, low = rng.lognormal(0.2, 0.25, k), rng.normal(size=k), rng.beta(5, 17, k)
    chance = 1 / (1 + np.exp(-steep * rng.normal(size=(n, 1)) - easy))
    y = (rng.uniform(size=(n, k)) < low + (1 - low) * chance).astype(int)
    fit = eirt.three_pl(long(y), guessing_prior=eirt.Beta(5, 17), check=False)
    assert fit.converged
    found, table = fit.response_parameters, fit.difficulty()
    pairs = {
        "guessing": (found["estimate"], found["se"], low),
        "discrimination": (table["discrimination"], table["discrimination_se"], steep),
        "difficulty": (table["difficulty"], table["se"], -easy / steep),
    }
    for estimate, se, true in pairs.values():
        z = (estimate - true) / se
        assert abs(z.mean()) < 3 / np.sqrt(k)
        assert (z.abs() < 1.96).mean() > 0.85
    assert np.corrcoef(found["estimate"], low)[0, 1] > 0.6
    error, without_data = found["estimate"] - low, 5 / 22 - low
    assert (error**2).mean() < 0.8 * (without_data**2).mean()


def test_four_pl_drifts_off_without_priors():
    data = eirt.load("lsat7")
    with pytest.warns(eirt.ConvergenceWarning):
        assert not eirt.four_pl(data, wide=True, check=False).converged


FAMILIES = {
    "poisson": (eirt.Poisson(), {}),
    "negative binomial": (eirt.NegativeBinomial(), {"size": 2.0}),
    "gaussian": (eirt.Gaussian(), {"sd": 0.5}),
    "log-gaussian": (eirt.LogGaussian(), {"sd": 0.5}),
    "gamma": (eirt.Gamma(), {"shape": 3.0}),
    "beta": (eirt.BetaProportion(), {"precision": 5.0}),
    "tobit": (eirt.Tobit(lower=-0.5), {"sd": 0.5}),
    "adjacent": (eirt.Adjacent(3), {"intercept[1]": 0.5, "intercept[2]": -0.5}),
    "sequential": (eirt.Sequential("logit", 3), {"intercept[1]": 0.5, "intercept[2]": -0.5}),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_recovery_of_a_random_intercept(truth, name):
    """Every parameter within 3.5 standard errors of what made the data."""
    family, extra = FAMILIES[name]
    _, theta, easiness = truth
    x = np.linspace(-1, 1, K)
    eta = 0.4 * theta + 0.5 * x
    aux = np.tile(list(extra.values()), (N * K, 1))
    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.key(5), N * K)
        y = np.asarray(jax.vmap(family.sample)(keys, eta.ravel(), aux))
    data = long(y.reshape(N, K), x=np.tile(x, N))
    fit = eirt.eirm(data, "resp ~ x + (1 | id)", family=family)
    assert fit.converged
    sd = fit.random.iloc[0]
    assert abs(sd["sd"] - 0.4) < 3.5 * sd["se"]
    slope = fit.fixed.set_index("term").loc["x"]
    assert abs(slope["estimate"] - 0.5) < 3.5 * slope["se"]
    found = fit.response_parameters.set_index("parameter")
    for parameter, value in extra.items():
        row = found.loc[parameter]
        assert abs(row["estimate"] - value) < 3.5 * row["se"], parameter


def test_offsets(truth):
    """Counts over exposures: the coefficient of an offset is one."""
    rng, theta, _ = truth
    x, exposure = np.tile(np.linspace(-1, 1, K), N), rng.uniform(0.5, 5.0, N * K)
    mean = exposure * np.exp(0.5 * x + 0.3 * np.repeat(theta[:, 0], K))
    data = pd.DataFrame({"id": np.repeat(np.arange(N), K), "x": x, "e": exposure})
    data["resp"] = np.random.default_rng(1).poisson(mean)
    family = eirt.Poisson()
    fit = eirt.eirm(data, "resp ~ x + offset(np.log(e)) + (1 | id)", family=family)
    row = fit.fixed.set_index("term").loc["I(np.log(e))"]
    assert row["estimate"] == 1.0
    assert np.isnan(row["z"])
    slope = fit.fixed.set_index("term").loc["x"]
    assert abs(slope["estimate"] - 0.5) < 3.5 * slope["se"]
    np.testing.assert_allclose(fit.predict(data), fit.predict())
    single = eirt.eirm(data, "resp ~ x + offset(np.log(e))", family=family)

    def negative(b):
        return -scipy.stats.poisson.logpmf(data["resp"], exposure * np.exp(b[0] + b[1] * x)).sum()

    assert single.loglik == pytest.approx(maximum(negative, np.zeros(2)), abs=1e-6)
    with pytest.raises(eirt.FormulaError, match=r"offset\(group\) must be one column of numbers"):
        eirt.eirm(data.assign(group="a"), "resp ~ x + offset(group)", family=family)


def maximum(negative, start):
    return -scipy.optimize.minimize(negative, start, method="BFGS", options={"gtol": 1e-7}).fun


SINGLE = {  # log densities of y given a linear predictor and a free parameter
    "gaussian": (eirt.Gaussian(), lambda y, eta, r: scipy.stats.norm.logpdf(y, eta, np.exp(r))),
    "gamma": (
        eirt.Gamma(),
        lambda y, eta, r: scipy.stats.gamma.logpdf(y, np.exp(r), scale=np.exp(eta - r)),
    ),
    "negative binomial": (
        eirt.NegativeBinomial(),
        lambda y, eta, r: scipy.stats.nbinom.logpmf(
            y, np.exp(r), np.exp(r) / (np.exp(r) + np.exp(eta))
        ),
    ),
    "poisson": (
        eirt.Poisson(),
        lambda y, eta, r: scipy.stats.poisson.logpmf(y, np.exp(eta)) - r**2,
    ),
}


@pytest.mark.parametrize("name", SINGLE)
def test_single_level_models(name):
    """Without random effects: generalized linear models, by scipy's densities and optimiser."""
    family, log_density = SINGLE[name]
    rng = np.random.default_rng(2)
    x = rng.normal(size=200)
    y = rng.negative_binomial(2, 2 / (2 + np.exp(1.0 + 0.5 * x))) + (
        0.5 if name in ("gaussian", "gamma") else 0
    )
    data = pd.DataFrame({"x": x, "y": y})
    fit = eirt.eirm(data, "y ~ x", family=family)
    assert fit.converged

    def negative(psi):
        return -np.sum(log_density(y, psi[0] + psi[1] * x, psi[2]))

    assert fit.loglik == pytest.approx(maximum(negative, [1.0, 0.3, 0.1]), abs=1e-5)


def test_gaussian_factor_model_is_factor_analysis():
    """One factor: the log-likelihood of the implied multivariate normal distribution."""
    rng = np.random.default_rng(4)
    loadings, sds = rng.uniform(0.5, 1.0, 6), rng.uniform(0.4, 0.8, 6)
    y = 0.3 + rng.normal(size=(300, 1)) * loadings + rng.normal(size=(300, 6)) * sds
    fit = eirt.two_pl(long(y), family=eirt.Gaussian(), by_item=True)
    assert fit.converged
    found, sd = fit.items["discrimination"].to_numpy(), fit.response_parameters["estimate"]
    covariance = np.outer(found, found) + np.diag(np.asarray(sd) ** 2)
    normal = scipy.stats.multivariate_normal(fit.items["easiness"], covariance)
    assert fit.loglik == pytest.approx(normal.logpdf(y).sum(), abs=1e-6)

    def negative(psi):
        implied = np.outer(psi[:6], psi[:6]) + np.diag(np.exp(2 * psi[6:]))
        return -scipy.stats.multivariate_normal(y.mean(axis=0), implied).logpdf(y).sum()

    start = np.concatenate([found, np.log(sd)])
    assert fit.loglik == pytest.approx(maximum(negative, start), abs=1e-6)


def test_crossed_gaussian_is_exact():
    """Laplace's approximation is exact, and equals the multivariate normal density."""
    rng = np.random.default_rng(6)
    y = rng.normal(size=(30, 1)) + 0.7 * rng.normal(size=(1, 6)) + 0.5 * rng.normal(size=(30, 6))
    fit = eirt.eirm(long(y), "resp ~ 1 + (1 | id) + (1 | item)", family=eirt.Gaussian())
    assert isinstance(fit.likelihood, eirt.Laplace)
    person, item = fit.random["sd"]
    same = np.kron(np.eye(30), np.ones((6, 6))) * person**2
    same += np.kron(np.ones((30, 30)), np.eye(6)) * item**2
    sd = fit.response_parameters["estimate"][0]
    implied = same + sd**2 * np.eye(180)
    normal = scipy.stats.multivariate_normal(np.full(180, fit.fixed["estimate"][0]), implied)
    assert fit.loglik == pytest.approx(normal.logpdf(y.ravel()), abs=1e-6)


def test_response_times(truth):
    rng, theta, easiness = truth
    sds = np.linspace(0.3, 0.6, K)
    y = np.exp(1 + easiness - 0.3 * theta + rng.normal(size=(N, K)) * sds)
    fit = eirt.lognormal_rt(long(y, "rt"))
    assert fit.converged
    assert fit.random["term"].tolist() == ["speed"]
    assert fit.random["sd"][0] == pytest.approx(0.3, abs=0.03)
    np.testing.assert_allclose(fit.response_parameters["estimate"], sds, atol=0.06)
    speed = fit.effects("id")["estimate"]
    assert np.corrcoef(speed, theta[:, 0])[0, 1] > 0.8
    with pytest.raises(eirt.DataError, match="'speed' has the name"):
        eirt.lognormal_rt(long(y, "rt", speed=1.0))


def test_counts(truth):
    rng, theta, easiness = truth
    y = rng.poisson(np.exp(0.4 * theta + easiness + 1))
    fit = eirt.poisson_counts(long(y))
    z = (fit.items["easiness"] - easiness - 1) / fit.items["se"]
    assert np.abs(z).max() < 3.5
    free = eirt.poisson_counts(long(y), slopes="item")
    assert fit.loglik < free.loglik < fit.loglik + 20
    overdispersed = eirt.poisson_counts(long(y), family=eirt.NegativeBinomial())
    assert overdispersed.loglik == pytest.approx(fit.loglik, abs=1.5)
