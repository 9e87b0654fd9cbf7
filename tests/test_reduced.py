"""Quadrature of reduced dimension against product grids, plain numpy, and simulated testlets."""

import numpy as np
import pandas as pd
import pytest

import eirt
from eirt._config import double_precision
from eirt._math import gauss_hermite_grid
from eirt.likelihood import two_tier
from eirt.likelihood.testlets import split

from .test_likelihood import BY_ITEM, EXPLAINED, GROUPS, bind, differenced_gradient, small_data

TESTLETS = "(1 | id) + (1 | id:part)"
CASES = {
    "testlets": (f"~ x + {TESTLETS}", eirt.Quadrature, {}),
    "covariates of persons": (f"~ x + w + {TESTLETS}", eirt.Quadrature, {}),
    "groups": (f"~ x + w + {TESTLETS}", eirt.Quadrature, GROUPS),
    "bifactor": (
        f"~ 0 + item + {TESTLETS}",
        eirt.Quadrature,
        BY_ITEM | {"discrimination": ("~ 0 + item", (0, 1, 2))},
    ),
    "cells without a testlet": ("~ x + (1 | id) + (0 + e1 + e2 || id)", eirt.Quadrature, {}),
    "nothing general": ("~ x + w + (0 + part || id)", eirt.Quadrature, {}),
    "two tiers": ("~ x + (1 + x | id) + (1 | id:part)", eirt.Quadrature, {}),
    "crossed": (f"~ x + w + {TESTLETS} + (1 | item)", eirt.Nested, {}),
    "explained": (f"~ x + {TESTLETS} + (1 | item)", eirt.Nested, EXPLAINED),
}
GENERAL = {"nothing general": 0, "two tiers": 2}


@pytest.mark.parametrize("case", CASES)
@double_precision
def test_equals_the_product_of_all_dimensions(case):
    formula, product, options = CASES[case]
    # where responses are missing, crossed designs on product grids are approximated
    frame = small_data(missing=product is eirt.Quadrature)
    frame = frame.assign(e1=frame["item"].isin(["i0", "i3"]), e2=frame["item"] == "i1")
    frame = frame.astype({"e1": float, "e2": float})
    nodes = 9 if case == "two tiers" else 13
    full, psi = bind(formula, product(nodes), frame=frame, **options)
    reduced, _ = bind(formula, eirt.Reduced(nodes, nodes), frame=frame, **options)
    value, gradient = full.value_and_grad(psi)
    there, slope = reduced.value_and_grad(psi)
    assert there == pytest.approx(value, abs=1e-9)
    np.testing.assert_allclose(slope, gradient, atol=1e-8)
    np.testing.assert_allclose(reduced.information(psi), full.information(psi), atol=1e-6)
    for one, other in zip(reduced.moments(psi), full.moments(psi), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-8)
    dimensions = reduced.inner.who.dimensions.shape[1] - 1
    assert dimensions == GENERAL.get(case, 1)


@pytest.mark.parametrize("case", ["bifactor", "groups", "explained"])
@double_precision
def test_gradient_and_blocks(case, monkeypatch):
    formula, _, options = CASES[case]
    frame = small_data(missing=True)
    whole, psi = bind(formula, eirt.Reduced(9, 7), frame=frame, **options)
    value, gradient = whole.value_and_grad(psi)
    expected = differenced_gradient(whole, psi)
    np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-6 * np.abs(gradient).max())
    monkeypatch.setattr(two_tier, "ELEMENTS", 1000)
    blocks, _ = bind(formula, eirt.Reduced(9, 7), frame=frame, **options)
    blocks.how = blocks.how._replace(block=5)
    there, slope = blocks.value_and_grad(psi)
    assert there == pytest.approx(value, abs=1e-9)
    np.testing.assert_allclose(slope, gradient, atol=1e-8)
    np.testing.assert_allclose(blocks.information(psi), whole.information(psi), atol=1e-6)


