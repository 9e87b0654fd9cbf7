"""Refits: without features, with items that are free, or to other persons or responses."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping, Sequence

import numpy as np

from eirt._config import double_precision
from eirt.design import Design
from eirt.effects import STEEP, Effect
from eirt.errors import ConvergenceWarning, DataError, listing, nearest
from eirt.extras import origin_names
from eirt.fit import fit as fit_model
from eirt.identification import identify
from eirt.likelihood import Likelihood, Prior
from eirt.model import Model, parameter_names, part_sizes
from eirt.parts import Part
from eirt.results import Fit
from eirt.tables import of_items
from eirt.terms import Term


def on_design(fit: Fit, design: Design, name: str, start: np.ndarray | None = None) -> Fit:
    """Refit the model to other persons, items or responses, on the grid that was used in the end.

    Restrictions and priors stay; categories that an item now lacks have no parameter.

    Args:
        fit: the fit.
        design: a design made from its own; see `eirt.samples`.
        name: what to call the fit.
        start: full starting vector.
    """
    model = model_on(fit, design)
    known = identify(design, model.response, model.aux_by_item)
    return fit_model(
        model,
        design,
        grid_of(fit),
        name=name,
        anchors=known | anchors_of(fit, parameter_names(model, design)),
        priors=priors_of(fit),
        start=start,
        progress=False,
        check=False,
    )


def model_on(fit: Fit, design: Design) -> Model:
    """Return the model of a fit with the sizes of another design."""
    return dataclasses.replace(
        fit.model,
        n_fixed=len(design.x_names),
        n_items=max(len(design.items), 1),
        parts=part_sizes(design),
        ability_places=design.ability_places,
    )


def converged_on(fit: Fit, design: Design, start: np.ndarray | None = None) -> Fit | None:
    """Return the refit to another design, None where it does not converge; see `on_design`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        there = on_design(fit, design, fit.name, start)
    return there if there.converged else None


def grid_of(fit: Fit) -> Likelihood:
    """Return the likelihood with the nodes that were used in the end."""
    return getattr(fit.objective.unpenalised, "choice", fit.likelihood)


def priors_of(fit: Fit) -> dict[str, Prior]:
    """Return the priors of a fit by parameter name."""
    source = np.asarray(fit.restriction.source)
    return {
        fit.names[int(np.argmax(source == place))]: prior
        for prior, places in fit.objective.priors
        for place in places
    }


@double_precision
def without_features(fit: Fit) -> Fit:
    """Refit without features of items: the null model, with the same random terms.

    Covariates of persons, and their interactions with features, stay.

    Args:
        fit: the fit.

    Returns:
        The fit of the null model.

    >>> import eirt
    >>> fit = eirt.lltm(eirt.load("verbagg"), "~ btype + situ + mode", response="r2")
    >>> without_features(fit).fixed["term"].tolist()
    ['(Intercept)']
    """
    names = ("(Intercept)",) if fit.model.response.has_intercept else ()
    design = _with_easiness(fit.design, np.ones((len(fit.design.x), len(names))), names)
    parts = [_constant(part) if part.target.parameter == STEEP else part for part in design.parts]
    design = dataclasses.replace(design, parts=tuple(parts))
    return _refit(fit, design, fit.model.effects, f"{fit.name}, no features", {})


@double_precision
def with_free_items(fit: Fit) -> Fit:
    """Refit with an easiness per item in place of features and residuals: the calibration.

    Discriminations that features or residuals explain become free as well, on the same link.
    Where the response has no intercept, its first threshold keeps its estimate and so the origin.
    Priors are left out.

    Args:
        fit: the fit.

    Returns:
        The fit with free items.

    Raises:
        DataError: if everybody answered an item alike, which leaves its easiness unbounded.

    >>> import eirt
    >>> va = eirt.load("verbagg")
    >>> free = with_free_items(eirt.lltm(va, "~ btype + situ + mode", response="r2"))
    >>> round(free.loglik - eirt.rasch(va, response="r2").loglik, 6)
    0.0
    """
    _refuse_extremes(fit.design)
    own, names = _indicators(fit.design)
    design = _with_easiness(fit.design, own, names)
    free = {target for term in design.terms if item_level(design, term) for target in term.targets}
    parts = [
        _by_item(part, design)
        if part.target.parameter == STEEP and (part.target in free or len(part.columns) > 1)
        else part
        for part in design.parts
    ]
    kept = [k for k, term in enumerate(design.terms) if not item_level(design, term)]
    terms = tuple(design.terms[k] for k in kept)
    design = dataclasses.replace(design, parts=tuple(parts), terms=terms)
    origins = origin_names(fit.model.response, design, fit.model.aux_by_item)
    origin = {name: _parameter(fit, name) for name in origins}
    effects = tuple(fit.model.effects[k] for k in kept)
    return _refit(fit, design, effects, f"{fit.name}, calibrated", origin)


