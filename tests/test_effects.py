"""Slopes."""

import jax.numpy as jnp
import numpy as np
import pytest

from eirt._config import double_precision
from eirt.effects import SLOPES, Linear, LogLinear, Unit

DESIGNS = {
    "constant": np.ones((4, 1)),
    "by item": np.eye(4),
    "feature": np.column_stack([np.ones(4), [0.0, 1.0, 0.0, 1.0]]),
    "some items": np.eye(4)[:, :2],
}


@pytest.mark.parametrize("x", DESIGNS.values(), ids=DESIGNS)
@pytest.mark.parametrize("slope", [kind() for kind in SLOPES], ids=lambda s: type(s).__name__)
@double_precision
def test_slopes_start_at_one_wherever_something_explains_them(slope, x):
    predictor = jnp.asarray(x @ slope.start(x, np.ones(len(x))))
    found = np.array([slope.at(p) for p in predictor])
    explained = np.any(x != 0, axis=1) | (not isinstance(slope, Linear))
    np.testing.assert_allclose(found, explained.astype(float), atol=1e-12)


def test_every_slope_kind_is_listed():
    assert {Unit, Linear, LogLinear} == set(SLOPES)
    assert [kind().free for kind in SLOPES] == [False, True, True]
