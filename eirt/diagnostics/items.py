"""Which items the model does not describe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eirt._config import double_precision
from eirt.diagnostics.residuals import ALPHA, Ability, adjusted, mean_squares, residuals
from eirt.diagnostics.sum_score_fit import sum_score_fit
from eirt.errors import DataError
from eirt.results import Fit

if TYPE_CHECKING:
    import pandas as pd

BOUNDS = (0.7, 1.3)  # of infit, beyond which an item is read as misfitting without S-X2


@double_precision
def item_fit(fit: Fit, method: Ability | None = None) -> pd.DataFrame:
    """Return how well the model describes the responses to each item.

        outfit = mean of r^2 / V,   infit = sum of r^2 / sum of V,   r = y - E(y | theta^)
        S-X2 = sum over sum scores s and categories c of N_s (O_sc - E_sc)^2 / E_sc
        S-G2 = 2 sum over s and c of N_s O_sc log(O_sc / E_sc)

    Infit and outfit are about 1 where the model holds, above 1 where responses are noisier than it
    says and below where they are more regular. Abilities are estimated from the same responses,
    so that on short tests both, and their z, are below what they should be: S-X2 is the test. It
    needs one test that everybody answered and independent persons, and is empty otherwise.

    The likelihood-ratio statistic S-G2 compares the same cells, has the same degrees of freedom
    and goes to the same chi-square as persons increase. With cells of few persons it is larger
    than that (as is every G2), so that its p-values are somewhat too small: S-X2 is the one that
    is read. There is no G2 of persons grouped by estimated ability (Yen's Q1; McKinley & Mills,
    1985), whose chi-square does not hold: it rejects far too often in short tests.

    Args:
        fit: a fit to binary or ordered responses.
        method: ability estimate of infit and outfit: "WLE" (by default, of one ability), "EAP" (of
            several) or "MAP".

    Returns:
        Columns item, n, infit, infit_z, outfit, outfit_z, s_x2, df, rmsea, p, s_g2, p_g2,
        p_adjusted (of S-X2, for the false discovery rate) and reading: empty, or in words how the
        item misfits where S-X2 is significant at 5% after adjustment (without S-X2: where infit is
        beyond 0.7 or 1.3).
        `attrs["note"]` says why there is no S-X2.

    Raises:
        ValueError: for an unknown method.
        DataError: if responses are not binary or ordered, or items are not known.

    Source: Wright & Masters (1982); Orlando & Thissen (2000) for S-X2 and S-G2; Kang & Chen (2008);
    Benjamini & Hochberg (1995); Wright & Linacre (1994) for the bounds.

    >>> import eirt
    >>> table = eirt.rasch(eirt.load("lsat7"), wide=True).item_fit()
    >>> table[["item", "infit", "s_x2", "df", "p_adjusted"]].round(2).head(2)
      item  infit   s_x2   df  p_adjusted
    0   Q1   0.77   5.59  3.0        0.17
    1   Q2   0.80  12.19  3.0        0.03
    """
    import pandas as pd
    from scipy.special import chdtrc

    found, items = residuals(fit, method), fit.design.items
    n, squares = mean_squares(found, np.asarray(found.answers.item), len(items))
    columns = ("infit", "infit_z", "outfit", "outfit_z")
    table = pd.DataFrame(
        {"item": items, "n": n, **{name: getattr(squares, name) for name in columns}}
    )
    table[["s_x2", "df", "rmsea", "p", "s_g2", "p_g2"]] = np.nan
    try:
        statistic, table["s_g2"], df = sum_score_fit(fit, found.answers)
    except DataError as error:
        table.attrs["note"] = f"No S-X2, so that readings are of infit alone. {error}"
        wrong = ~table["infit"].between(*BOUNDS)
    else:
        usable = np.where(df > 0, df, np.nan)
        table["s_x2"], table["df"] = statistic, df
        table["rmsea"] = np.sqrt(np.maximum(statistic / usable - 1, 0.0) / (n - 1))
        table["p"], table["p_g2"] = chdtrc(usable, statistic), chdtrc(usable, table["s_g2"])
        wrong = adjusted(table["p"].to_numpy()) < ALPHA
    table["p_adjusted"] = adjusted(table["p"].to_numpy())
    direction = np.where(table["infit"] > 1, "noisier", "more regular")
    said = [f"does not follow its curve: {how} than the model says" for how in direction]
    table["reading"] = np.where(wrong, said, "")
    return table
