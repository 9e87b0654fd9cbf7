"""Bayesian inference: the posterior distribution by Hamiltonian Monte Carlo (NUTS)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from eirt._config import double_precision
from eirt._positive import inverse
from eirt.errors import ConvergenceWarning, warn_caller
from eirt.likelihood.incidence import person_data
from eirt.likelihood.prior import Prior, prior_places
from eirt.model import cell_data
from eirt.posterior import Posterior, required
from eirt.results import Fit
from eirt.separable import Separable
from eirt.tables import require_abilities

if TYPE_CHECKING:
    from jaxtyping import Array, Float

MIXED = 1.05  # R-hat beyond which chains differ


class Position(NamedTuple):
    """Where a chain is: all of about unit scale.

    Attributes:
        z: free parameters, as deviations from the fit in units of its standard errors.
        x: spherical effects of persons.
        u: spherical effects of everything else.
    """

    z: Float[Array, " F"]
    x: Float[Array, "N D"]
    u: Float[Array, " U"]


@double_precision
def sample(
    fit: Fit,
    draws: int = 1000,
    warmup: int = 1000,
    chains: int = 4,
    seed: int = 0,
    priors: Mapping[str, Prior] | None = None,
) -> Posterior:
    """Draw from the posterior distribution of a fitted model.

        p(psi, x, u | y)  ~  prod p(y | eta) N(x; 0, I) N(u; 0, I) p(psi)

    The No-U-Turn sampler moves parameters and spherical random effects together; nothing is
    approximated. Parameters without a prior have a flat one on the scale of `fit.names`: standard
    deviations and entries of Lambda, logarithms of dispersion and the like as they are. Chains
    start around the fit, apart by its standard errors.

    Args:
        fit: a fit, not conditional; it gives the model, the data and the scale of each step.
        draws: draws of each chain that are kept.
        warmup: draws before these, which adapt step size and metric.
        chains: number of chains.
        seed: of the random numbers.
        priors: priors by parameter name or kind, as the models take them; by default those of the
            fit. `Beta` is a prior of the probability itself.

    Returns:
        The posterior; `summary()` is its table, `to_arviz()` gives it to ArviZ. It warns where
        transitions diverged or chains differ.

    Raises:
        DataError: if the likelihood is conditional.
        ImportError: without blackjax, naming the extra that installs it.

    Source: Hoffman & Gelman (2014); Betancourt & Girolami (2015) for spherical effects.

    >>> import eirt
    >>> fit = eirt.rasch(eirt.load("lsat7")[::10], wide=True)
    >>> posterior = sample(fit, draws=100, warmup=100, chains=2)  # doctest: +SKIP
    """
    blackjax = required("blackjax")
    require_abilities(fit, "distribution to sample")
    known = fit.objective.priors
    if priors is not None:
        known = prior_places(priors, fit.names, fit.model.n_fixed, fit.restriction)
    root = _root(fit)
    density = _log_density(fit, root, known)

    def step(kernel: Callable, state: Any, key: Array) -> tuple[Any, tuple]:
        state, info = kernel(key, state)
        told = info.is_divergent, info.acceptance_rate, info.num_integration_steps
        return state, (state.position, *told)

    @jax.jit
    def chain(key: Array, start: Position) -> tuple:
        first, second = jax.random.split(key)
        adapt = blackjax.window_adaptation(blackjax.nuts, density)
        (state, settings), _ = adapt.run(first, start, num_steps=warmup)
        kernel = blackjax.nuts(density, **settings).step
        keys = jax.random.split(second, draws)
        return jax.lax.scan(functools.partial(step, kernel), state, keys)[1]

    found = []
    for key in jax.random.split(jax.random.key(seed), chains):
        towards, onward = jax.random.split(key)
        found.append(jax.tree.map(np.asarray, chain(onward, _start(fit, towards))))
    position, divergent, acceptance, steps = jax.tree.map(lambda *each: np.stack(each), *found)
    posterior = Posterior(fit, *_readable(fit, root, position), divergent, acceptance, steps)
    return _warned(posterior)


def _root(fit: Fit) -> Float[np.ndarray, "F F"]:
    """Return a root of about the covariance of the free parameters."""
    information = fit.information
    if isinstance(information, Separable):
        return np.diag(1.0 / np.sqrt(information.diagonal))
    covariance = inverse(information) if np.all(np.isfinite(information)) else None
    if covariance is None or np.linalg.eigvalsh(covariance).min(initial=1.0) <= 0:
        return 0.1 * np.eye(len(fit.psi))
    return np.linalg.cholesky(covariance)


def _start(fit: Fit, key: Array) -> Position:
    """Return where a chain starts, at random."""
    sizes = (len(fit.psi),), (len(fit.design.persons), fit.model.dimension), _shape_u(fit)
    keys = jax.random.split(key, 3)
    return Position(*(jax.random.normal(k, size) for k, size in zip(keys, sizes, strict=True)))


def _shape_u(fit: Fit) -> tuple[int]:
    return (sum(t.levels.size * len(t.effects) for t in fit.design.terms if not t.local),)


def _log_density(
    fit: Fit, root: Float[np.ndarray, "F F"], priors: tuple
) -> Callable[[Position], Float[Array, ""]]:
    """Return the log posterior density of a position."""
    model, design, restriction = fit.model, fit.design, fit.restriction
    cells, people = cell_data(design), person_data(design)
    y, who, where = (jnp.asarray(a) for a in (design.y, design.obs_person, design.obs_cell))
    centre, carry = jnp.asarray(fit.psi), jnp.asarray(root)

    def density(at: Position) -> Array:
        psi = centre + carry @ at.z
        params = model.unpack(restriction.expand(psi))
        gamma, factor = params.beta[design.person_columns], model.local_factor(params)
        own = at.u[cells.places] if at.u.size else jnp.zeros(cells.places.shape)

        found = jax.vmap(functools.partial(model.on_ability, params))(cells, own)
        stand = jax.vmap(lambda person: model.standing(params, gamma, person))(people)
        ability = stand.mean + jnp.exp(stand.log_sd) * (at.x @ factor.T)
        eta = found.location[where] + jnp.sum(found.loading[where] * ability[who], axis=1)
        told = jnp.sum(jax.vmap(model.response.log_prob)(y, eta, found.aux[where]))
        believed = sum((jnp.sum(p.log_density(psi[places])) for p, places in priors), jnp.zeros(()))
        return told + believed - (jnp.sum(at.x**2) + jnp.sum(at.u**2)) / 2

    return density


def _readable(fit: Fit, root: np.ndarray, position: Position) -> tuple[np.ndarray, dict]:
    """Return parameters with positive scales, and random effects as they move the predictor."""
    psi = fit.psi + position.z @ root.T
    chains, draws = psi.shape[:2]
    flat = np.stack([fit.restriction.full(one) for one in psi.reshape(chains * draws, -1)])
    ends = np.cumsum([fit.model.n_fixed, *(e.covariance.n_theta for e in fit.model.effects)])
    log_sd = _log_spreads(fit, flat)
    effects: dict[str, list] = {}
    x, u = 0, 0
    for effect, term, a, b in zip(
        fit.model.effects, fit.design.terms, ends[:-1], ends[1:], strict=True
    ):
        factor = np.asarray(jax.vmap(effect.covariance.factor)(jnp.asarray(flat[:, a:b])))
        q, n = effect.covariance.dimension, len(term.levels)
        if term.local:
            own, x = position.x[..., x : x + q], x + q
            spread = np.exp(log_sd[..., x - q : x])
        else:
            own = position.u[..., u : u + n * q].reshape(chains, draws, n, q)
            u, spread = u + n * q, 1.0
        shares = spread * np.einsum("dij,dnj->dni", factor, own.reshape(chains * draws, -1, q))
        effects.setdefault(term.group, []).append(shares.reshape(chains, draws, -1, q))
        flat[:, a:b] *= np.stack([effect.covariance.signs(theta) for theta in flat[:, a:b]])
    joined = {group: np.concatenate(parts, axis=3) for group, parts in effects.items()}
    return flat.reshape(chains, draws, -1), joined


def _log_spreads(fit: Fit, flat: Float[np.ndarray, "S P"]) -> Float[np.ndarray, "S #N D"]:
    """Return the logarithms of each person's relative standard deviations, draw by draw."""
    if not fit.model.spreads:
        return np.zeros((len(flat), 1, fit.model.dimension))
    people = person_data(fit.design)

    def one(full: Array) -> Array:
        params = fit.model.unpack(full)
        gamma = params.beta[fit.design.person_columns]
        return jax.vmap(lambda person: fit.model.standing(params, gamma, person).log_sd)(people)

    return np.asarray(jax.vmap(one)(jnp.asarray(flat)))


def _warned(posterior: Posterior) -> Posterior:
    """Warn of divergences, and of chains that differ."""
    apart = posterior.summary().query("r_hat > @MIXED", local_dict={"MIXED": MIXED})
    found = []
    if posterior.divergences:
        found.append(f"{posterior.divergences} transitions diverged: use priors on small variances")
    if len(apart):
        worst = apart.loc[apart["r_hat"].idxmax()]
        found.append(f"chains differ ({worst['parameter']}, R-hat {worst['r_hat']:.2f}): draw more")
    if found:
        warn_caller(f"Sampling {posterior.fit.name}: {'; '.join(found)}.", ConvergenceWarning)
    return posterior
