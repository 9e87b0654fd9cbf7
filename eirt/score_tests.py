"""Score tests: would a term help that the fit does not have?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from eirt._config import double_precision
from eirt.cells import rows_of
from eirt.design import Design
from eirt.errors import DataError, FormulaError
from eirt.factors import constant_within, factor_codes
from eirt.formula import one_sided, require_variables, variables
from eirt.frames import require_columns, to_pandas
from eirt.identification import identify
from eirt.likelihood.prior import penalise
from eirt.matrices import dependent, model_matrix
from eirt.model import parameter_names
from eirt.observations import Listed
from eirt.refits import anchors_of, grid_of, model_on, priors_of
from eirt.restrictions import restrict
from eirt.results import Fit
from eirt.samples import at_cells
from eirt.terms import whole

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Float


@double_precision
def score_test(fit: Fit, *terms: str, data: Any) -> pd.DataFrame:
    """Test terms that are not in the fit, without fitting them (score or Lagrange multiplier test).

        chi2 = g' I^-1 g,   df = number of added coefficients

    g and I are the gradient and the observed information of the larger model's log-likelihood at
    the estimates of the fit, added coefficients being zero. For many persons it agrees with the
    likelihood-ratio test, at the cost of one step; the same step estimates coefficients, roughly.
    Features of random items are tested against a chi-square that is too bold where items are few,
    as z is: refit with the term and see `fit.feature_tests`.

    Args:
        fit: the fit.
        *terms: right-hand sides of what to add to easiness, each tested by itself: "mode",
            "btype:mode", "Gender * btype" (what the fit has already is left out).
        data: the rows that were fitted, in their order.

    Returns:
        A row per term: term, estimate (after one step, where one coefficient is added), chi2, df,
        p.

    Raises:
        FormulaError: if a term cannot be read, or adds nothing to the fit.
        DataError: if the data are not the rows of the fit.

    Source: Rao (1948); Glas & Verhelst (1995) for item response models.

    >>> import eirt
    >>> va = eirt.load("verbagg")
    >>> fit = eirt.lltm(va, "~ btype + situ", response="r2")
    >>> score_test(fit, "mode", "btype:situ", data=va)[["term", "chi2", "df"]].round(1)
             term   chi2  df
    0        mode  140.4   1
    1  btype:situ   13.8   2
    """
    import pandas as pd

    if not terms:
        raise ValueError("Name the terms to test, such as fit.score_test('mode', data=data).")
    frame = _rows_of_fit(fit, data)
    return pd.DataFrame([_tested(fit, term, frame) for term in terms])


def _rows_of_fit(fit: Fit, data: Any) -> pd.DataFrame:
    """Return the data, checked to be the rows of the fit.

    Raises:
        DataError: if they are others, or in another order.
    """
    import pandas as pd

    frame, design = to_pandas(data), fit.design
    group = design.person.split(":") if design.person else []
    require_columns(frame, [*group, design.response], "the rows that were fitted")
    same = len(frame) == design.n_obs
    if same and group:
        same = np.array_equal(factor_codes(frame, group)[0], design.obs_person)
    if same:
        codes = (pd.factorize(values)[0] for values in (frame[design.response], design.y))
        same = np.array_equal(*codes)
    if not same:
        raise DataError(
            f"The data are not the {design.n_obs} rows of {fit.name}, a row a response: give those "
            "that it was fitted to, in their order and without what it dropped."
        )
    return frame


def _tested(fit: Fit, term: str, frame: pd.DataFrame) -> dict[str, object]:
    """Return the test of one term."""
    from scipy.special import chdtrc

    design = with_columns(fit.design, *_added(fit, term, frame))
    model = model_on(fit, design)
    names = parameter_names(model, design)
    known = identify(design, model.response, model.aux_by_item) | anchors_of(fit, names)
    likelihood = grid_of(fit)
    restriction = restrict(names, likelihood.settle(model, design, known))
    objective = penalise(likelihood.bind(model, design, restriction), names, priors_of(fit))
    old = dict(zip(fit.names, fit.full, strict=True))
    psi = restriction.free(np.array([old.get(name, 0.0) for name in names]))
    at = objective.newton_terms(psi)
    step = np.linalg.solve(at.information, at.gradient)
    chi2, df = float(at.gradient @ step), len(design.x_names) - len(fit.design.x_names)
    new = restriction.full(step)[[name not in old for name in names]]
    estimate = float(new[0]) if df == 1 else np.nan
    p = float(chdtrc(df, max(chi2, 0.0)))
    return {"term": term, "estimate": estimate, "chi2": chi2, "df": df, "p": p}


def _added(
    fit: Fit, term: str, frame: pd.DataFrame
) -> tuple[Float[np.ndarray, "n k"], tuple[str, ...]]:
    """Return the columns that a term adds to those of the fit, and their names.

    Raises:
        FormulaError: if it adds none, or holds random terms.
    """
    asked = one_sided(term if term.lstrip().startswith("~") else f"~ {term}", "the term")
    if asked.random:
        raise FormulaError(
            f"{term!r} has a random term, whose variance lies at the bound of its range; refit "
            "with it and see eirt.compare."
        )
    require_variables(frame, variables(asked.fixed))
    x, names, _ = model_matrix(f"1 + {asked.fixed}", frame, np.arange(len(frame)))
    old = fit.design.x_of(np.arange(len(frame)))
    constant = np.ones((len(frame), 1))  # of thresholds, or of ability given scores
    if not dependent(np.column_stack([old, constant])):
        old = np.column_stack([old, constant])
    twice = {j - old.shape[1] for j in dependent(np.column_stack([old, x]))}
    kept = [j for j in range(x.shape[1]) if j not in twice and names[j] not in fit.design.x_names]
    if not kept:
        raise FormulaError(f"{term!r} adds nothing to {fit.name}: its columns are there already.")
    return x[:, kept], tuple(names[j] for j in kept)


def with_columns(
    design: Design, columns: Float[np.ndarray, "n k"], names: tuple[str, ...]
) -> Design:
    """Return the design with more columns of easiness, given at each observation.

    Cells in which a column varies are split; what describes persons moves their ability.
    """
    by_person = np.array([constant_within(column, design.obs_person) for column in columns.T])
    if not whole([term for term in design.terms if term.local]):
        by_person[:] = False
    own = np.where(by_person, 0.0, columns)
    key = np.column_stack([design.obs_cell, own])
    distinct, cell = np.unique(key, axis=0, return_inverse=True)
    old = distinct[:, 0].astype(int)
    first = np.unique(design.obs_person, return_index=True)[1]
    row_cell, row_y, obs_row = rows_of(cell.ravel(), design.y)
    here = at_cells(design, old)
    return replace(
        here,
        x=np.column_stack([here.x, distinct[:, 1:]]),
        x_names=(*design.x_names, *names),
        person_x=np.column_stack([design.person_x, columns[first][:, by_person]]),
        person_columns=np.append(
            design.person_columns, len(design.x_names) + np.flatnonzero(by_person)
        ).astype(int),
        row_cell=row_cell,
        row_y=row_y,
        observations=Listed(len(design.persons), len(row_y), design.obs_person, obs_row),
    )