def item_level(design: Design, term: Term) -> bool:
    """Return whether a term holds effects of items, or of groups of items, on their parameters."""
    about = any(target.parameter in ("easiness", STEEP) for target in term.targets)
    return not term.local and about and bool(of_items(design, term).any())


def _refuse_extremes(design: Design) -> None:
    """Refuse items without two different responses."""
    item = design.obs_item
    own = design.y[np.unique(item, return_index=True)[1]]
    differs = np.bincount(item, design.y != own[item], minlength=len(own))
    alike = design.items[differs == 0]
    if len(alike):
        raise DataError(
            f"{listing(alike)}: everybody answered alike, which leaves no finite difficulty to "
            "compare with; leave such items out."
        )


def _with_easiness(design: Design, x: np.ndarray, names: tuple[str, ...]) -> Design:
    """Return the design with other columns of items; columns of persons stay."""
    others = [j for j, role in enumerate(design.roles) if role != "item"]
    persons = [len(names) + others.index(j) for j in design.person_columns]
    return dataclasses.replace(
        design,
        x=np.concatenate([x, design.x[:, others]], axis=1),
        x_names=(*names, *(design.x_names[j] for j in others)),
        person_columns=np.array(persons, int),
    )


def _indicators(design: Design) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return a column per item, and their names."""
    names = tuple(f"{design.item}[{item}]" for item in design.items)
    return np.eye(len(names))[design.cell_item], names


def _constant(part: Part) -> Part:
    """Return what explains discrimination, without features."""
    own = np.any(part.x != 0, axis=1)[:, None].astype(float)
    name = f"{STEEP}|{part.target.place + 1}"
    return dataclasses.replace(part, x=own, names=(name,), columns=("(Intercept)",))


def _by_item(part: Part, design: Design) -> Part:
    """Return what explains discrimination, with a value per item that has one."""
    own, columns = _indicators(design)
    own = own * np.any(part.x != 0, axis=1)[:, None]
    kept = np.flatnonzero(own.any(axis=0))
    columns = tuple(columns[j] for j in kept)
    names = tuple(f"{STEEP}|{part.target.place + 1}[{column}]" for column in columns)
    return dataclasses.replace(part, x=own[:, kept], names=names, columns=columns)


def _parameter(fit: Fit, name: str) -> float:
    return float(fit.full[fit.names.index(name)])


def _refit(
    fit: Fit,
    design: Design,
    effects: tuple[Effect, ...],
    name: str,
    anchors: Mapping[str, float],
) -> Fit:
    """Fit the changed design, parameters of the same name fixed and tied as before."""
    model = dataclasses.replace(
        fit.model,
        effects=effects,
        n_fixed=len(design.x_names),
        parts=part_sizes(design),
        ability_places=design.ability_places,
    )
    kept = fit.likelihood.conditional or any(not effect.local for effect in effects)
    return fit_model(
        model,
        design,
        fit.likelihood if kept else None,
        name=name,
        anchors=anchors_of(fit, parameter_names(model, design)) | dict(anchors),
        check=False,
    )


def free_names(fit: Fit, asked: str | Sequence[str] | None = None) -> list[str]:
    """Return the names of free parameters, all (the first of each tied set) or those asked for.

    Raises:
        ValueError: if a name is no parameter, or one that is fixed.
    """
    source, first = np.unique(np.asarray(fit.restriction.source), return_index=True)
    if asked is None:
        return [fit.names[place] for place in np.sort(first[source >= 0])]
    names = [asked] if isinstance(asked, str) else list(asked)
    for name in names:
        if name not in fit.names:
            raise ValueError(f"There is no parameter {name!r}.{nearest(name, fit.names)}")
        if np.asarray(fit.restriction.source)[fit.names.index(name)] < 0:
            raise ValueError(f"{name!r} is fixed: it has no interval.")
    return names


def anchors_of(fit: Fit, names: tuple[str, ...]) -> dict[str, float | str]:
    """Return the restrictions of the fit among these parameters."""
    source = np.asarray(fit.restriction.source)
    anchors: dict[str, float | str] = {}
    for place, (name, of) in enumerate(zip(fit.names, source, strict=True)):
        leader = fit.names[int(np.argmax(source == of))]
        if name not in names:
            continue
        if of < 0:
            anchors[name] = float(fit.full[place])
        elif leader != name and leader in names:
            anchors[name] = leader
    return anchors
