"""S-X2 and S-G2: responses to an item against its curve, among persons of equal sum score."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from eirt._compiled import compiled
from eirt.diagnostics.residuals import require_independent
from eirt.likelihood.cells import Data, cell_parameters, flatten
from eirt.model import Model
from eirt.results import Fit
from eirt.scores.answers import Answers
from eirt.scores.sums import OneTest, one_test, sum_distribution

if TYPE_CHECKING:
    from jaxtyping import Array, Float

LEAST = 1.0  # expected persons in a cell


class SumScoreFit(NamedTuple):
    """S-X2 and S-G2 of each item, and the degrees of freedom of both."""

    x2: Float[np.ndarray, " I"]
    g2: Float[np.ndarray, " I"]
    df: Float[np.ndarray, " I"]


def sum_score_fit(fit: Fit, answers: Answers) -> SumScoreFit:
    """Return the S-X2 and S-G2 statistics of each item.

        S-X2 = sum over scores s and categories c of N_s (O_sc - E_sc)^2 / E_sc
        S-G2 = 2 sum over s and c of N_s O_sc log(O_sc / E_sc)
        E_sc = integral of P_c L_-i(s - c) phi / integral of L(s) phi

    Neighbouring scores, and neighbouring categories at a score, are taken together until at least
    one person is expected in each cell. An item loses a degree of freedom for each parameter that
    is its own.

    Args:
        fit: a fit of ordered or binary responses.
        answers: its responses, to one test.

    Raises:
        DataError: if persons did not all answer the same test, or depend on each other.

    Source: Orlando & Thissen (2000); Kang & Chen (2008) for several categories.
    """
    require_independent(fit)
    test = one_test(fit, answers)
    y = np.asarray(answers.y).astype(int)
    total, size = y.sum(axis=1), test.probabilities.shape[1]
    n_scores = y.shape[1] * (size - 1) + 1
    persons = np.bincount(total, minlength=n_scores)
    found = []
    for i, codes in enumerate(y.T):
        observed = np.bincount(total * size + codes, minlength=n_scores * size)
        expected = persons[:, None] * expected_shares(test, i)
        inner = np.flatnonzero((expected > 0).sum(axis=1) > 1)  # elsewhere the score says all
        found.append(_chi_square(observed.reshape(-1, size)[inner], expected[inner]))
    x2, g2, free = np.array(found).T
    return SumScoreFit(x2, g2, free - own_parameters(fit))


def expected_shares(test: OneTest, i: int) -> Float[np.ndarray, "S C"]:
    """Return the probability of each category of item i given the sum score."""
    p = test.probabilities
    size = p.shape[1]
    rest = sum_distribution(np.delete(p, i, axis=0))
    joint = np.zeros((len(rest) + size - 1, size))
    for c in range(size):
        joint[c : c + len(rest), c] = (rest * p[i, c]) @ test.weights
    chance = joint.sum(axis=1, keepdims=True)
    return np.divide(joint, chance, out=np.zeros_like(joint), where=chance > 0)


def _chi_square(observed: Float[np.ndarray, "R C"], expected: Float[np.ndarray, "R C"]) -> tuple:
    """Return both statistics of one item, and how many cells are free to differ."""
    from scipy.special import xlogy

    rows = _joined(list(zip(observed.astype(float), expected, strict=True)))
    x2, g2, free = 0.0, 0.0, 0
    for o, e in rows:
        group = _groups(e)
        o, e = np.bincount(group, o), np.bincount(group, e)
        x2 += float(((o - e) ** 2 / e).sum())
        g2 += 2 * float(xlogy(o, o / e).sum())
        free += len(e) - 1
    return x2, g2, free


def _joined(rows: list[tuple[np.ndarray, np.ndarray]]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Join each score at which fewer than two cells are left to the smaller of its neighbours."""
    while len(rows) > 1:
        sparse = [k for k, (_, e) in enumerate(rows) if _groups(e).max() == 0]
        if not sparse:
            break
        k = sparse[0]
        near = [j for j in (k - 1, k + 1) if 0 <= j < len(rows)]
        other = min(near, key=lambda j: rows[j][1].sum())
        joined = (rows[k][0] + rows[other][0], rows[k][1] + rows[other][1])
        low = min(k, other)
        rows = [*rows[:low], joined, *rows[low + 2 :]]
    return rows


def _groups(expected: Float[np.ndarray, " C"]) -> np.ndarray:
    """Return the cell of each category, neighbours being taken together until all are filled.

    >>> _groups(np.array([3.0, 0.4, 0.8, 2.0, 0.5])).tolist()
    [0, 1, 1, 2, 2]
    """
    group, filled, cell = np.zeros(len(expected), int), 0.0, 0
    for c, share in enumerate(expected):
        if filled >= LEAST:
            cell, filled = cell + 1, 0.0
        group[c], filled = cell, filled + share
    if filled < LEAST and cell > 0:
        group[group == cell] = cell - 1
    return group


def own_parameters(fit: Fit) -> np.ndarray:
    """Return how many free parameters each item has that move no other item."""
    data = Data.of(fit.design, fit.restriction)
    moves = np.asarray(_moves(fit.model, jnp.asarray(fit.psi), jax.device_put(data)))
    moved = np.abs(moves).max(axis=1) > 1e-10
    item = fit.design.cell_item
    by_item = np.zeros((item.max() + 1, moved.shape[1]), bool)
    np.logical_or.at(by_item, item, moved)
    return by_item[:, by_item.sum(axis=0) == 1].sum(axis=1)


@compiled(0)
def _moves(model: Model, psi: Array, data: Data) -> Float[Array, "C m F"]:
    """Return the derivatives of the parameters of cells in the free parameters."""

    def flat(psi: Array) -> Array:
        full = data.restriction.expand(psi)
        return flatten(cell_parameters(model, full, data, jnp.zeros(0)))

    return jax.jacfwd(flat)(psi)
