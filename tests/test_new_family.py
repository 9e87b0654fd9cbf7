"""A family is added in one place: a continuous one with a dispersion, defined here, just works."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import eirt
from eirt.responses import Response


@dataclass(frozen=True)
class Gaussian(Response):
    """y ~ N(eta, sigma^2), sigma = exp(raw)."""

    kind = "continuous"

    @property
    def n_aux(self):
        return 1

    @property
    def aux_names(self):
        return ("sigma",)

    def constrain(self, raw):
        return jnp.exp(raw)

    def start_eta(self, mean):
        return mean

    def log_prob(self, y, eta, aux):
        return jax.scipy.stats.norm.logpdf(y, eta, aux[0])

    def mean(self, eta, aux):
        return eta

    def sample(self, key, eta, aux):
        return eta + aux[0] * jax.random.normal(key)

    def information(self, eta, aux):
        return aux[0] ** -2.0


@pytest.fixture(scope="module")
def balanced():
    """Return y = mu + b_person + e, for 40 persons x 6 occasions."""
    rng = np.random.default_rng(4)
    n, k = 40, 6
    y = 2.0 + 0.8 * rng.normal(size=(n, 1)) + 0.5 * rng.normal(size=(n, k))
    return pd.DataFrame({"id": np.repeat(np.arange(n), k), "y": y.ravel()}), y


LIKELIHOODS = [eirt.Quadrature(121), eirt.AdaptiveQuadrature(5), eirt.Laplace()]


@pytest.mark.parametrize("likelihood", LIKELIHOODS, ids=lambda choice: choice.name)
def test_random_intercept_against_closed_form(balanced, likelihood):
    frame, y = balanced
    n, k = y.shape
    fit = eirt.eirm(frame, "y ~ 1 + (1 | id)", family=Gaussian(), likelihood=likelihood)
    within = ((y - y.mean(1, keepdims=True)) ** 2).sum() / (n * (k - 1))
    between = k * ((y.mean(1) - y.mean()) ** 2).sum() / n
    assert fit.converged
    assert fit.fixed["estimate"][0] == pytest.approx(y.mean(), abs=1e-6)
    assert fit.response_parameters["estimate"][0] == pytest.approx(np.sqrt(within), rel=1e-5)
    assert fit.random["variance"][0] == pytest.approx((between - within) / k, rel=1e-5)
    constant = n * np.log(between) + n * (k - 1) * np.log(within) + n * k * (1 + np.log(2 * np.pi))
    assert fit.loglik == pytest.approx(-constant / 2, abs=1e-4)
    assert fit.fixed["se"][0] == pytest.approx(np.sqrt(between / (n * k)), rel=1e-4)
