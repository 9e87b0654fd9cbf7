"""Who answered what, one person after another: what every score of a person is computed from."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np

from eirt._compiled import compiled
from eirt.difficulty import ability_origin
from eirt.errors import DataError, listing, nearest
from eirt.factors import factor_codes, level_codes
from eirt.frames import melt, to_pandas
from eirt.likelihood.incidence import grouped
from eirt.model import Cell, CellParameters, Model, Standing, cell_data
from eirt.predictions import rows_at
from eirt.results import Fit
from eirt.scores.population import Population, population
from eirt.tables import local_factor, standings

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Array, Float, Int


class Answers(NamedTuple):
    """The responses of each person (or of ONE), given a calibration.

    ability = mean + scale x,   x ~ N(0, I)   before the responses

    Attributes:
        y: response codes; anything where `present` is 0.
        present: 1 for a response, 0 for padding.
        cells: what gives the probabilities of each response at x.
        item: item of each response.
        mean, scale: what covariates predict of the person's abilities.
    """

    y: Float[Array, "N J"]
    present: Float[Array, "N J"]
    cells: CellParameters
    item: Int[Array, "N J"]
    mean: Float[Array, "N D"]
    scale: Float[Array, "N D D"]

    def ability(self, x: Float[np.ndarray | Array, "N D"]) -> Float[np.ndarray, "N D"]:
        """Return the abilities at x, which may be infinite."""
        scale = np.asarray(self.scale)
        with np.errstate(invalid="ignore"):
            moved = np.where(scale == 0, 0.0, scale * x[:, None, :]).sum(axis=2)
        return np.asarray(self.mean) + moved

    def spread(self, covariance: Float[np.ndarray | Array, "N D D"]) -> Float[np.ndarray, "N D"]:
        """Return the standard deviations of the abilities from the covariances of x."""
        scale = np.asarray(self.scale)
        terms = scale[:, :, :, None] * covariance[:, None] * scale[:, :, None, :]
        terms = np.where(scale[:, :, :, None] * scale[:, :, None, :] == 0, 0.0, terms)
        return np.sqrt(terms.sum(axis=(2, 3)))


class Counts(NamedTuple):
    """How many responses each person gave, and the sum of their codes."""

    persons: np.ndarray
    n: Int[np.ndarray, " N"]
    score: Float[np.ndarray, " N"]

    @classmethod
    def of(cls, persons: np.ndarray, person: np.ndarray, y: np.ndarray) -> Self:
        """Count the responses of persons with these names, given the person of each response."""
        size = len(persons)
        return cls(
            persons, np.bincount(person, minlength=size), np.bincount(person, y, minlength=size)
        )


def counts_of(fit: Fit) -> Counts:
    """Return the counts of the persons of a fit."""
    design, answers = fit.design, fit.design.observations
    return Counts(design.persons, answers.lengths.astype(int), design.person_totals)


def answers_of(fit: Fit) -> Answers:
    """Return what the persons of a fit answered, in its order of persons, by cell.

    Of a conditional fit ability has the normal distribution that suits these persons best, and the
    origin of `fit.difficulty()`.
    """
    raw = _raw_answers(fit)
    return _placed(fit, raw, population(fit.model, raw)) if fit.likelihood.conditional else raw


def _raw_answers(fit: Fit) -> Answers:
    """Return what the persons of a fit answered; of a conditional fit at mean 0 and scale 1."""
    design = fit.design
    u = jnp.asarray(fit.moments.others if fit.model.n_global else np.zeros(0))
    cells = cell_data(design)
    own = u[cells.places] if u.size else jnp.zeros(cells.places.shape)
    steep = jax.tree.map(np.asarray, _cells(fit.model, jnp.asarray(fit.full), cells, own))
    order = np.lexsort((design.obs_cell, design.obs_person))
    person, cell = design.obs_person[order], design.obs_cell[order]
    return _stacked(
        person,
        design.y[order],
        design.obs_item[order],
        jax.tree.map(lambda leaf: leaf[cell], steep),
        jax.tree.map(np.asarray, standings(fit)),
        _factor(fit),
    )


def _factor(fit: Fit) -> Float[np.ndarray, "D D"]:
    """Return Lambda of the effects of persons, which a conditional fit does not know."""
    return np.ones((1, 1)) if fit.likelihood.conditional else local_factor(fit)


def _placed(fit: Fit, raw: Answers, people: Population) -> Answers:
    """Return answers where ability has a normal distribution, and the origin of difficulties."""
    cells = raw.cells._replace(
        location=raw.cells.location + people.mean * raw.cells.loading[:, :, 0],
        loading=people.sd * raw.cells.loading,
    )
    mean = raw.mean + people.mean + ability_origin(fit)
    return raw._replace(cells=cells, mean=mean, scale=people.sd * raw.scale)


def answers_to(fit: Fit, new: Any) -> tuple[Answers, Counts]:
    """Return what new persons answered.

    Args:
        fit: the calibration.
        new: one row a response with the columns of the fit, or one row a person with a column an
            item.

    Raises:
        DataError: if a column is missing, or an item or a response is unknown.
    """
    frame = _long(fit, to_pandas(new))
    y = _codes(fit, frame)
    person, labels = factor_codes(frame, str(fit.design.person).split(":"))
    rows = rows_at(fit, frame, grouped=not fit.likelihood.conditional)
    params = fit.model.unpack(jnp.asarray(fit.full))
    gamma = params.beta[fit.design.person_columns]
    stands = jax.vmap(lambda one: fit.model.standing(params, gamma, one))(rows.person)
    first = np.unique(person, return_index=True)[1]
    cells = _cells(fit.model, jnp.asarray(fit.full), rows.cell, rows.own)
    answers = _stacked(
        person,
        y,
        np.asarray(rows.cell.item),
        jax.tree.map(np.asarray, cells),
        jax.tree.map(lambda leaf: np.asarray(leaf)[first], stands),
        _factor(fit),
    )
    if fit.likelihood.conditional:
        answers = _placed(fit, answers, population(fit.model, _raw_answers(fit)))
    return answers, Counts.of(labels, person, y)


@compiled(0)
def _cells(model: Model, full: Array, cells: Cell, own: Float[Array, "C q"]) -> CellParameters:
    """Return the parameters of every cell, slopes on abilities in the place of loadings."""
    return jax.vmap(functools.partial(model.on_ability, model.unpack(full)))(cells, own)


def _stacked(
    person: np.ndarray,
    y: np.ndarray,
    item: np.ndarray,
    steep: CellParameters,
    stands: Standing,
    factor: Float[np.ndarray, "D D"],
) -> Answers:
    """Stack responses by person; `steep` has slopes on abilities where loadings on x will be."""
    slots = grouped(person, len(stands.mean))
    scale = np.exp(stands.log_sd)[:, :, None] * factor
    place = np.where(slots < len(y), slots, 0)
    slope = steep.loading[place]
    location = steep.location[place] + np.einsum("njd,nd->nj", slope, stands.mean)
    cells = CellParameters(location, np.einsum("njd,nde->nje", slope, scale), steep.aux[place])
    present = (slots < len(y)).astype(float)
    stacked = (y[place], present, cells, item[place], stands.mean, scale)
    return Answers(*jax.tree.map(jnp.asarray, stacked))


def _long(fit: Fit, frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row a response, each with a response to a known item."""
    design = fit.design
    names = {str(column): column for column in frame.columns}
    columns = [names[str(item)] for item in design.items if str(item) in names]
    if design.response not in frame.columns and columns and design.item is not None:
        frame = melt(frame, columns, str(design.person), design.item, design.response)
    groups = [*str(design.person).split(":"), *([design.item] if design.item else [])]
    for name in (design.response, *groups):
        if name not in frame.columns:
            raise DataError(
                f"The new data have no column {name!r}: they need the columns of the fit, one row "
                "a response, or one row a person with a column an item."
                + nearest(name, [str(column) for column in frame.columns])
            )
    frame = frame[frame[design.response].notna()].reset_index(drop=True)
    if frame.empty:
        raise DataError(f"The new data have no response in column {design.response!r}.")
    if design.item is not None:
        place = level_codes(frame, [design.item], design.items)
        if np.any(place < 0):
            odd = frame.loc[place < 0, design.item].unique()
            raise DataError(
                f"Column {design.item!r} holds {listing(odd)}, which the fit has not calibrated; "
                "leave these rows out or fit again with them."
            )
        features = _features(fit, frame)
        frame = frame.assign(**{name: column[place] for name, column in features.items()})
    return frame


