"""Draws from posteriors: brute force, maximum likelihood, priors, what is reported and refused."""

import dataclasses
import importlib
import warnings

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import eirt
from eirt._config import double_precision
from eirt.posterior import Posterior
from eirt.sampling import _warned

pytest.importorskip("blackjax")
PRIORS = {
    "easiness": eirt.Normal(0.0, 1.5),
    "sd[id|(Intercept)]": eirt.LogNormal(-0.3, 0.5),
}


def answers(n_persons: int, x: np.ndarray, seed: int, sd_items: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    person, item = np.indices((n_persons, len(x))).reshape(2, -1)
    eta = 0.3 - 0.8 * x[item] + rng.normal(0, 1, n_persons)[person]
    eta += rng.normal(0, sd_items, len(x))[item] if sd_items else 0.0
    y = (rng.random(len(eta)) < special.expit(eta)).astype(int)
    return pd.DataFrame({"id": person, "item": item.astype(str), "x": x[item], "y": y})


@pytest.fixture(scope="module")
def data():
    return answers(60, np.array([0.0, 0.0, 1.0, 1.0]), 1)


@pytest.fixture(scope="module")
def lltm_small(data):
    return eirt.lltm(data, "~ x", person="id", item="item", response="y", check=False)


@pytest.fixture(scope="module")
def posterior(lltm_small) -> Posterior:
    return eirt.sample(lltm_small, draws=700, warmup=400, chains=2, priors=PRIORS, seed=3)


def moments_on_a_grid(data: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return posterior means and sds of intercept, effect and sd, summed over a fine grid."""
    scores = data.groupby(["id", "x"])["y"].sum().unstack().to_numpy()
    kinds, count = np.unique(scores, axis=0, return_counts=True)
    a, b = np.linspace(-1.2, 2.0, 41), np.linspace(-3.2, 1.2, 41)
    s = np.exp(np.linspace(np.log(0.05), np.log(4.0), 60))
    z, w = special.roots_hermitenorm(25)
    total = np.zeros((len(a), len(b), len(s)))
    theta = s[:, None] * z
    for own, n in zip(kinds, count, strict=True):
        first = a[:, None, None] + theta
        second = (a[:, None] + b)[:, :, None, None] + theta
        each = own[0] * first - 2 * np.logaddexp(0, first)
        each = each[:, None] + own[1] * second - 2 * np.logaddexp(0, second)
        total += n * special.logsumexp(each, axis=-1, b=w / w.sum())
    total += stats.norm.logpdf(a, 0, 1.5)[:, None, None] + stats.norm.logpdf(b, 0, 1.5)[:, None]
    total += stats.norm.logpdf(np.log(s), -0.3, 0.5)  # d s / s = d log s, evenly spaced
    weight = np.exp(total - total.max())
    weight /= weight.sum()
    axes = [(a, (1, 2)), (b, (0, 2)), (s, (0, 1))]
    mean = np.array([weight.sum(axis=others) @ at for at, others in axes])
    square = np.array([weight.sum(axis=others) @ at**2 for at, others in axes])
    return mean, np.sqrt(square - mean**2)


def test_the_posterior_is_that_of_a_grid(posterior, data):
    mean, sd = moments_on_a_grid(data)
    table = posterior.summary()
    error = sd / np.sqrt(table["ess"].to_numpy())
    assert (np.abs(table["mean"] - mean) < 4 * error).all()
    np.testing.assert_allclose(table["sd"], sd, rtol=0.12)
    assert (table["r_hat"] < 1.03).all()
    assert (table["lower"] < mean).all() and (mean < table["upper"]).all()
    assert posterior.divergences == 0
    assert "2 chains of 700 draws, 0 divergent" in repr(posterior)


@pytest.mark.slow
def test_flat_priors_agree_with_maximum_likelihood():
    """Crossed effects: with many responses the posterior is about normal around the maximum."""
    x = np.repeat([0.0, 1.0], 16)
    fit = eirt.lltm(
        answers(60, x, 2, 0.6), "~ x + (1 | item)", person="id", item="item", response="y",
        check=False,
    )  # fmt: skip
    found = eirt.sample(fit, draws=300, warmup=300, chains=2, seed=1)
    table = found.summary().set_index("parameter")
    fixed = fit.fixed.set_index("term")
    for term in fixed.index:
        assert (
            abs(table.loc[term, "mean"] - fixed.loc[term, "estimate"])
            < 0.25 * fixed.loc[term, "se"]
        )
        assert table.loc[term, "sd"] == pytest.approx(fixed.loc[term, "se"], rel=0.3)
    items = fit.effects("item").set_index("level")["estimate"]
    assert found.effects["item"].shape == (2, 300, 32, 1)
    draws = pd.Series(found.effects["item"].mean(axis=(0, 1))[:, 0], items.index)
    assert np.corrcoef(draws, items)[0, 1] > 0.99
    persons = fit.effects("id")
    sd = found.effects["id"].std(axis=(0, 1))[:, 0]
    np.testing.assert_allclose(sd, persons["sd"], rtol=0.25)
    assert (found.parameters[:, :, fit.names.index("sd[item|(Intercept)]")] >= 0).all()


def test_covariates_and_slopes_are_in_the_density(fits):
    """The log density of psi and x is that of the likelihood's own joint density, elsewhere."""
    from eirt.sampling import Position, _log_density
    from eirt.scores.answers import answers_of

    @double_precision
    def gap(fit, seed):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(len(fit.design.persons), fit.model.dimension))
        density = _log_density(fit, np.eye(len(fit.psi)), ())
        at = Position(jnp.zeros(len(fit.psi)), jnp.asarray(x), jnp.zeros(0))
        own = answers_of(fit)
        eta = np.asarray(own.cells.location) + np.einsum("njd,nd->nj", own.cells.loading, x)
        y = np.asarray(own.y)
        each = np.where(y > 0, special.log_expit(eta), special.log_expit(-eta))
        return float(density(at)) - (each * np.asarray(own.present)).sum() + (x**2).sum() / 2

    for name in ("latreg_2pl", "groups_rasch", "2pl_2d"):
        assert gap(fits(name), 0) == pytest.approx(0.0, abs=1e-7)


def test_priors_are_densities_of_the_parameters():
    x = np.array([0.4, 1.1])
    for prior in (eirt.Normal(0.2, 2.0), eirt.LogNormal(0.1, 0.5)):
        found = double_precision(lambda p=prior: np.asarray(p.log_density(jnp.asarray(x))))()
        np.testing.assert_allclose(found, prior.expand(x).value, rtol=1e-12)
    c = special.expit(x)
    found = double_precision(lambda: np.asarray(eirt.Beta(5, 17).log_density(jnp.asarray(x))))()
    exact = stats.beta.logpdf(c, 5, 17) + np.log(c * (1 - c))
    np.testing.assert_allclose(np.diff(found), np.diff(exact), rtol=1e-10)


def test_the_priors_of_the_fit_are_kept(data):
    options = {"person": "id", "item": "item", "response": "y", "check": False}
    strong = {"x": eirt.Normal(2.0, 0.01)}
    fit = eirt.lltm(data, "~ x", priors=strong, **options)
    found = eirt.sample(fit, draws=200, warmup=200, chains=2)
    assert found.summary().set_index("parameter").loc["x", "mean"] == pytest.approx(2.0, abs=0.02)
    with pytest.raises(ValueError, match=r"no parameter 'y' for a prior"):
        eirt.sample(fit, priors={"y": eirt.Normal(0, 1)})


def test_persons_of_groups_have_their_own_spread(data):
    own = data.assign(group=np.where(data["id"] < 30, "a", "b"))
    # a group may have no spread at all: without a prior, its logarithm goes to minus infinity
    priors = {"sd[id|(Intercept)]": eirt.LogNormal(0, 0.3), "log_sd": eirt.Normal(0, 0.3)}
    fit = eirt.explain(
        own, easiness="~ x", ability_sd="~ group", person="id", item="item", response="y",
        check=False, priors=priors,
    )  # fmt: skip
    found = eirt.sample(fit, draws=250, warmup=250, chains=2)
    first = own.drop_duplicates("id")["group"].to_numpy() == "a"
    variance, given = found.effects["id"][..., 0].var(axis=(0, 1)), fit.effects("id")["sd"] ** 2
    for group in (first, ~first):
        # draws know that parameters are uncertain, too, and are few for each person
        assert 0.9 < np.sqrt(variance[group].mean() / given[group].mean()) < 1.25
    ratio = np.sqrt(given[first].mean() / given[~first].mean())
    assert np.sqrt(variance[first].mean() / variance[~first].mean()) == pytest.approx(
        ratio, rel=0.2
    )


def test_trouble_is_told(posterior):
    some = posterior.divergent.copy()
    some[0, :3] = True
    with pytest.warns(eirt.ConvergenceWarning, match="3 transitions diverged"):
        _warned(dataclasses.replace(posterior, divergent=some))
    apart = posterior.parameters + np.array([0.0, 5.0])[:, None, None]
    with pytest.warns(eirt.ConvergenceWarning, match=r"chains differ \(.*R-hat"):
        _warned(dataclasses.replace(posterior, parameters=apart))


def test_arviz_takes_it(posterior):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what ArviZ says of itself and of other packages
        az = pytest.importorskip("arviz")
        given = posterior.to_arviz()
        assert float(az.rhat(given)["x"]) < 1.03
    assert given["posterior"]["effects of id"].shape == (2, 700, 60, 1)
    assert int(given["sample_stats"]["diverging"].sum()) == 0


def test_refusals(fits, monkeypatch, lltm_small):
    with pytest.raises(eirt.DataError, match="conditional on scores"):
        eirt.sample(fits("rasch_cml"))

    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ImportError, match=r"needs blackjax: pip install 'eirt\[bayes\]'"):
        eirt.sample(lltm_small)
