"""Every likelihood against brute force, finite differences and itself in another order."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import scipy.integrate
import scipy.optimize

import eirt
from eirt._compiled import READY
from eirt._config import double_precision
from eirt.assumptions import assume
from eirt.building import build
from eirt.effects import Linear, LogLinear, Unit
from eirt.formula import parse
from eirt.likelihood import outer, quadrature
from eirt.likelihood.canonical import Canonical
from eirt.likelihood.incidence import Aligned, incidence
from eirt.likelihood.quadrature import QuadratureObjective
from eirt.model import Model, parameter_names, part_sizes
from eirt.progress import Progress
from eirt.restrictions import restrict
from eirt.starts import start_parts
from eirt.terms import Explained

N_PERSONS, N_ITEMS = 14, 5
TESTS = itertools.count(1)


@pytest.fixture(autouse=True)
def few_compiled_functions():
    """Every case compiles its own functions, and a process can map only so many at a time."""
    yield
    if next(TESTS) % 10 == 0:
        jax.clear_caches()
        READY.clear()


def small_data(kind="binary", missing=False, seed=0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "id": np.repeat(np.arange(N_PERSONS), N_ITEMS),
            "item": np.tile([f"i{k}" for k in range(N_ITEMS)], N_PERSONS),
        }
    )
    frame["x"] = np.tile(np.linspace(-1, 1, N_ITEMS), N_PERSONS)
    frame["d1"] = np.tile([1.0, 1.0, 0.0, 1.0, 1.0], N_PERSONS)
    frame["d2"] = np.tile([0.0, 1.0, 1.0, 1.0, 0.0], N_PERSONS)
    frame["part"] = np.tile(["a", "a", "b", "b", "b"], N_PERSONS)
    frame["w"] = np.repeat(rng.normal(size=N_PERSONS), N_ITEMS)
    eta = rng.normal(size=N_PERSONS)[frame["id"]] + 0.5 * frame["x"] + 0.4 * frame["w"]
    uniform = rng.uniform(size=len(frame))
    if kind == "count":
        frame["y"] = rng.poisson(np.exp(eta)).astype(float)
    elif kind == "ordered":
        frame["y"] = (uniform[:, None] < 1 / (1 + np.exp(-eta.to_numpy()[:, None] - [1, -1]))).sum(
            1
        )
    else:
        frame["y"] = (uniform < 1 / (1 + np.exp(-eta))).astype(float)
    return frame[rng.uniform(size=len(frame)) > 0.25] if missing else frame


@double_precision
def bind(formula, likelihood, family=None, slope=None, frame=None, anchors=None, **explained):
    family = family or eirt.Bernoulli()
    frame = small_data(family.kind) if frame is None else frame
    parsed = parse(formula)
    y = frame["y"].to_numpy(float)
    labels = tuple(np.unique(y)) if family.kind != "count" else ()
    family = family.bind(len(labels))
    design = build(
        frame.reset_index(drop=True),
        parsed,
        y,
        labels,
        response="y",
        person="id" if parsed.random else None,
        item="item",
        intercept=family.has_intercept,
        explained=[
            Explained(name, name, parse(text), places) for name, (text, places) in explained.items()
        ],
    )
    effects, fixed = assume(design, slope or Unit())
    model = Model(
        family,
        effects,
        len(design.x_names),
        part_sizes(design),
        len(design.items),
        ability_places=design.ability_places,
    )
    names = parameter_names(model, design)
    restriction = restrict(names, {**fixed, **(anchors or {})})
    objective = likelihood.bind(model, design, restriction)
    rng = np.random.default_rng(5)
    start = model.pack(
        np.zeros(len(design.x_names)),
        [e.covariance.start(1.0 if e.local else 0.5) for e in effects],
        start_parts(model, design, np.ones(len(design.x))),
        np.linspace(1.0, 0.2, model.response.n_aux),
    )
    return objective, restriction.free(start + 0.1 * rng.normal(size=len(start)))


BY_ITEM = {"slope": Linear(), "discrimination": ("~ 0 + item", (0,))}
GROUPS = {"spread": ("~ w", (0,))}
EXPLAINED = {"slope": LogLinear(), "discrimination": ("~ x + (1 | item)", (0,))}
CASES = {
    "quadrature rasch": ("~ 0 + item + (1 | id)", eirt.Quadrature(41), {}),
    "quadrature 1pl": (
        "~ 0 + item + (1 | id)",
        eirt.Quadrature(41),
        {"slope": Linear(), "discrimination": ("~ 1", (0,))},
    ),
    "quadrature 2pl": (
        "~ 0 + item + (1 | id)",
        eirt.Quadrature(41),
        BY_ITEM,
    ),
    "quadrature 2pl, latent regression": (
        "~ 0 + item + w + (1 | id)",
        eirt.Quadrature(41),
        BY_ITEM,
    ),
    "quadrature q-matrix": (
        "~ 0 + item + (0 + d1 + d2 | id)",
        eirt.Quadrature(21),
        {"slope": Linear(), "discrimination": ("~ 0 + item", (0, 1))},
    ),
    "quadrature log-linear": (
        "~ 0 + item + w + (1 | id)",
        eirt.Quadrature(41),
        {"slope": LogLinear(), "discrimination": ("~ x", (0,))},
    ),
    "quadrature groups": ("~ 0 + item + w + (1 | id)", eirt.Quadrature(61), GROUPS),
    "quadrature 2pl, groups": ("~ 0 + item + w + (1 | id)", eirt.Quadrature(61), BY_ITEM | GROUPS),
    "quadrature 2d, groups": (
        "~ x + (1 + x | id)",
        eirt.Quadrature(31),
        {"spread": ("~ w", (0, 1)), "ability": ("~ w", (1,))},
    ),
    "quadrature testlets": ("~ x + (1 | id) + (1 | id:part)", eirt.Quadrature(15), {}),
    "quadrature slopes": ("~ x + w + (1 + x | id)", eirt.Quadrature(21), {}),
    "quadrature diagonal": (
        "~ x + (1 + x || id)",
        eirt.Quadrature(21),
        {},
    ),
    "quadrature none": ("~ x + w", eirt.Quadrature(), {}),
    "adaptive": ("~ x + w + (1 | id)", eirt.AdaptiveQuadrature(5), {}),
    "adaptive groups": ("~ x + w + (1 | id)", eirt.AdaptiveQuadrature(5), GROUPS),
    "adaptive 2d, groups": (
        "~ x + (1 + x | id)",
        eirt.AdaptiveQuadrature(3),
        {"spread": ("~ w", (0, 1)), "ability": ("~ w", (1,))},
    ),
    "adaptive slopes": ("~ x + (1 + x | id)", eirt.AdaptiveQuadrature(3), {}),
    "laplace": ("~ x + w + (1 | id) + (1 | item)", eirt.Laplace(), {}),
    "laplace expected": ("~ x + w + (1 | id) + (1 | item)", eirt.Laplace("expected"), {}),
    "laplace slopes": ("~ x + (1 + x | id) + (1 + w | item)", eirt.Laplace(), {}),
    "laplace 2pl": ("~ x + w + (1 | id) + (1 | item)", eirt.Laplace(), BY_ITEM),
    "laplace explained": ("~ x + w + (1 | id) + (1 | item)", eirt.Laplace(), EXPLAINED),
    "laplace explained, independent": (
        "~ x + w + (1 | id) + (1 || item)",
        eirt.Laplace(),
        EXPLAINED | GROUPS,
    ),
    "nested": ("~ x + w + (1 | id) + (1 | item)", eirt.Nested(41), {}),
    "nested slopes": ("~ x + (1 | id) + (1 + w | item)", eirt.Nested(41), {}),
    "nested 2pl": (
        "~ x + (1 | id) + (1 | item)",
        eirt.Nested(41),
        BY_ITEM,
    ),
    "nested 2d": ("~ x + (1 + x | id) + (1 | item)", eirt.Nested(15), {}),
    "nested groups": ("~ x + w + (1 | id) + (1 | item)", eirt.Nested(61), GROUPS),
    "nested explained": ("~ x + w + (1 | id) + (1 | item)", eirt.Nested(41), EXPLAINED),
    "nested explained, independent": (
        "~ x + (1 | id) + (1 || item)",
        eirt.Nested(41),
        EXPLAINED | GROUPS,
    ),
    # the gradient holds each person's nodes fixed: exact as far as the quadrature is
    "nested adaptive": (
        "~ x + w + (1 | id) + (1 | item)",
        eirt.Nested(15, adaptive=True),
        GROUPS,
    ),
    "nested adaptive 2d": (
        "~ x + (1 + x | id) + (1 | item)",
        eirt.Nested(17, adaptive=True),
        {},
    ),
    "nested adaptive explained": (
        "~ x + w + (1 | id) + (1 | item)",
        eirt.Nested(31, adaptive=True),
        EXPLAINED,
    ),
    "nested of groups": ("~ x + (1 | id) + (1 | item) + (1 | part)", eirt.Nested(41), {}),
    "nested on ability": (
        "~ x + (1 | id)",
        eirt.Nested(41),
        BY_ITEM | {"ability": ("~ 1 + (1 | part)", (0,))},
    ),
}
DENSE = (  # also against a dense Hessian
    "laplace 2pl",
    "laplace explained",
    "laplace explained, independent",
    "nested slopes",
    "nested groups",
    "nested explained",
    "nested explained, independent",
    "nested of groups",
    "nested on ability",
    "nested adaptive",
    "nested adaptive explained",
)
COMPLETE = (
    "quadrature 2pl, latent regression",
    "quadrature 2d, groups",
    "nested",
    "nested explained",
)
ALIKE = ("quadrature rasch", "nested of groups")  # persons of equal scores are one
FAMILIES = [eirt.Bernoulli(), eirt.Bernoulli("probit"), eirt.Cumulative(), eirt.Poisson()]


def differenced_gradient(objective, psi, step=1e-5):
    return np.array(
        [
            (objective.value_and_grad(psi + e)[0] - objective.value_and_grad(psi - e)[0])
            / (2 * step)
            for e in step * np.eye(len(psi))
        ]
    )


def differenced_information(objective, psi, step=1e-4):
    """Return the information, by central differences of the gradient."""
    rows = [
        (objective.value_and_grad(psi - e)[1] - objective.value_and_grad(psi + e)[1]) / (2 * step)
        for e in step * np.eye(len(psi))
    ]
    return (np.array(rows) + np.array(rows).T) / 2


@pytest.mark.parametrize("missing", [False, True], ids=["complete", "incomplete"])
@pytest.mark.parametrize("case", CASES)
@double_precision
def test_every_case(case, missing):
    """Check the gradient, the information and the value of one objective: it compiles once."""
    formula, likelihood, options = CASES[case]
    if case in DENSE and isinstance(likelihood, eirt.Nested):
        likelihood = eirt.Nested(31, adaptive=True) if likelihood.adaptive else eirt.Nested(81)
    objective, psi = bind(formula, likelihood, frame=small_data(missing=missing), **options)
    _, gradient = objective.value_and_grad(psi)
    expected = differenced_gradient(objective, psi)
    np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-6 * np.abs(gradient).max())
    if isinstance(objective, QuadratureObjective):
        check_information(objective, psi)
    if case in DENSE:
        (check_nested if isinstance(likelihood, eirt.Nested) else check_laplace)(objective, psi)


@pytest.mark.parametrize("case", ["quadrature rasch", "adaptive", "laplace", "nested"])
@pytest.mark.parametrize("family", FAMILIES[1:], ids=lambda f: type(f).__name__)
@double_precision
def test_gradient_for_other_families(case, family):
    formula, likelihood, options = CASES[case]
    if not family.has_intercept:
        formula = formula.replace("0 + item", "x")
    objective, psi = bind(formula, likelihood, family, **options)
    _, gradient = objective.value_and_grad(psi)
    expected = differenced_gradient(objective, psi)
    np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-6 * np.abs(gradient).max())


def check_information(objective, psi):
    terms = objective.newton_terms(psi)
    value, gradient = objective.value_and_grad(psi)
    assert terms.value == pytest.approx(value, abs=1e-10)
    np.testing.assert_allclose(terms.gradient, gradient, atol=1e-9)
    expected = differenced_information(objective, psi)
    np.testing.assert_allclose(terms.information, expected, rtol=1e-5, atol=1e-5)
    assert np.linalg.eigvalsh(terms.safe).min() > -1e-9


@pytest.mark.parametrize("family", FAMILIES[1:], ids=lambda f: type(f).__name__)
@double_precision
def test_louis_information_for_other_families(family):
    formula = "~ x + w + (1 | id)"
    options = BY_ITEM
    objective, psi = bind(formula, eirt.Quadrature(41), family, **options)
    expected = differenced_information(objective, psi)
    found = objective.newton_terms(psi).information
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


# ---- brute force -----------------------------------------------------------------------------


def log_joint_of(objective, psi):
    """Return f(x, u) as a function of persons' effects and others, observation by observation.

    Persons' effects are written out as ability: mean + sd * (Lambda x).
    """
    model, design = objective.model, objective.design
    params = model.unpack(objective.data.restriction.expand(jnp.asarray(psi)))
    n, cell, person = design.n_obs, design.obs_cell, design.obs_person
    rows = {
        part.target: jnp.asarray(part.x) @ b
        for part, b in zip(design.parts, params.parts, strict=True)
    }
    factors = [e.covariance.factor(t) for e, t in zip(model.effects, params.theta, strict=True)]
    slopes = [e.slope for e in model.effects if e.local for _ in e.targets]
    carriers = [target for e in model.effects if e.local for target in e.targets]

    def log_joint(x, u):
        predictors = {t: row[cell] for t, row in rows.items() if t.parameter == "discrimination"}
        easiness = design.x[cell] @ params.beta
        used = 0
        for term, factor in zip(design.terms, factors, strict=True):
            if not term.local:
                q = len(term.effects)
                block = u[used : used + len(term.levels) * q].reshape(-1, q) @ factor.T
                used += len(term.levels) * q
                effects = term.z[cell] * block[term.index[cell]]
                for e, target in enumerate(term.targets):
                    if target.parameter == "easiness":
                        easiness = easiness + effects[:, e]
                    else:
                        predictors[target] = predictors.get(target, 0.0) + effects[:, e]
        eta, place = easiness, 0
        for term, factor in zip(design.terms, factors, strict=True):
            if not term.local:
                continue
            deviation = x[:, place : place + len(term.effects)] @ factor.T
            for e in range(len(term.effects)):
                mean = rows.get(("ability", place), jnp.zeros(len(x)))
                if place in model.ability_places:
                    mean = mean + design.person_x @ params.beta[design.person_columns]
                sd = jnp.exp(rows.get(("spread", place), jnp.zeros(len(x))))
                ability = (mean + sd * deviation[:, e])[person]
                ability = ability + predictors.get(("ability", place), 0.0)
                slope = slopes[place].at(predictors.get(carriers[place], jnp.zeros(n)))
                eta = eta + slope * term.z[cell, e] * ability
                place += 1
        aux = model.response.constrain(params.aux[0])
        log_prob = jax.vmap(model.response.log_prob, (0, 0, None))(jnp.asarray(design.y), eta, aux)
        return log_prob, -jnp.sum(x**2) / 2 - jnp.sum(u**2) / 2

    return log_joint


def dense(objective, psi):
    """Return f(x, u) of all responses."""

    def total(x, u):
        log_prob, log_prior = log_joint_of(objective, psi)(x, u)
        return jnp.sum(log_prob) + log_prior

    return total


FIRST = {
    "quadrature": eirt.Quadrature(161),
    "adaptive": eirt.AdaptiveQuadrature(31),
}


@pytest.mark.parametrize("likelihood", FIRST.values(), ids=FIRST)
@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: type(f).__name__)
@double_precision
def test_one_factor_against_numerical_integration(likelihood, family):
    objective, psi = bind("~ x + w + (1 | id)", likelihood, family)
    log_joint = jax.jit(dense(objective, psi))
    here = np.zeros((N_PERSONS, 1))
    base = float(log_joint(here, np.zeros(0)))
    total = base

    for p in range(N_PERSONS):

        def ratio(t, p=p):
            return np.exp(float(log_joint(here + t * (np.arange(N_PERSONS) == p)[:, None],
                                          np.zeros(0))) - base)  # fmt: skip

        integral, _ = scipy.integrate.quad(ratio, -9, 9, epsabs=1e-12, epsrel=1e-11, limit=200)
        total += np.log(integral / np.sqrt(2 * np.pi))
    assert objective.value_and_grad(psi)[0] == pytest.approx(total, abs=1e-7)


def flat_mode(function, at):
    """Return the maximiser of a function of a vector, the maximum, and the negative Hessian."""
    expand = jax.jit(lambda v: (function(v), jax.grad(function)(v), jax.hessian(function)(v)))
    for _ in range(9):
        value, gradient, hessian = map(np.asarray, expand(at))
        if np.abs(gradient).max() < 1e-9:
            return at, float(value), -hessian
        at = at - np.linalg.solve(hessian, gradient)
    raise AssertionError("no maximum found")


def check_laplace(objective, psi):
    log_joint = dense(objective, psi)
    shape = objective.origin.x.shape
    size = int(np.prod(shape))

    def flat(v):
        return log_joint(v[:size].reshape(shape), v[size:])

    value, _ = objective.value_and_grad(psi)
    start = np.concatenate([np.ravel(objective.mode.x), objective.mode.u])
    mode, top, curvature = flat_mode(flat, start)
    expected = top - np.linalg.slogdet(curvature)[1] / 2
    assert value == pytest.approx(expected, abs=1e-8)
    moments = objective.moments(psi)
    covariance = np.linalg.inv(curvature)
    np.testing.assert_allclose(moments.others, mode[size:], atol=1e-7)
    np.testing.assert_allclose(moments.others_covariance, covariance[size:, size:], atol=1e-7)
    own = covariance[:size, :size].reshape(*shape, *shape)
    own = own[np.arange(shape[0]), :, np.arange(shape[0]), :]
    if not objective.model.spreads:
        np.testing.assert_allclose(moments.covariance, own, atol=1e-7)


@pytest.mark.parametrize("formula", [CASES["laplace"][0], CASES["laplace slopes"][0]])
@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: type(f).__name__)
@double_precision
def test_laplace_against_dense_hessian(formula, family):
    check_laplace(*bind(formula, eirt.Laplace(), family))


def person_integral(objective, psi):
    """Return f(u) for one effect a person: each by a fine rectangle rule of their own."""
    nodes = np.linspace(-8, 8, 161)
    weight = np.log(nodes[1] - nodes[0]) - np.log(2 * np.pi) / 2 - nodes**2 / 2
    person = objective.design.obs_person

    def f(u):
        log_joint = log_joint_of(objective, psi)
        table = jax.vmap(lambda x: log_joint(jnp.full((N_PERSONS, 1), x), u)[0])(nodes)
        persons = jax.ops.segment_sum(table.T, person, N_PERSONS)
        return jnp.sum(jax.nn.logsumexp(persons + weight, axis=1)) - u @ u / 2

    return f


def check_nested(objective, psi):
    f = person_integral(objective, psi)
    value, _ = objective.value_and_grad(psi)
    mode, top, curvature = flat_mode(f, objective.mode)
    expected = top - np.linalg.slogdet(curvature)[1] / 2
    assert value == pytest.approx(expected, abs=1e-6)
    moments = objective.moments(psi)
    np.testing.assert_allclose(moments.others, mode, atol=1e-6)
    np.testing.assert_allclose(moments.others_covariance, np.linalg.inv(curvature), atol=1e-6)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: type(f).__name__)
@double_precision
def test_nested_against_dense_hessian(family):
    check_nested(*bind("~ x + w + (1 | id) + (1 | item)", eirt.Nested(81), family))


@double_precision
def test_a_mode_is_found_from_where_no_curvature_is_positive_definite():
    family = eirt.Guessing(lower=0.25)
    objective, psi = bind("~ x + (1 | id) + (1 | item)", eirt.Nested(81), family)
    psi = np.array([-4.0, psi[1], 0.5, 3.0])
    _, *curvatures = outer.expansion(
        objective.model, objective.how, psi, objective.mode, objective.inner
    )
    assert all(np.linalg.eigvalsh(curvature).min() < -1 for curvature in curvatures)
    _, gradient = objective.value_and_grad(psi)
    expected = differenced_gradient(objective, psi, step=1e-4)
    np.testing.assert_allclose(gradient, expected, atol=1e-6)
    check_nested(objective, psi)


@pytest.mark.parametrize("likelihood", [eirt.Nested(61), eirt.Laplace()], ids=["nested", "laplace"])
@double_precision
def test_laplace_error_against_exact_integral(likelihood):
    frame = small_data()
    frame = frame[frame["item"].isin(["i0", "i4"])]
    objective, psi = bind("~ x + (1 | id) + (1 | item)", likelihood, frame=frame)
    f = jax.jit(jax.vmap(person_integral(objective, psi)))
    axis = np.linspace(-7, 7, 57)
    grid = np.stack([m.ravel() for m in np.meshgrid(axis, axis)], axis=1)
    cell = np.log(axis[1] - axis[0]) * 2
    exact = float(jax.nn.logsumexp(f(jnp.asarray(grid)))) + cell - np.log(2 * np.pi)
    value, _ = objective.value_and_grad(psi)
    errors = objective.errors(psi)
    assert errors["laplace"] == pytest.approx(exact - value, abs=4 * errors["laplace_se"] + 1e-4)
    assert 0 < errors["laplace_se"] < 0.05


# ---- the same in another order ---------------------------------------------------------------


@pytest.mark.parametrize("case", ["quadrature 2pl", "adaptive", "laplace", "nested"])
@double_precision
def test_order_of_rows_persons_and_items_changes_nothing(case):
    formula, likelihood, options = CASES[case]
    frame = small_data(missing=True)
    objective, psi = bind(formula, likelihood, frame=frame, **options)
    value, gradient = objective.value_and_grad(psi)
    shuffled = frame.sample(frac=1.0, random_state=3)
    other, _ = bind(formula, likelihood, frame=shuffled, **options)
    names = parameter_names(objective.model, objective.design)
    places = [parameter_names(other.model, other.design).index(name) for name in names]
    moved = np.zeros_like(psi)
    moved[places] = psi
    there, slope = other.value_and_grad(moved)
    assert there == pytest.approx(value, abs=1e-9)
    np.testing.assert_allclose(slope[places], gradient, atol=1e-8)


@pytest.mark.parametrize("case", ["quadrature 2pl", "nested"])
@double_precision
def test_storage_and_blocks_change_nothing(case):
    formula, likelihood, options = CASES[case]
    objective, psi = bind(formula, likelihood, frame=small_data(missing=True), **options)
    found = []
    for dense, block in ((True, 14), (True, 3), (False, 5)):
        store(objective, dense, block)
        found.append((*objective.value_and_grad(psi), objective.information(psi)))
    for value, gradient, information in found[1:]:
        assert value == pytest.approx(found[0][0], abs=1e-9)
        np.testing.assert_allclose(gradient, found[0][1], atol=1e-8)
        np.testing.assert_allclose(information, found[0][2], atol=1e-6)


def store(objective, dense, block):
    """Keep who answered what in one way, and sum over all nodes: nothing is projected."""
    size = -(-N_PERSONS // block) * block
    who = jax.device_put(incidence(objective.design, dense, size))
    objective.how = objective.how._replace(block=block, degree=0)
    if isinstance(objective, QuadratureObjective):
        objective.who, objective.group = who, slice(N_PERSONS)
    else:
        objective.inner = objective.inner._replace(who=who)


def stored(objective):
    return objective.who if isinstance(objective, QuadratureObjective) else objective.inner.who


def everything(objective, psi):
    value, gradient = objective.value_and_grad(psi)
    return value, gradient, objective.information(psi), objective.moments(psi)


def assert_same(found, there):
    assert found[0] == pytest.approx(there[0], abs=1e-9)
    np.testing.assert_allclose(found[1], there[1], atol=1e-8)
    np.testing.assert_allclose(found[2], there[2], atol=1e-6)
    for one, other in zip(found[3], there[3], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-8)


@pytest.mark.parametrize("case", ["nested", "nested explained"])
@double_precision
def test_projections_leave_nothing(case):
    formula, likelihood, options = CASES[case]
    objective, psi = bind(formula, likelihood, frame=small_data(missing=True), **options)
    assert isinstance(stored(objective), Canonical)
    value, gradient = objective.value_and_grad(psi)
    store(objective, True, 14)
    there, slope = objective.value_and_grad(psi)
    assert there == pytest.approx(value, abs=1e-8)
    np.testing.assert_allclose(slope, gradient, atol=1e-7)


@pytest.mark.parametrize("missing", [False, True], ids=["complete", "incomplete"])
@pytest.mark.parametrize(
    "case",
    ["adaptive slopes", "laplace explained", "nested adaptive 2d"],
)
@double_precision
def test_looking_cells_up_changes_nothing(case, missing):
    formula, likelihood, options = CASES[case]
    objective, psi = bind(formula, likelihood, frame=small_data(missing=missing), **options)
    assert isinstance(objective.setting.who, Aligned)
    before = everything(objective, psi)
    who = jax.device_put(incidence(objective.design, False))
    objective.setting = objective.setting._replace(who=who)
    assert_same(everything(objective, psi), before)


@double_precision
def test_products_for_complete_data_change_nothing():
    for case in COMPLETE + ALIKE:
        formula, likelihood, options = CASES[case]
        objective, psi = bind(formula, likelihood, **options)
        assert isinstance(stored(objective), Canonical)
        assert (len(stored(objective).weight) < N_PERSONS) == (case in ALIKE)
        before = everything(objective, psi)
        store(objective, True, 7)
        assert_same(everything(objective, psi), before)


# ---- refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("likelihood", "formula", "says"),
    [
        (eirt.Quadrature(), "~ x + (1 | id) + (1 | item)", "one grouping factor"),
        (eirt.AdaptiveQuadrature(), "~ x + (1 | id) + (1 | item)", "one grouping factor"),
        (eirt.Nested(), "~ x + (1 | id)", "besides those of persons"),
        (eirt.Quadrature(200), "~ 0 + item + (0 + item | id)", "too many"),
    ],
)
def test_likelihoods_refuse_what_they_cannot_do(likelihood, formula, says):
    with pytest.raises(ValueError, match=says):
        bind(formula, likelihood)


def test_likelihoods_are_plain_values():
    assert eirt.Nested(61) == eirt.Nested(61)
    assert dataclasses.replace(eirt.Quadrature(), nodes=3).nodes == 3


@pytest.mark.parametrize("family", [eirt.Guessing(), eirt.Cumulative(), eirt.Cumulative("cloglog")])
@pytest.mark.parametrize("dense", [True, False], ids=["dense", "padded"])
@pytest.mark.usefixtures("compiled_as_for_users")
@double_precision
def test_scores_on_polynomials_give_the_information(family, dense):
    """At five responses a person, the least that there is to go on; more make it more exact."""
    frame = small_data(family.kind, missing=not dense)
    objective, psi = bind("y ~ x + w + (1 | id)", eirt.Quadrature(61), family, frame=frame)
    store(objective, dense, 5)
    exact = objective.newton_terms(psi)
    objective.how = objective.how._replace(degree=14)
    found = objective.newton_terms(psi)
    assert found.value == exact.value
    scale = np.sqrt(np.diag(exact.information))
    off = (found.information - exact.information) / np.outer(scale, scale)
    np.testing.assert_allclose(off, 0.0, atol=1e-5)


@double_precision
def test_a_search_led_by_a_sample_ends_where_the_exact_one_does(monkeypatch):
    """A sample leads; the information of all is built at the end, and once more at most."""
    frame = small_data("ordered")
    objective, psi = bind(
        "y ~ x + w + (1 | id)", eirt.Quadrature(61), eirt.Cumulative(), frame=frame
    )
    store(objective, True, 5)
    monkeypatch.setattr(quadrature, "SAMPLE", (2, 0))
    assert not objective.quick
    exact = eirt.Newton().maximise(objective, psi, Progress(False, ""))
    objective.how = objective.how._replace(degree=14)
    assert objective.quick
    calls = []
    original = QuadratureObjective.newton_terms
    monkeypatch.setattr(
        QuadratureObjective, "newton_terms", lambda self, at: calls.append(1) or original(self, at)
    )
    found = eirt.Newton().maximise(objective, psi, Progress(False, ""))
    assert 1 <= len(calls) <= 2
    assert found.terms.value == pytest.approx(exact.terms.value, abs=1e-9)
    np.testing.assert_allclose(found.psi, exact.psi, atol=1e-7)
    assert np.max(np.abs(found.terms.gradient)) < 1e-6
    early = eirt.Newton(max_iterations=1).maximise(objective, psi, Progress(False, ""))
    at_the_end = objective.newton_terms(early.psi).information
    np.testing.assert_allclose(early.terms.information, at_the_end, rtol=1e-12)
