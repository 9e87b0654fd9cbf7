"""Every response family: normalised, smooth, stable, and what its sampler draws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from eirt._config import double_precision
from eirt.links import LINKS
from eirt.responses import RESPONSES, Bernoulli, Cumulative, Poisson

ETAS = [-3.0, -0.5, 0.0, 0.7, 2.5]


def _aux(response):
    return response.constrain(jnp.asarray([1.2, -0.3, 0.1])[: response.n_aux])


def _support(response, eta):
    if response.kind == "count":
        return range(200)
    return range(2 if response.kind == "binary" else response.n_categories)


@pytest.mark.parametrize("response", RESPONSES, ids=str)
@pytest.mark.parametrize("eta", ETAS)
@double_precision
def test_probabilities_sum_to_one(response, eta):
    probs = [jnp.exp(response.log_prob(jnp.asarray(float(y)), eta, _aux(response)))
             for y in _support(response, eta)]  # fmt: skip
    assert float(sum(probs)) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("response", RESPONSES, ids=str)
@pytest.mark.parametrize("eta", ETAS)
@double_precision
def test_mean_is_the_mean_of_the_probabilities(response, eta):
    aux = _aux(response)
    support = jnp.arange(float(len(_support(response, eta))))
    probs = jnp.exp(jax.vmap(response.log_prob, (0, None, None))(support, eta, aux))
    mean = response.mean(jnp.asarray(eta), aux)
    assert float(mean) == pytest.approx(float(support @ probs), abs=1e-10)


@pytest.mark.parametrize("response", RESPONSES, ids=str)
@pytest.mark.parametrize("eta", ETAS)
@double_precision
def test_gradient_against_differences(response, eta):
    aux, h = _aux(response), 1e-6
    for y in list(_support(response, eta))[:4]:
        log_prob = lambda e, y=y: response.log_prob(jnp.asarray(float(y)), e, aux)  # noqa: E731
        expected = (log_prob(eta + h) - log_prob(eta - h)) / (2 * h)
        assert float(jax.grad(log_prob)(eta)) == pytest.approx(float(expected), rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("response", RESPONSES, ids=str)
@double_precision
def test_information_is_the_expected_squared_score(response):
    aux, eta = _aux(response), jnp.asarray(0.4)
    support = jnp.arange(float(len(_support(response, eta))))
    log_prob, score = jax.vmap(jax.value_and_grad(response.log_prob, 1), (0, None, None))(
        support, eta, aux
    )
    expected = jnp.sum(jnp.exp(log_prob) * score**2)
    assert float(response.information(eta, aux)) == pytest.approx(float(expected), rel=1e-9)


@pytest.mark.parametrize("response", RESPONSES, ids=str)
@double_precision
def test_sampler_has_the_right_mean(response):
    aux, eta = _aux(response), jnp.asarray(0.6)
    draws = jax.vmap(response.sample, (0, None, None))(
        jax.random.split(jax.random.key(1), 20_000), eta, aux
    )
    error = float(draws.std()) / np.sqrt(draws.size)
    assert abs(float(draws.mean()) - float(response.mean(eta, aux))) < 4 * error


@pytest.mark.parametrize("name", LINKS)
@pytest.mark.parametrize("eta", [-700.0, -40.0, 40.0, 700.0])
@double_precision
def test_links_are_finite_far_out(name, eta):
    for tail in (LINKS[name].log_cdf, LINKS[name].log_sf):
        value, slope = jax.value_and_grad(tail)(eta)
        assert np.isfinite(float(value))
        assert np.isfinite(float(slope))


DISTRIBUTIONS = {
    "logit": scipy.stats.logistic,
    "probit": scipy.stats.norm,
    "cloglog": scipy.stats.gumbel_l,
    "loglog": scipy.stats.gumbel_r,
    "cauchit": scipy.stats.cauchy,
}


@pytest.mark.parametrize("name", LINKS)
@double_precision
def test_links_against_scipy(name):
    eta = np.linspace(-9, 3, 41) if name == "cloglog" else np.linspace(-3, 9, 41)
    link, exact = LINKS[name], DISTRIBUTIONS[name]
    np.testing.assert_allclose(link.log_cdf(eta), exact.logcdf(eta), rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(link.log_sf(eta), exact.logsf(eta), rtol=1e-9, atol=1e-14)
    p = np.linspace(0.05, 0.95, 7)
    np.testing.assert_allclose(link.quantile(jnp.asarray(p)), exact.ppf(p), rtol=1e-9, atol=1e-12)


@double_precision
def test_poisson_against_scipy():
    y = np.arange(20.0)
    log_prob = jax.vmap(Poisson().log_prob, (0, None, None))(jnp.asarray(y), 1.3, jnp.zeros(0))
    np.testing.assert_allclose(log_prob, scipy.stats.poisson.logpmf(y, np.exp(1.3)), rtol=1e-10)


@double_precision
def test_cumulative_is_stable_in_a_narrow_middle_category():
    graded = Cumulative("logit", 3)
    aux = jnp.asarray([30.0, 30.0 - 1e-8])
    value, slope = jax.value_and_grad(graded.log_prob, 1)(jnp.asarray(1.0), 0.0, aux)
    assert float(value) == pytest.approx(-30 + np.log(1e-8), rel=1e-6)
    assert float(slope) == pytest.approx(-1.0, abs=1e-6)


@double_precision
def test_cumulative_start_reproduces_the_proportions():
    graded = Cumulative("probit", 4)
    proportions = np.array([0.1, 0.2, 0.3, 0.4])
    aux = graded.constrain(jnp.asarray(graded.start_aux(proportions)))
    found = [float(jnp.exp(graded.log_prob(jnp.asarray(float(c)), 0.0, aux))) for c in range(4)]
    np.testing.assert_allclose(found, proportions, atol=1e-10)


def test_unknown_link_names_the_nearest():
    with pytest.raises(ValueError, match="Did you mean 'logit'"):
        Bernoulli("logitt")
