"""Responses drawn from a fit."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import jax
import jax.numpy as jnp
import numpy as np

from eirt._compiled import compiled
from eirt._config import double_precision
from eirt.errors import listing, nearest
from eirt.likelihood.incidence import person_data
from eirt.model import Cell, Model, Person, cell_data, global_offsets
from eirt.results import Fit
from eirt.tables import require_abilities

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Array, Float, Int

Effects = Literal["new", "new persons", "estimated"]
EFFECTS = ("new", "new persons", "estimated")


@double_precision
def simulate(
    fit: Fit,
    n: int = 1,
    seed: int = 0,
    effects: Effects = "new",
    parameters: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Draw responses from a fit, or from given parameters, for the persons and items of its data.

    Args:
        fit: the fit.
        n: how often.
        seed: of the random numbers; the same seed gives the same responses.
        effects: "new" draws random effects (abilities, residuals of items) from their
            distribution; "estimated" keeps those of the fit, at their posterior means or modes;
            "new persons" draws abilities, and keeps the effects of items and groups.
        parameters: values in the place of estimates, by name as in `fit.names`; what is tied to
            one of them follows.

    Returns:
        One row a response, in the order of the data: the columns of persons, items and features,
        and the response; with n > 1 also `simulation`, from 1 to n. Covariates of persons stay
        with the data.

    Raises:
        ValueError: for unknown effects or parameters, or n below 1.
        DataError: if the likelihood is conditional and abilities have no distribution.

    >>> import eirt
    >>> fit = eirt.rasch(eirt.load("lsat7"), wide=True)
    >>> frame = simulate(fit, n=2, seed=1)
    >>> frame.columns.tolist(), len(frame)
    (['simulation', 'id', 'item', 'resp'], 10000)
    >>> alike = simulate(fit, parameters={"sd[id|(Intercept)]": 0.0, "item[Q1]": 0.0})
    >>> round(alike.loc[alike["item"] == "Q1", "resp"].mean(), 1)
    np.float64(0.5)
    """
    import pandas as pd

    if n < 1:
        raise ValueError(f"n={n} simulations cannot be drawn; ask for 1 or more.")
    full = full_at(fit, parameters or {})
    frames = []
    for k, key in enumerate(jax.random.split(jax.random.PRNGKey(seed), n)):
        frame = response_frame(fit, draw(fit, key, effects, full))
        if n > 1:
            frame.insert(0, "simulation", k + 1)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def full_at(fit: Fit, parameters: Mapping[str, float]) -> Float[np.ndarray, " P"]:
    """Return all parameters, some of them at given values.

    Raises:
        ValueError: if there is no parameter of a name.
    """
    full, source = fit.full.copy(), np.asarray(fit.restriction.source)
    for name, value in parameters.items():
        if name not in fit.names:
            raise ValueError(f"There is no parameter {name!r}.{nearest(name, fit.names)}")
        place = fit.names.index(name)
        tied = source == source[place] if source[place] >= 0 else np.arange(len(full)) == place
        full[tied] = value
    return full


def draw(
    fit: Fit,
    key: Array,
    effects: Effects = "new",
    full: Float[np.ndarray, " P"] | None = None,
) -> Float[np.ndarray, " n"]:
    """Return one draw of the response codes, in the order of the data.

    Args:
        fit: the fit.
        key: of the random numbers.
        effects: as for `simulate`.
        full: all parameters; by default those of the fit.

    Raises:
        ValueError: for unknown effects.
        DataError: if the likelihood is conditional.
    """
    if effects not in EFFECTS:
        raise ValueError(f"No effects {effects!r}; there are {listing(EFFECTS)}.")
    require_abilities(fit, "distribution to draw from")
    design, model = fit.design, fit.model
    of_persons, of_others, of_responses = jax.random.split(key, 3)
    if effects == "estimated":
        x = jnp.asarray(fit.moments.mean)
    else:
        x = jax.random.normal(of_persons, (len(design.persons), model.dimension))
    if effects == "new":
        u = jax.random.normal(of_others, (global_offsets(design)[-1],))
    else:
        u = jnp.asarray(fit.moments.others)
    cells, people = cell_data(design), person_data(design)
    own = u[cells.places] if u.size else jnp.zeros(cells.places.shape)
    keys = jax.random.split(of_responses, design.observations.n)
    places = jnp.asarray(design.person_columns)
    values = jnp.asarray(fit.full if full is None else full)
    at = jnp.asarray(design.obs_cell), jnp.asarray(design.obs_person)
    new = effects != "estimated"
    return np.asarray(_sample(model, new, values, places, cells, own, people, x, *at, keys))