def _features(fit: Fit, frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return the features of items that the formulas use and the new data lack, by item."""
    design = fit.design
    first = np.unique(design.cell_item, return_index=True)[1]
    lacking = [name for name in design.columns if name not in frame.columns]
    values = {name: design.cells[name].to_numpy() for name in lacking if name in design.cells}
    return {
        name: column[first]
        for name, column in values.items()
        if np.all(column == column[first][design.cell_item])
    }


def _codes(fit: Fit, frame: pd.DataFrame) -> np.ndarray:
    """Return the codes of new responses, by the categories of the fit."""
    design = fit.design
    column = frame[design.response]
    if len(fit.model.response.members) > 1:
        raise DataError(
            f"Responses of {fit.name} are of several families: new persons cannot be scored yet; "
            "fit again with them."
        )
    if not design.labels:
        return column.to_numpy(float)
    items = frame[design.item].astype(str) if design.own_labels else None
    codes = column.map({label: code for code, label in enumerate(design.labels)}).astype(float)
    for item, labels in design.own_labels.items():
        own = items == item
        codes[own] = column[own].map({label: code for code, label in enumerate(labels)})
    if codes.isna().any():
        odd = listing(column[codes.isna()].unique())
        raise DataError(
            f"Column {design.response!r} holds {odd}, but the responses of the fit are "
            f"{listing(design.labels)}; correct it or leave these rows out."
        )
    return codes.to_numpy()
