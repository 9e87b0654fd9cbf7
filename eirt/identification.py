"""Which extra parameters of a response are fixed, so that all others can be told apart."""

from __future__ import annotations

from eirt.design import Design
from eirt.extras import answers, aux_names, holds_level, origin_names
from eirt.responses import Response


def identify(design: Design, response: Response, by_item: bool) -> dict[str, float | str]:
    """Return anchors of extra parameters: of categories that an item lacks, and of the level.

    Where the columns of easiness can move all cells (or those of each item) alike, the first
    threshold is fixed at zero and easiness stands for it. Where they cannot, but items have
    thresholds of their own, the first is the same for all: what easiness says of items explains
    where they are.

    Args:
        design: the data.
        response: the family.
        by_item: whether each item has extra parameters of its own.
    """
    names = aux_names(response, design, by_item)
    anchors: dict[str, float | str] = {
        names[place * response.n_aux + k]: value
        for place, (y, given) in enumerate(answers(design, by_item, each=False))
        for k, value in response.absent(y, *given).items()
    }
    origins = origin_names(response, design, by_item)
    if not origins:
        return anchors
    if holds_level(design, by_item):
        return anchors | dict.fromkeys(origins, 0.0)
    return anchors | dict.fromkeys(origins[1:], origins[0])