@compiled(0, 1)
def _sample(
    model: Model,
    new: bool,
    full: Array,
    places: Array,
    cells: Cell,
    own: Float[Array, "C q"],
    people: Person,
    x: Float[Array, "N D"],
    cell: Int[Array, " n"],
    person: Int[Array, " n"],
    keys: Array,
) -> Float[Array, " n"]:
    """Draw every response; new effects have the spread that covariates predict."""
    params = model.unpack(full)
    factor = model.local_factor(params)

    def of_person(person: Person, x: Array) -> Array:
        standing = model.standing(params, params.beta[places], person)
        scale = jnp.exp(standing.log_sd) if new else 1.0
        return standing.mean + scale * (factor @ x)

    found = jax.vmap(functools.partial(model.on_ability, params))(cells, own)
    ability = jax.vmap(of_person)(people, x)

    def one(c: Array, p: Array, key: Array) -> Array:
        return model.response.sample(
            key, found.location[c] + found.loading[c] @ ability[p], found.aux[c]
        )

    return jax.vmap(one)(cell, person, keys)


def _labelled(fit: Fit, y: Float[np.ndarray, " n"]) -> np.ndarray:
    """Return what response codes stand for."""
    design = fit.design
    if not design.labels:
        return y
    codes = y.astype(int)
    found = np.array([*design.labels, None], object)[codes]
    for name, labels in design.own_labels.items():
        own = design.items[design.obs_item].astype(str) == name
        found[own] = np.array(labels, object)[codes[own]]
    return np.array(found.tolist())


def response_frame(fit: Fit, y: Float[np.ndarray, " n"]) -> pd.DataFrame:
    """Return response codes with their labels, beside the columns of persons and items."""
    return _described(fit).assign(**{fit.design.response: _labelled(fit, y)})


def _described(fit: Fit) -> pd.DataFrame:
    """Return the columns of persons and items of each response, and the features of cells."""
    import pandas as pd

    design = fit.design
    cells = design.cells.iloc[design.obs_cell].reset_index(drop=True)
    known = [design.item] if design.item in cells else []
    known += [name for name in design.columns if _of_cells(fit, name) and name in cells]
    found = pd.DataFrame(index=cells.index)
    if design.person is not None:
        labels = design.persons[design.obs_person]
        parts = design.person.split(":")
        columns = [labels] if len(parts) == 1 else zip(*(s.split(":") for s in labels), strict=True)
        for name, column in zip(parts, columns, strict=True):
            found[name] = np.asarray(column)
    rest = [name for name in dict.fromkeys([*known, *design.cells[list(fit.model.response.given)]])
            if name not in found and name != design.response]  # fmt: skip
    return found.join(cells[rest])


def _of_cells(fit: Fit, variable: str) -> bool:
    """Return whether a column describes cells: columns that only persons differ in do not."""
    design = fit.design
    moved = set(np.asarray(design.x_names, object)[design.person_columns])
    names = [name for name in design.x_names if name not in moved]
    names += [name for part in design.parts if not part.of_persons for name in part.columns]
    names += [name for term in design.terms for name in (*term.factors, *term.effects)]
    return any(re.search(rf"(?<!\w){re.escape(variable)}(?!\w)", name) for name in names)
