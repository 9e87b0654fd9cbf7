"""Every response family: normalised, smooth, stable, and what its sampler draws."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from scipy.special import expit, logsumexp

import eirt
from eirt._config import double_precision
from eirt.links import LINKS
from eirt.responses import (
    ABSENT,
    Adjacent,
    Bernoulli,
    BetaBinomial,
    BetaProportion,
    Binomial,
    Cumulative,
    Gamma,
    Gaussian,
    Hurdle,
    LogGaussian,
    Mixed,
    NegativeBinomial,
    Nominal,
    Poisson,
    Sequential,
    Tobit,
    ZeroInflated,
)
from eirt.responses.every import RESPONSES

ETAS = np.array([-3.0, -0.5, 0.0, 0.7, 2.5])
TASKS = 6.0  # of the families whose trials are a column
each_family = pytest.mark.parametrize("response", RESPONSES, ids=str)


def _raw(response):
    if isinstance(response, BetaProportion):
        return jnp.asarray([3.0])
    if isinstance(response, LogGaussian | Mixed):  # of which the times are tried
        return jnp.asarray([-0.3])
    return jnp.asarray([1.2, -0.3, 0.1, -0.4, 0.5])[: response.n_aux]


def _complete(response, raw):
    """Return what `log_prob` reads: the extra parameters and what the data give."""
    return jnp.append(response.constrain(raw), jnp.asarray(_columns(response)))


def _columns(response):
    return np.array([1.0 if name in response.levels else TASKS for name in response.given])


def _given(response, y):
    """Return the columns that go with responses."""
    return np.broadcast_to(_columns(response)[:, None], (len(response.given), len(y)))


def _aux(response):
    return _complete(response, _raw(response))


def _points(response, eta, aux):
    """Return responses and weights such that weighted sums are expectations of any function."""
    if response.kind == "binary":
        y = np.arange(2.0)
    elif response.kind == "count":
        y = np.arange(7.0 + 1) if isinstance(response, Binomial) else np.arange(400.0)
        y = y[: int(TASKS) + 1] if response.given else y
    elif response.kind in {"ordered", "nominal"}:
        y = np.arange(float(response.n_categories))
    else:
        return _continuous_points(response, eta, float(aux[0]))
    return jnp.asarray(y), jnp.ones(len(y))


def _continuous_points(response, eta, spread):
    nodes, weights = np.polynomial.legendre.leggauss(400)
    if isinstance(response, Gaussian | Tobit):
        limits = [getattr(response, name, None) for name in ("lower", "upper")]
        at = [limit for limit in limits if limit is not None]
        low = eta - 12 * spread if limits[0] is None else limits[0]
        high = eta + 12 * spread if limits[1] is None else limits[1]
        y, weights = (low + high + (high - low) * nodes) / 2, weights * (high - low) / 2
        return jnp.asarray([*y, *at]), jnp.asarray([*weights, *np.ones(len(at))])
    t, weights = eta + 30 * nodes, weights * 30
    if isinstance(response, BetaProportion):
        return jnp.asarray(expit(t)), jnp.asarray(weights * expit(t) * expit(-t))
    return jnp.asarray(np.exp(t)), jnp.asarray(weights * np.exp(t))


@functools.cache
def _compiled(response):
    """Return log p and its derivative in eta, for several responses."""
    return jax.jit(jax.vmap(jax.value_and_grad(response.log_prob, 1), (0, None, None)))


@functools.cache
def _moments(response):
    return jax.jit(response.mean), jax.jit(response.information)


def _log_probs(response, y, eta, aux):
    return _compiled(response)(y, jnp.asarray(eta), aux)[0]


def _typical(response):
    """Return a few responses, the extreme ones among them."""
    if response.kind != "continuous":
        y, _ = _points(response, 0.0, _aux(response))
        return y[:8]
    if isinstance(response, Tobit):
        limits = [limit for limit in (response.lower, response.upper) if limit is not None]
        return jnp.asarray([*limits, 0.3, 1.1])
    return jnp.asarray([0.02, 0.3, 0.8])


@each_family
@double_precision
def test_probabilities_sum_to_one(response):
    aux = _aux(response)
    for eta in ETAS:
        y, weights = _points(response, eta, aux)
        assert float(weights @ jnp.exp(_log_probs(response, y, eta, aux))) == pytest.approx(
            1.0, abs=1e-10
        )


@each_family
@double_precision
def test_mean_is_the_mean_of_the_probabilities(response):
    aux, (mean, _) = _aux(response), _moments(response)
    for eta in ETAS:
        y, weights = _points(response, eta, aux)
        expected = weights * y @ jnp.exp(_log_probs(response, y, eta, aux))
        assert float(mean(jnp.asarray(eta), aux)) == pytest.approx(
            float(expected), rel=1e-9, abs=1e-10
        )


@functools.cache
def _derivatives(response):
    """Return log p at (y, eta and raw), its gradient and its Hessian, for arrays of both."""

    def log_prob(y, at):
        return response.log_prob(y, at[0], _complete(response, at[1:]))

    def expand(y, at):
        return *jax.value_and_grad(log_prob, 1)(y, at), jax.hessian(log_prob, 1)(y, at)

    return jax.jit(jax.vmap(jax.vmap(expand, (None, 0)), (0, None)))


@each_family
@double_precision
def test_derivatives_against_differences(response):
    expand, y, h = _derivatives(response), _typical(response), 1e-5
    at = jnp.stack([jnp.append(eta, _raw(response)) for eta in ETAS])
    _, gradient, hessian = expand(y, at)
    for k, step in enumerate(h * jnp.eye(at.shape[1])):
        (above, up, _), (below, down, _) = expand(y, at + step), expand(y, at - step)
        slope, curvature = (above - below) / (2 * h), (up - down) / (2 * h)
        np.testing.assert_allclose(gradient[..., k], slope, rtol=2e-6, atol=2e-8)
        np.testing.assert_allclose(hessian[..., k], curvature, rtol=2e-6, atol=2e-8)


@each_family
@double_precision
def test_everything_is_finite_far_out(response):
    at = jnp.stack([jnp.append(eta, _raw(response)) for eta in (-30.0, -15.0, 7.0, 15.0, 30.0)])
    for found in _derivatives(response)(_typical(response), at):
        assert np.isfinite(found).all()
    mean, information = _moments(response)
    for eta in (-30.0, 30.0):
        assert np.isfinite(float(mean(jnp.asarray(eta), _aux(response))))
        assert float(information(jnp.asarray(eta), _aux(response))) >= 0


@each_family
@double_precision
def test_information_is_the_expected_squared_score(response):
    aux = _aux(response)
    for eta in ETAS[1:4]:
        y, weights = _points(response, eta, aux)
        log_prob, score = _compiled(response)(y, jnp.asarray(eta), aux)
        expected = weights * jnp.exp(log_prob) @ score**2
        found = _moments(response)[1](jnp.asarray(eta), aux)
        assert float(found) == pytest.approx(float(expected), rel=1e-8)


@each_family
@double_precision
def test_sampler_has_the_right_mean(response):
    aux, keys = _aux(response), jax.random.split(jax.random.key(1), 20_000)
    sample = jax.jit(jax.vmap(response.sample, (0, None, None)))
    for eta in jnp.asarray([-1.5, 0.6]):
        draws = np.asarray(sample(keys, eta, aux))
        error = draws.std() / np.sqrt(draws.size)
        assert abs(draws.mean() - float(response.mean(eta, aux))) < 5 * error
        assert not response.impossible(draws, *_given(response, draws)).any()


@each_family
@double_precision
def test_start_values_are_numbers(response):
    y = np.asarray(_typical(response))
    start = response.start_from(y, *_given(response, y))
    assert start.shape == (response.n_aux,)
    assert np.isfinite(start).all()
    means = jnp.asarray([0.3, 0.5, 0.8])
    for member in response.members:
        assert np.isfinite(jax.jit(member.start_eta)(means)).all()
    assert len(response.aux_names) == len(response.constrain(_raw(response)))
    assert not response.impossible(y, *_given(response, y)).any()
    assert response.support


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


STEPS = np.array([0.8, -0.2, -1.1])


def _sequential(name):
    def log_prob(y, eta):
        climb, stop = (getattr(DISTRIBUTIONS[name], tail)(eta + STEPS) for tail in ("cdf", "sf"))
        return np.log(np.append(stop, 1.0) * np.cumprod(np.append(1.0, climb)))[y.astype(int)]

    return log_prob


def _normalised(log_odds):
    return lambda y, eta: (log_odds(eta) - logsumexp(log_odds(eta)))[y.astype(int)]


def _zero(y, zero, truncated):
    return np.where(y == 0, np.log(zero), np.log1p(-zero) + truncated)


def _tobit(y, eta):
    exact = scipy.stats.norm(eta, 0.7)
    middle = np.where(y >= 2, exact.logsf(2), exact.logpdf(y))
    return np.where(y <= 0, exact.logcdf(0), middle)


def _nb(eta):
    return scipy.stats.nbinom(1.7, 1.7 / (1.7 + np.exp(eta)))


def _beta(eta, cdf=expit):
    return 5.0 * cdf(eta), 5.0 * (1.0 - cdf(eta))


POISSON = scipy.stats.poisson
PROBIT = DISTRIBUTIONS["probit"].cdf
CATEGORIES, COUNTS, POSITIVE = np.arange(4.0), np.arange(20.0), np.array([0.01, 0.2, 0.9, 4.0])
EXACT = [
    (Poisson(), [], COUNTS, lambda y, eta: POISSON.logpmf(y, np.exp(eta))),
    (NegativeBinomial(), [1.7], COUNTS, lambda y, eta: _nb(eta).logpmf(y)),
    (
        ZeroInflated(NegativeBinomial()),
        [1.7, 0.3],
        COUNTS,
        lambda y, eta: np.log(0.3 * (y == 0) + 0.7 * _nb(eta).pmf(y)),
    ),
    (
        ZeroInflated(Poisson()),
        [0.3],
        COUNTS,
        lambda y, eta: np.log(0.3 * (y == 0) + 0.7 * POISSON.pmf(y, np.exp(eta))),
    ),
    (
        Hurdle(NegativeBinomial()),
        [1.7, 0.3],
        COUNTS,
        lambda y, eta: _zero(y, 0.3, _nb(eta).logpmf(y) - np.log(_nb(eta).sf(0))),
    ),
    (
        Hurdle(Poisson()),
        [0.3],
        COUNTS,
        lambda y, eta: _zero(
            y, 0.3, POISSON.logpmf(y, np.exp(eta)) - np.log(POISSON.sf(0, np.exp(eta)))
        ),
    ),
    (
        Binomial(9),
        [],
        np.arange(10.0),
        lambda y, eta: scipy.stats.binom.logpmf(y, 9, expit(eta)),
    ),
    (
        Binomial("tasks", "probit"),
        [9.0],
        np.arange(10.0),
        lambda y, eta: scipy.stats.binom.logpmf(y, 9, PROBIT(eta)),
    ),
    (
        BetaBinomial(9),
        [5.0],
        np.arange(10.0),
        lambda y, eta: scipy.stats.betabinom.logpmf(y, 9, *_beta(eta)),
    ),
    (
        BetaBinomial("tasks", "probit"),
        [5.0, 9.0],
        np.arange(10.0),
        lambda y, eta: scipy.stats.betabinom.logpmf(y, 9, *_beta(eta, PROBIT)),
    ),
    (
        Adjacent(4),
        STEPS,
        CATEGORIES,
        _normalised(lambda eta: np.append(0.0, np.cumsum(eta + STEPS))),
    ),
    (
        Nominal(4),
        [0.4, 2.5, *STEPS],
        CATEGORIES,
        _normalised(lambda eta: np.array([0, 0.4, 2.5, 3]) * eta + np.append(0.0, STEPS)),
    ),
    *((Sequential(name, 4), STEPS, CATEGORIES, _sequential(name)) for name in LINKS),
    (Gaussian(), [0.7], POSITIVE, lambda y, eta: scipy.stats.norm.logpdf(y, eta, 0.7)),
    (
        LogGaussian(),
        [0.7],
        POSITIVE,
        lambda y, eta: scipy.stats.lognorm.logpdf(y, 0.7, scale=np.exp(eta)),
    ),
    (
        Gamma(),
        [2.5],
        POSITIVE,
        lambda y, eta: scipy.stats.gamma.logpdf(y, 2.5, scale=np.exp(eta) / 2.5),
    ),
    (
        BetaProportion(),
        [5.0],
        POSITIVE[:3],
        lambda y, eta: scipy.stats.beta.logpdf(y, *_beta(eta)),
    ),
    (
        BetaProportion("probit"),
        [5.0],
        POSITIVE[:3],
        lambda y, eta: scipy.stats.beta.logpdf(y, *_beta(eta, PROBIT)),
    ),
    (Tobit(0.0, 2.0), [0.7], np.array([0.0, 0.3, 1.2, 2.0]), _tobit),
]


@pytest.mark.parametrize(
    ("response", "aux", "y", "exact"), EXACT, ids=[str(case[0]) for case in EXACT]
)
@double_precision
def test_log_prob_against_scipy(response, aux, y, exact):
    for eta in ETAS:
        found = _log_probs(response, jnp.asarray(y), eta, jnp.asarray(aux, float))
        np.testing.assert_allclose(found, exact(y, eta), rtol=1e-9, atol=1e-11)


@double_precision
def test_overdispersed_families_end_in_the_plain_ones():
    y, large = jnp.arange(10.0), jnp.exp(jnp.asarray([30.0]))
    pairs = [(NegativeBinomial(), Poisson()), (BetaBinomial(9), Binomial(9))]
    for response, limit in pairs:
        for eta in ETAS:
            found = _log_probs(response, y, eta, large)
            np.testing.assert_allclose(found, _log_probs(limit, y, eta, jnp.zeros(0)), atol=1e-11)
        slope = jax.grad(lambda raw, f=response: f.log_prob(y[3], 0.5, f.constrain(raw)))
        assert float(slope(jnp.asarray([30.0]))[0]) == pytest.approx(0.0, abs=1e-10)


@double_precision
def test_unlikely_zeros_cost_no_draws():
    response, aux, eta = Hurdle(Poisson()), jnp.asarray([0.5]), jnp.asarray(-30.0)
    keys = jax.random.split(jax.random.key(2), 200)
    draws = jax.vmap(response.sample, (0, None, None))(keys, eta, aux)
    assert set(np.unique(draws)) == {0.0, 1.0}


CATEGORICAL = [*(family(name, 5) for name in LINKS for family in (Cumulative, Sequential))]
CATEGORICAL += [Adjacent(5), Nominal(5)]


def _expansion(response):
    """Return log p with its derivatives in eta and aux, and the moments of y, at several eta."""

    def expand(y, eta, aux):
        order = jax.value_and_grad(response.log_prob, (1, 2))(y, eta, aux)
        return order, jax.hessian(response.log_prob, (1, 2))(y, eta, aux)

    def moments(eta, aux):
        return response.mean(eta, aux), response.information(eta, aux)

    every = jax.jit(jax.vmap(jax.vmap(expand, (None, 0, None)), (0, None, None)))
    return every, jax.jit(jax.vmap(moments, (0, None)))


@pytest.mark.parametrize("large", CATEGORICAL, ids=str)
@double_precision
def test_absent_categories_leave_the_smaller_family(large):
    present, gone = [0.7, -0.4], [ABSENT, ABSENT + 3.0]  # effects may have moved them
    nominal = isinstance(large, Nominal)
    small_aux = jnp.asarray([*([1.2] if nominal else []), *present])
    large_aux = jnp.asarray([*([1.2, 2.0, 2.8] if nominal else []), *present, *gone])
    kept = jnp.asarray([0, 3, 4] if nominal else [0, 1])
    eta, y = jnp.asarray([-30.0, -1.0, 0.6, 30.0]), jnp.arange(3.0)
    (expand, moments), (expand_small, moments_small) = _expansion(large), _expansion(large.bind(3))
    (value, (by_eta, by_aux)), ((twice, mixed), (_, by_both)) = expand(y, eta, large_aux)
    expected = expand_small(y, eta, small_aux)
    found = (
        (value, (by_eta, by_aux[..., kept])),
        (
            (twice, mixed[..., kept]),
            (mixed[..., kept], by_both[..., kept[:, None], kept]),
        ),
    )
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)
    assert np.isfinite(by_both).all() and not by_aux[..., -2:].any()
    for one, other in zip(moments(eta, large_aux), moments_small(eta, small_aux), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-300)
    assert (expand(jnp.asarray([3.0, 4.0]), eta, large_aux)[0][0] < ABSENT / 2).all()


@pytest.mark.parametrize(
    "response", [Cumulative("probit", 4), Sequential("probit", 4), Adjacent(4), Nominal(4)], ids=str
)
@double_precision
def test_categories_start_from_their_proportions(response):
    y = np.repeat(np.arange(4.0), [1, 2, 3, 4])
    aux = response.constrain(jnp.asarray(response.start_from(y)))
    found = jnp.exp(_log_probs(response, jnp.arange(4.0), 0.0, aux))
    np.testing.assert_allclose(found, [0.1, 0.2, 0.3, 0.4], atol=1e-10)


@pytest.mark.parametrize(
    ("response", "raw"),
    [
        (NegativeBinomial(), [0.5]),
        (Gaussian(), [0.5]),
        (LogGaussian(), [-0.5]),
        (Gamma(), [0.5]),
        (BetaBinomial(20), [1.5]),
        (BetaProportion(), [1.5]),
        (Hurdle(Poisson()), [-1.0]),
    ],
    ids=str,
)
@double_precision
def test_dispersion_starts_near_what_made_the_responses(response, raw):
    aux = response.constrain(jnp.asarray(raw))
    keys = jax.random.split(jax.random.key(3), 20_000)
    y = jax.vmap(response.sample, (0, None, None))(keys, jnp.asarray(1.0), aux)
    np.testing.assert_allclose(response.start_from(np.asarray(y)), raw, atol=0.1)


@double_precision
def test_far_limits_make_no_difference():
    aux, y = jnp.asarray([0.7]), jnp.linspace(-2.0, 3.0, 9)
    far, near, eta = Tobit(-40.0, 50.0), Gaussian(), jnp.asarray(0.4)
    np.testing.assert_allclose(_log_probs(far, y, eta, aux), _log_probs(near, y, eta, aux))
    assert float(far.mean(eta, aux)) == pytest.approx(0.4, abs=1e-12)
    assert float(far.information(eta, aux)) == pytest.approx(0.7**-2)


def test_what_cannot_be():
    cases = [
        (Poisson(), [0.0, 1.5, -1.0]),
        (Hurdle(NegativeBinomial()), [0.0, 0.5, -1.0]),
        (Binomial(4), [4.0, 5.0, 0.5]),
        (BetaBinomial("tasks"), [9.0, -1.0, 0.5]),
        (Gamma(), [0.1, 0.0, -1.0]),
        (LogGaussian(), [0.1, 0.0, -1.0]),
        (BetaProportion(), [0.5, 0.0, 1.0]),
        (Tobit(0.0, 2.0), [2.0, -0.1, 2.1]),
    ]
    for response, y in cases:
        assert response.impossible(np.array(y)).tolist() == [False, True, True], response
    assert not Gaussian().impossible(np.array([-1.0, 0.5])).any()
    assert Binomial(4).support == "whole numbers from 0 to 4"
    assert Tobit(upper=2.0).support == "numbers up to 2.0"


def test_canonical_only_where_nothing_else_moves():
    canonical = {r for r in RESPONSES if r.canonical}
    assert canonical == {Bernoulli(), Poisson(), Binomial(7)}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Tobit(), "lower or an upper"),
        (lambda: Tobit(2.0, 2.0), "lower < upper"),
        (lambda: Binomial(0), "at least one trial"),
        (lambda: ZeroInflated(Gaussian()), "family of counts"),
        (lambda: Bernoulli("logitt"), "Did you mean 'logit'"),
    ],
)
def test_impossible_families_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_families_are_public():
    assert all(getattr(eirt, type(response).__name__) is type(response) for response in RESPONSES)


@double_precision
def test_cumulative_is_stable_in_a_narrow_middle_category():
    graded = Cumulative("logit", 3)
    aux = jnp.asarray([30.0, 30.0 - 1e-8])
    value, slope = jax.value_and_grad(graded.log_prob, 1)(jnp.asarray(1.0), 0.0, aux)
    assert float(value) == pytest.approx(-30 + np.log(1e-8), rel=1e-6)
    assert float(slope) == pytest.approx(-1.0, abs=1e-6)


def test_later_thresholds():
    """Those of a nominal response come after its scores, those of a member after others."""
    families = {"a": eirt.Guessing(), "b": Cumulative("logit", 4)}
    assert Nominal(4).later == (3, 4)
    assert Mixed(families, "kind").later == (2, 3)
    assert Poisson().later == ()
