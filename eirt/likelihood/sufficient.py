"""Who answered what, as a table of responses: for families where sums of these suffice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from eirt._compiled import compiled
from eirt._math import on_host, rounded_up
from eirt.design import Design
from eirt.devices import Devices
from eirt.factors import combine, first_of
from eirt.likelihood.incidence import FEW, person_data, row_table
from eirt.model import Model, Person
from eirt.responses import Response

if TYPE_CHECKING:
    from jaxtyping import Array, Float, Int, Shaped


AT_A_TIME = 2**14  # persons
COUNTS = np.float32  # exact, for fewer than 16 million alike
ALIGNED = 64  # bytes, at multiples of which arrays begin


class Canonical(NamedTuple):
    """Who answered what, each cell at most once.

    Persons who are known to have the same posterior are one, with their mean responses.

    Attributes:
        y: responses, persons x cells; the base where there is none.
        present: 1 for a response, 0 where there is none; None where there are all.
        base: a response that each cell is compared with.
        constant: what log p(y) holds besides y eta - b(eta), relative to the base, by person; None
            where that is nothing.
        weight: how many each stands for.
        person: covariates of each person.
        group: which of these each person of the data is; more than there are persons, maybe. None
            where each is one.
        every: one of so many is counted in sums by blocks, and stands for as many.
    """

    y: Shaped[Array, "N C"]
    present: Shaped[Array, "N C"] | None
    base: Float[Array, " C"]
    constant: Float[Array, " N"] | None
    weight: Float[Array, " N"]
    person: Person
    group: Int[Array, " persons"] | None
    every: Int[Array, ""]


@compiled(0, once=True)
def _at_zero(response: Response, values: Float[Array, " n"]) -> Float[Array, " n"]:
    """Return the log probabilities of responses where the predictor is zero."""
    each = jax.vmap(response.log_prob, (0, None, None))
    return each(values, jnp.zeros(()), jnp.zeros(response.n_aux))


def canonical_incidence(model: Model, design: Design) -> Canonical:
    """Return the responses as a table of persons x cells.

    Rows of no weight round their number up: data of about this size share a compiled program.
    """
    rows, answers, base = row_table(design), design.observations, design.row_y[0]
    n, n_cells = rows.shape
    values = np.unique(design.row_y)
    known = np.asarray(_at_zero(model.response, values))
    of_rows = (known - known[values == base])[np.searchsorted(values, design.row_y)]
    constant = answers.by_person(of_rows) if np.any(of_rows) else None
    # a byte a response where it is a small whole number
    table = np.append(design.row_y, base)
    small = table.astype(np.uint8) if 0 <= table.min() and table.max() < 2**8 else table
    table = small if np.array_equal(small, table) else table
    y = _aligned((rounded_up(n), n_cells), table.dtype)  # padded at once: it may be large
    y[n:] = base
    for begin in range(0, n, AT_A_TIME):
        some = slice(begin, min(begin + AT_A_TIME, n))
        np.take(table, rows[some], out=y[some], mode="clip")
    person, weight, present = person_data(design), np.ones(n, COUNTS), None
    group = _alike(model, design, person) if design.complete else None
    first: Any = slice(None)
    if group is not None:
        weight, first = np.bincount(group).astype(COUNTS), first_of(group)
    if not design.complete:
        present = (rows < answers.n_rows).astype(np.uint8)

    def mean(values: np.ndarray) -> np.ndarray:
        if group is None or len(weight) == n:  # nobody is like another
            return values
        sums = [np.bincount(group, column) for column in values.T]
        return np.stack(sums, axis=1) / weight[:, None]

    more = rounded_up(len(weight)) - len(weight)
    if len(weight) < n:
        y = np.concatenate([mean(y[:n]), np.full((more, n_cells), base)])

    def padded(values: np.ndarray) -> np.ndarray:
        return np.concatenate([values, np.zeros((more, *values.shape[1:]), values.dtype)])

    if constant is not None:
        constant = padded(mean(constant[:, None])[:, 0])
    weight = padded(weight)  # in place of what it is made of
    return on_host(
        Canonical,
        y,
        None if present is None else padded(present),
        np.full(n_cells, base),
        constant,
        weight,
        jax.tree.map(lambda leaf: padded(leaf[first]), person),
        None if group is None else np.pad(group, (0, rounded_up(n) - n)),
        np.int32(1),
    )


def _aligned(shape: tuple[int, int], dtype: np.dtype) -> Shaped[np.ndarray, "N C"]:
    """Return an array that JAX takes as it is, instead of copying it: in memory at a multiple."""
    size = int(np.prod(shape)) * dtype.itemsize
    whole = np.empty(size + ALIGNED, np.uint8)
    first = -whole.ctypes.data % ALIGNED
    return whole[first : first + size].view(dtype).reshape(shape)


def _alike(model: Model, design: Design, person: Person) -> np.ndarray | None:
    """Number the persons, those who are known to have equal posteriors alike; None if nobody is.

    With loading_c = Lambda'z_c the responses enter a posterior through the scores sum_c y_c z_c.
    """
    import pandas as pd

    if model.moved > 1 or any(effect.slope.free for effect in model.effects if effect.local):
        return None
    columns = [
        design.observations.by_person(design.row_y * z[design.row_cell])
        for term in design.terms
        if term.local
        for z in term.z.T
    ]
    columns += [column for leaf in jax.tree.leaves(person) for column in np.asarray(leaf).T]
    return combine(pd.DataFrame(dict(enumerate(columns))), range(len(columns)))


def still_vary(who: Canonical, every: int, devices: Devices | None = None) -> bool:
    """Return whether responses of all cells vary among every so manieth person.

    What nobody is known to have answered otherwise has no maximum.

    Args:
        who: the persons of this process.
        every: how many persons there are for one that is asked.
        devices: those with all persons, if they are several.
    """
    own = jax.tree.map(lambda leaf: np.asarray(leaf)[::every], by_person(who))
    weighs = own["weight"] > 0
    counts = np.zeros((2, len(who.base)))
    for cell, base in enumerate(np.asarray(who.base)):  # by cell: tables of numbers are large
        there = weighs if own["present"] is None else weighs & (own["present"][:, cell] > 0)
        others = there & (own["y"][:, cell] != base)
        counts[:, cell] = np.count_nonzero(others), np.count_nonzero(there)
    others, size = counts if devices is None else devices.total(counts)
    return bool(np.all(np.minimum(others, size - others) >= FEW))


def by_person(who: NamedTuple) -> dict[str, Any]:
    """Return the arrays of an incidence that have a row for each person."""
    shared = ("base", "group", "every", "rows_of_cell")
    return {name: leaf for name, leaf in who._asdict().items() if name not in shared}