@pytest.mark.parametrize("family", [eirt.Cumulative(), eirt.Poisson()], ids=["ordered", "counts"])
@double_precision
def test_other_families(family):
    objective, psi = bind(f"~ x + {TESTLETS}", eirt.Reduced(13, 13), family)
    full, _ = bind(f"~ x + {TESTLETS}", eirt.Quadrature(13), family)
    terms, there = objective.newton_terms(psi), full.newton_terms(psi)
    assert terms.value == pytest.approx(there.value, abs=1e-9)
    np.testing.assert_allclose(terms.gradient, there.gradient, atol=1e-8)
    np.testing.assert_allclose(terms.information, there.information, atol=1e-6)
    assert np.linalg.eigvalsh(terms.safe).min() > -1e-9


@double_precision
def test_likelihood_by_hand():
    frame = small_data(missing=True)
    objective, psi = bind(f"~ x + {TESTLETS}", eirt.Reduced(61, 61), frame=frame)
    (intercept, slope), (sd, own) = psi[:2], psi[2:]
    nodes, log_weights = gauss_hermite_grid(41)
    theta = sd * nodes[:, 0]
    total = 0.0
    for _, person in frame.groupby("id"):
        given = np.zeros(len(theta))
        for _, testlet in person.groupby("part"):
            eta = intercept + slope * testlet["x"].to_numpy()
            eta = eta[:, None, None] + theta[:, None] + own * nodes[:, 0]
            sign = 2 * testlet["y"].to_numpy()[:, None, None] - 1
            each = -np.logaddexp(0, -sign * eta).sum(axis=0)
            given += np.logaddexp.reduce(each + log_weights, axis=1)
        total += np.logaddexp.reduce(given + log_weights)
    assert objective.value_and_grad(psi)[0] == pytest.approx(total, abs=1e-8)


@double_precision
def test_few_dimensions_are_general():
    objective, _ = bind("~ x + (1 + x | id) + (1 | id:part)", eirt.Reduced(5, 5))
    found = split(objective.model, objective.design)
    assert (found.general, found.specific) == ((0, 1), (2, 3))
    assert sorted(set(found.own)) == [0, 1]


@pytest.mark.parametrize("formula", ["~ x + (1 | id)", "~ x + (1 + x | id)", "~ x"])
def test_nothing_to_reduce(formula):
    with pytest.raises(ValueError, match="two specific dimensions"):
        bind(formula, eirt.Reduced())


def simulated(seed, n=400, testlets=6, size=4, sd=0.8):
    rng = np.random.default_rng(seed)
    person, item = np.divmod(np.arange(n * testlets * size), testlets * size)
    testlet = item // size
    ability, local = rng.normal(size=n), sd * rng.normal(size=(n, testlets))
    eta = ability[person] + local[person, testlet] + np.linspace(-1.5, 1.5, testlets * size)[item]
    y = (rng.random(len(item)) < 1 / (1 + np.exp(-eta))).astype(int)
    return pd.DataFrame({"id": person, "item": item, "testlet": testlet, "resp": y})


FORMULA = "resp ~ 0 + item + (1 | id) + (1 | id:testlet)"


@pytest.fixture(scope="module")
def fit():
    data = simulated(1).assign(item=lambda d: "i" + d["item"].astype(str))
    return eirt.eirm(data, FORMULA)


def test_it_is_chosen_and_said(fit):
    assert fit.likelihood.name == "Reduced"
    assert fit.converged and abs(fit.quadrature_error) < 1e-4
    assert "per general and" in str(fit)
    assert fit.persons().groupby("dimension").size().tolist() == [400] * 7


def test_testlet_variance_is_recovered(fit):
    rows = fit.random.set_index("group")
    for group, truth in (("id", 1.0), ("id:testlet", 0.8)):
        assert abs(rows.loc[group, "sd"] - truth) < 2.5 * rows.loc[group, "se"]


def test_more_testlets_than_a_product_could_hold(fit):
    alike = eirt.eirm(
        simulated(1).assign(item=lambda d: "i" + d["item"].astype(str)),
        FORMULA,
        likelihood=eirt.Laplace(),
    )
    # what Laplace's method loses on few responses a testlet
    assert fit.loglik > alike.loglik + 10
    assert fit.random["sd"].to_numpy()[-1] > alike.random["sd"].to_numpy()[-1]
