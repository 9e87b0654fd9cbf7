"""Large tables: blocks of persons, samples that lead the search, bytes in place of numbers."""

import jax
import numpy as np
import pandas as pd
import pytest

import eirt
from eirt import matrices
from eirt._config import double_precision
from eirt.likelihood import quadrature
from eirt.likelihood.persons import CACHED
from eirt.likelihood.sufficient import canonical_incidence, still_vary
from eirt.optimisers import Newton
from eirt.progress import Progress

SIZE, N_ITEMS = 16_384, 12


def _simulated(size=SIZE, seed=0):
    rng = np.random.default_rng(seed)
    slope, easiness = rng.lognormal(0.2, 0.3, N_ITEMS), rng.normal(size=N_ITEMS)
    theta = rng.normal(size=(size, 1))
    p = 1 / (1 + np.exp(-(slope * theta + easiness)))
    y = (rng.random(p.shape) < p).astype(int)
    return pd.DataFrame(y, columns=[f"q{k}" for k in range(N_ITEMS)])


@pytest.fixture(scope="module")
def large():
    return eirt.two_pl(_simulated(), wide=True)


def test_blocks_of_persons_add_up(large):
    assert CACHED // 61 < SIZE // 2  # in blocks; its halves are not
    data, psi = _simulated(), large.psi + 0.1
    halves = (data[: SIZE // 2], data[SIZE // 2 :])

    @double_precision
    def terms(fit):
        return (*fit.objective.newton_terms(psi), *fit.objective.value_and_grad(psi))

    whole, *parts = map(terms, (large, *(eirt.two_pl(half, wide=True) for half in halves)))
    for total, one, other in zip(whole, *parts, strict=True):
        np.testing.assert_allclose(total, one + other, rtol=1e-10, atol=1e-7)


def test_large_tables_are_not_copied(large):
    @double_precision
    def taken():
        who = canonical_incidence(large.model, large.design)
        return who.y.ctypes.data, jax.device_put(who.y).unsafe_buffer_pointer()

    there, here = taken()
    assert there == here or jax.default_backend() != "cpu"


def test_samples_lead_where_items_are_many(monkeypatch):
    """Tables of many items are searched with a sample's information, and end where others do."""
    data = _simulated(10_000)
    one = eirt.two_pl(data, wide=True)
    monkeypatch.setattr(quadrature, "MANY", 10)
    monkeypatch.setattr(quadrature, "WORTH_IT", 120_000)
    other = eirt.two_pl(data, wide=True)
    assert other.objective.quick and not one.objective.quick
    np.testing.assert_allclose(other.psi, one.psi, atol=1e-5)
    # the information is built where a ten-millionth of log-likelihood is left to gain
    np.testing.assert_allclose(other.vcov, one.vcov, rtol=1e-4, atol=1e-7)
    assert other.certificate.decrement < 1e-10


@pytest.mark.parametrize("door", [eirt.two_pl, eirt.rasch])
def test_informations_of_many_items_are_carried_to_the_few_parameters_of_each(door, monkeypatch):
    data = _simulated(600)
    one = door(data, wide=True)
    for module in (matrices, quadrature):
        monkeypatch.setattr(module, "MANY", 5)
    other = door(data, wide=True)
    assert one.objective.places is None and other.objective.places is not None
    psi = one.psi + 0.1
    found, expected = (double_precision(fit.objective.newton_terms)(psi) for fit in (other, one))
    for own, straight in zip(found, expected, strict=True):
        np.testing.assert_allclose(own, straight, rtol=1e-10, atol=1e-8)
    pd.testing.assert_frame_equal(other.items, one.items, rtol=1e-6)


def test_moments_of_each_person_are_found_in_blocks(large):
    y, nodes = _simulated().to_numpy()[:500], np.linspace(-6, 6, 201)
    slope, difficulty = large.difficulty()[["discrimination", "difficulty"]].to_numpy().T
    eta = slope[:, None] * (nodes - difficulty[:, None])
    weights = np.exp(y @ eta - np.logaddexp(0, eta).sum(axis=0) - nodes**2 / 2)
    weights /= weights.sum(axis=1, keepdims=True)
    persons = large.persons().iloc[:500]
    np.testing.assert_allclose(persons["ability"], weights @ nodes, atol=1e-6)
    sd = np.sqrt(weights @ nodes**2 - (weights @ nodes) ** 2)
    np.testing.assert_allclose(persons["se"], sd, atol=1e-6)


def test_gradients_in_blocks_are_differences(large):
    objective, psi = large.objective, large.psi + 0.05

    @double_precision
    def value(at):
        return objective.value_and_grad(at)[0]

    gradient = double_precision(objective.value_and_grad)(psi)[1]
    for k in (0, 5, N_ITEMS + 3):
        shift = np.zeros_like(psi)
        shift[k] = 1e-4
        slope = (value(psi + shift) - value(psi - shift)) / 2e-4
        assert gradient[k] == pytest.approx(slope, abs=1e-3)


def test_a_sample_leads_to_the_same_maximum():
    """Nested samples are searched first where there are enough persons."""
    fit = eirt.two_pl(pd.concat([_simulated(seed=seed) for seed in range(2)]), wide=True)
    sample = double_precision(lambda: fit.objective.rehearsal)()
    assert sample is not None
    assert sample.who.every == 8
    climb, start = double_precision(Newton()._climb), np.ones_like(fit.psi)
    straight = climb(fit.objective, start, Progress(False, ""))
    np.testing.assert_allclose(fit.psi, straight.psi, atol=1e-7)
    assert fit.loglik == pytest.approx(straight.terms.value, abs=1e-6)


@double_precision
def test_samples_in_which_a_cell_does_not_vary_lead_nowhere(large):
    who = large.objective.who
    assert still_vary(who, 8)
    constant = np.asarray(who.y).copy()
    constant[::8, 3] = 1
    assert not still_vary(who._replace(y=constant), 8)


def test_responses_take_a_byte(large):
    assert large.objective.who.y.dtype == np.uint8
    assert large.objective.who.present is None


def test_graded_searches_end_in_double_precision():
    rng = np.random.default_rng(3)
    theta = rng.normal(size=(20_000, 1))
    y = np.clip(np.round(1.5 + theta + rng.normal(size=(20_000, 8))), 0, 3)
    fit = eirt.grm(pd.DataFrame(y, columns=list("abcdefgh")), wide=True)
    assert fit.objective.quick
    assert fit.objective.light.counts.dtype == np.float32
    assert fit.converged
    assert fit.certificate.decrement < 1e-12
    climb, start = double_precision(Newton()._climb), fit.psi + 0.1
    straight = climb(fit.objective, start, Progress(False, ""))
    np.testing.assert_allclose(fit.psi, straight.psi, atol=1e-6)


@pytest.mark.parametrize("door", [eirt.two_pl, eirt.rasch])
def test_mixed_precision_ends_where_double_does(door):
    double, mixed = (
        door(_simulated(), wide=True, precision=precision) for precision in ("double", "mixed")
    )
    assert double_precision(lambda: mixed.objective.rehearsal.how.single)()
    np.testing.assert_allclose(mixed.psi, double.psi, atol=1e-5)
    assert mixed.loglik == pytest.approx(double.loglik, abs=1e-6)


@double_precision
def test_single_precision_rounds_little(large):
    objective = large.objective
    objective.precision = "mixed"
    single, psi = objective.rehearsal, large.psi + 0.05
    objective.precision = None
    found, exact = single.newton_terms(psi), objective.newton_terms(psi)
    assert found.value == pytest.approx(exact.value, rel=1e-7)
    scale = np.sqrt(np.diagonal(exact.information))
    np.testing.assert_allclose(found.gradient / scale, exact.gradient / scale, atol=1e-4)
    difference = (found.information - exact.information) / np.outer(scale, scale)
    assert np.abs(difference).max() < 1e-5
