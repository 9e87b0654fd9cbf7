"""Informations that stay sparse: the same answers as the matrices that they stand for."""

import dataclasses

import numpy as np
import pytest

import eirt
from eirt.information import (
    finite,
    plus_diagonal,
    reflected,
    smallest_eigenvalue,
    solved,
    updated,
    uphill,
)
from eirt.separable import Separable

ITEMS, PERSONS, K, Q = 7, 5, 2, 3


def made(shared: int, fixed: bool = False) -> Separable:
    """Return an information of random numbers, well inside what is positive definite."""
    rng = np.random.default_rng(shared)
    own = np.arange(ITEMS * K).reshape(K, ITEMS).T
    if fixed:
        own = np.where(own < 3, -1, own - 3)
    n_own = own.max() + 1
    persons = np.stack([np.sort(rng.choice(PERSONS + 1, 4, replace=False)) for _ in range(ITEMS)])
    there = (persons < PERSONS)[:, :, None, None] * (own >= 0)[:, None, None, :]
    root = rng.normal(size=(ITEMS, K, K)) * (own >= 0)[:, :, None]
    return Separable(
        n=n_own + shared,
        own=own,
        shared=n_own + np.arange(shared),
        blocks=root @ root.swapaxes(1, 2) + 9 * np.eye(K) * (own >= 0)[:, :, None],
        border=rng.normal(size=(ITEMS, K, shared)) * (own >= 0)[:, :, None],
        corner=20 * np.eye(shared),
        persons=persons,
        loads=rng.normal(size=(ITEMS, 4, Q, K)) * there * 0.3,
        shared_loads=rng.normal(size=(PERSONS, Q, shared)) * 0.3,
    )


def dense(information: Separable) -> np.ndarray:
    """Return the matrix, from its definition."""
    complete = np.zeros((information.n + 1,) * 2)
    loads = np.zeros((information.n + 1, (PERSONS + 1) * information.loads.shape[2]))
    q = information.loads.shape[2]
    complete[np.ix_(information.shared, information.shared)] += information.corner
    for person, own in enumerate(information.shared_loads):
        loads[information.shared, person * q : (person + 1) * q] += own.T
    for item, places in enumerate(information.own):
        complete[np.ix_(places, places)] += information.blocks[item]
        complete[np.ix_(places, information.shared)] += information.border[item]
        complete[np.ix_(information.shared, places)] += information.border[item].T
        for person, own in zip(information.persons[item], information.loads[item], strict=True):
            loads[places, person * q : (person + 1) * q] += own.T
    return (complete - loads @ loads.T)[:-1, :-1]


CASES = {"own": made(0), "shared": made(2), "fixed": made(1, fixed=True)}


@pytest.fixture(params=CASES, scope="module")
def information(request) -> Separable:
    return CASES[request.param]


def test_it_solves(information):
    matrix, vector = dense(information), np.arange(1.0, information.n + 1)
    np.testing.assert_allclose(information.diagonal, np.diagonal(matrix), rtol=1e-12)
    np.testing.assert_allclose(solved(information, vector), np.linalg.solve(matrix, vector))
    np.testing.assert_allclose(information.inverse, np.linalg.inv(matrix), atol=1e-14)
    assert smallest_eigenvalue(information) == pytest.approx(smallest_eigenvalue(matrix), rel=1e-3)


def test_it_has_the_covariance_of_each_item(information):
    inverse = np.pad(np.linalg.inv(dense(information)), (0, 1))
    everything = np.tile(information.shared, (ITEMS, 1))
    places = np.concatenate([information.own, everything], axis=1)
    expected = inverse[places[:, :, None], places[:, None, :]]
    np.testing.assert_allclose(information.covariance_of(places), expected, atol=1e-14)
    pair = np.array([[0, information.n - 1, 1]])
    expected = inverse[pair[:, :, None], pair[:, None, :]]
    np.testing.assert_allclose(information.covariance_of(pair), expected, atol=1e-14)


def test_it_is_changed_as_matrices_are(information):
    matrix, rng = dense(information), np.random.default_rng(1)
    signs = rng.choice([-1.0, 1.0], information.n)
    diagonal = rng.random(information.n)
    np.testing.assert_allclose(dense(reflected(information, signs)), reflected(matrix, signs))
    found = dense(plus_diagonal(information, diagonal))
    np.testing.assert_allclose(found, plus_diagonal(matrix, diagonal))


def test_secants_are_those_of_matrices(information):
    matrix, rng = dense(information), np.random.default_rng(2)
    vector, sparse = rng.normal(size=information.n), information
    for _ in range(3):
        step = rng.normal(size=information.n)
        change = matrix @ step + 0.1 * step**3
        sparse, matrix = updated(sparse, step, change), updated(matrix, step, change)
        np.testing.assert_allclose(solved(sparse, vector), np.linalg.solve(matrix, vector))
    assert finite(sparse)


def test_what_is_not_positive_definite(information):
    there = dataclasses.replace(information, loads=20 * information.loads)
    assert solved(there, np.ones(there.n)) is None
    assert smallest_eigenvalue(there) < 0
    assert np.isnan(there.covariance_of(there.own)).any()
    assert uphill(there, np.ones(there.n)) @ np.ones(there.n) > 0
    there = dataclasses.replace(information, corner=np.full_like(information.corner, np.nan))
    assert finite(there) == (not len(there.shared))


def test_many_parameters_of_several_items_are_refused(monkeypatch):
    monkeypatch.setattr("eirt.separable.MOST_BETWEEN", 3)
    with pytest.raises(eirt.DataError, match="covariance of 4 parameters of different items"):
        CASES["own"].covariance_of(np.arange(4)[None])
