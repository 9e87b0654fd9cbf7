"""Tables of items, also where items outnumber persons and are integrated first."""

import numpy as np
import pandas as pd
import pytest

import eirt

FORMULA = "resp ~ x + w + (1 | person) + (1 | item)"


def few_persons(n_persons=40, n_items=90, seed=3):
    rng = np.random.default_rng(seed)
    person, item = np.divmod(rng.permutation(n_persons * n_items)[:2700], n_items)
    x, w = rng.normal(size=n_items), rng.normal(size=n_persons)
    easiness = 0.3 + 0.5 * x + 0.7 * rng.normal(size=n_items)
    ability = 0.4 * w + rng.normal(size=n_persons)
    p = 1 / (1 + np.exp(-ability[person] - easiness[item]))
    return pd.DataFrame(
        {
            "person": person,
            "item": [f"i{k:02d}" for k in item],
            "x": x[item],
            "w": w[person],
            "resp": (rng.random(len(item)) < p).astype(int),
        }
    )


@pytest.fixture(scope="module")
def both():
    """Return the fit that integrates items first, and the one that does persons."""
    data = few_persons()
    return eirt.eirm(data, FORMULA), eirt.eirm(data, FORMULA, person="person")


def test_items_are_integrated_first(both):
    one, other = both
    assert one.design.items_first
    assert not other.design.items_first
    assert len(one.design.x) == 40
    assert dict(zip(one.design.x_names, one.design.roles, strict=True)) == {
        "(Intercept)": "item",
        "x": "item",
        "w": "person",
    }
    # what Laplace's method misses differs: it integrates the persons in one, the items in the other
    true, other_true = (fit.loglik + fit.check()["laplace"] for fit in both)
    assert true == pytest.approx(other_true, abs=0.05)


def test_tables_of_items_agree(both):
    one, other = (fit.items.set_index("item").sort_index() for fit in both)
    assert list(one) == list(other) == ["n", "mean", "easiness", "se"]
    assert one["n"].equals(other["n"])
    np.testing.assert_allclose(one["mean"], other["mean"])
    np.testing.assert_allclose(one["easiness"], other["easiness"], atol=0.05)
    np.testing.assert_allclose(one["se"], other["se"], rtol=0.1)


def test_what_needs_persons_first_says_so(both):
    with pytest.raises(ValueError, match="person='...'"):
        both[0].difficulty()
    with pytest.raises(eirt.DataError, match="person='...'"):
        both[0].predict_items(pd.DataFrame({"x": [0.0]}))


def test_a_fit_without_items_says_so():
    fit = eirt.eirm(eirt.load("verbagg"), "r2 ~ btype + (1 | id)")
    with pytest.raises(ValueError, match="does not know the items"):
        _ = fit.items
