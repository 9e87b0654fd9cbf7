"""Many items with parameters of their own: the same fits as with matrices of all parameters."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

import eirt
from eirt import _positive, information, matrices
from eirt.likelihood import itemwise

EASY = {"easiness": eirt.Normal(0, 2)}
PRIORS = EASY | {"discrimination": eirt.LogNormal(0, 0.5)}


def answers(n_persons: int, n_items: int, share: float, categories: int = 2) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    person, item = np.indices((n_persons, n_items)).reshape(2, -1)
    kept = rng.random(len(person)) < share
    person, item = person[kept], item[kept]
    slope, location = rng.lognormal(0, 0.3, n_items), rng.normal(size=n_items)
    eta = slope[item] * (rng.normal(size=n_persons)[person] - location[item])
    steps = np.linspace(0.0, 1.2, categories - 1)
    y = (eta + rng.logistic(size=len(eta)) > steps[:, None]).sum(axis=0)
    # in another order than that in which they occur
    names = pd.Categorical.from_codes(item, [f"q{k:03d}" for k in rng.permutation(n_items)])
    return pd.DataFrame({"id": person, "item": names, "resp": y})


CASES = {
    "2PL": (eirt.two_pl, answers(40, 100, 0.6), {"priors": PRIORS}),
    "Rasch": (eirt.rasch, answers(30, 180, 0.5), {"priors": EASY}),
    "1PL": (eirt.one_pl, answers(30, 180, 0.5), {"priors": EASY}),
    "graded": (
        eirt.two_pl,
        answers(30, 90, 0.8, categories=3),
        {"priors": PRIORS, "family": eirt.Cumulative(), "by_item": True, "unused": "close"},
    ),
    # more persons than parameters
    "bank": (eirt.two_pl, answers(400, 60, 0.3), {"priors": PRIORS}),
    "bank, one slope": (eirt.one_pl, answers(400, 60, 0.3), {"priors": EASY}),
}


@pytest.fixture(params=CASES, scope="module")
def both(request):
    """A fit item by item, and one with matrices."""
    door, data, options = CASES[request.param]
    with pytest.MonkeyPatch.context() as patch:
        together = door(data, extreme="keep", **options)
        for constant, value in {"TOGETHER": 10, "SPARED": 0, "LONG": 0}.items():
            patch.setattr(itemwise, constant, value)
        for module in (_positive, information):
            patch.setattr(module, "LARGE", 50)
        patch.setattr(matrices, "MANY", 20)
        apart = door(data, extreme="keep", **options)
        yield apart, together


def test_the_maximum_is_the_same(both):
    apart, together = both
    assert apart.objective.unpenalised.itemwise and not together.objective.unpenalised.itemwise
    many = len(apart.design.persons) == 400
    assert apart.objective.unpenalised.itemwise.together == many
    assert apart.names == together.names
    np.testing.assert_allclose(apart.psi, together.psi, atol=1e-6)
    assert apart.loglik == pytest.approx(together.loglik, abs=1e-5)
    assert apart.converged and apart.quadrature_error == pytest.approx(
        together.quadrature_error, abs=1e-8
    )


def test_standard_errors_are_the_same(both):
    apart, together = both
    found, expected = apart.certificate.smallest_eigenvalue, together.certificate
    assert found == pytest.approx(expected.smallest_eigenvalue, rel=2e-3)
    for table in ("fixed", "random", "items", "response_parameters"):
        # p-values far out change more than what they are of
        found, expected = (getattr(fit, table).drop(columns="p", errors="ignore") for fit in both)
        pd.testing.assert_frame_equal(found, expected, rtol=3e-4, atol=3e-4)
    found, expected = (fit.difficulty().drop(columns="p") for fit in both)
    pd.testing.assert_frame_equal(found, expected, rtol=3e-4, atol=3e-4)
    some = np.array([[0, 1, 2]])
    np.testing.assert_allclose(
        apart.covariance_of(some), together.covariance_of(some), rtol=3e-4, atol=1e-7
    )


def test_what_follows_from_it_is_the_same(both):
    apart, together = both
    for method in ("EAP", "WLE"):
        pd.testing.assert_frame_equal(apart.persons(method), together.persons(method), atol=1e-6)
    np.testing.assert_allclose(apart.predict(), together.predict(), atol=1e-6)
    own = apart.information_function([-1.0, 1.0])
    pd.testing.assert_frame_equal(own, together.information_function([-1.0, 1.0]), atol=1e-6)
    assert str(apart).splitlines()[0] == str(together).splitlines()[0]


def test_scores_of_persons_are_those_of_tables(both):
    apart, together = both
    if apart.objective.unpenalised.itemwise.together:
        found, expected = (fit.covariance("sandwich") for fit in both)
        sd = np.sqrt(np.diag(expected))
        np.testing.assert_allclose(found / np.outer(sd, sd), expected / np.outer(sd, sd), atol=1e-3)


def test_it_is_saved_and_read(both, tmp_path):
    apart, _ = both
    apart.save(tmp_path / "fit.eirt")
    again = eirt.load_fit(tmp_path / "fit.eirt")
    pd.testing.assert_frame_equal(again.items, apart.items)


def test_gradients_are_those_of_differences(both):
    apart, _ = both
    rng, step = np.random.default_rng(0), 1e-5
    along = rng.normal(size=len(apart.psi))
    there = apart.psi + 0.02 * along
    value = eirt._config.double_precision(apart.objective.value_and_grad)
    up, down = value(there + step * along)[0], value(there - step * along)[0]
    assert value(there)[1] @ along == pytest.approx((up - down) / (2 * step), rel=1e-6)


def test_what_a_table_of_parameters_would_take_is_said(both, monkeypatch):
    apart, _ = both
    if apart.objective.unpenalised.itemwise.together:
        pytest.skip("there is one")
    monkeypatch.setattr("eirt.information.MOST_TOGETHER", 10)
    for name in ("vcov", "free_covariance"):
        apart.__dict__.pop(name, None)
        with pytest.raises(eirt.DataError, match=r"too many for a table.*fit\.items"):
            getattr(apart, name)
    with pytest.raises(ValueError, match=r"persons cannot tell the covariance of \d+ parameters"):
        apart.covariance("sandwich")
    with pytest.raises(eirt.DataError, match="standard errors on the scale of the model alone"):
        apart.difficulty("items")


def test_levels_are_in_formulaics_order(monkeypatch):
    frame = pd.DataFrame({"item": ["b", "a", "c", "a"], "the item": pd.Categorical(list("yxyy"))})
    first = np.array([0, 1, 2])
    for text in ("0 + item", "0 + `the item`"):
        monkeypatch.setattr(matrices, "MANY", 100)
        x, names, _ = matrices.design_matrix(text, frame, first)
        monkeypatch.setattr(matrices, "MANY", 1)
        found, own, spec = matrices.design_matrix(text, frame, first)
        assert own == names and len(found) == len(x)
        np.testing.assert_array_equal(np.asarray(found), x)
        np.testing.assert_array_equal(matrices.model_columns(spec, frame, names)[first], x)
    with pytest.raises(eirt.FormulaError, match="'d' is a level of item"):
        new = pd.DataFrame({"item": ["d"]})
        spec = matrices.design_matrix("0 + item", frame, first)[2]
        matrices.model_columns(spec, new, ("item[a]",))


def test_recovery():
    """Intervals of a sparse test cover, and persons' abilities are found."""
    rng = np.random.default_rng(5)
    n_persons, n_items, each = 250, 2500, 400
    item = np.concatenate([rng.permutation(n_items)[:each] for _ in range(n_persons)])
    person = np.repeat(np.arange(n_persons), each)
    easiness, theta = rng.normal(size=n_items), rng.normal(size=n_persons)
    y = rng.random(len(item)) < expit(theta[person] + easiness[item])
    names = pd.Categorical.from_codes(item, [str(k) for k in range(n_items)])
    data = pd.DataFrame({"id": person, "item": names, "resp": y * 1})
    fit = eirt.two_pl(data, priors={"discrimination": eirt.LogNormal(0, 0.3)}, extreme="drop")
    assert fit.converged and fit.objective.unpenalised.itemwise
    table = fit.items
    gap = table["easiness"].to_numpy() - easiness[table["item"].astype(int)]
    assert 0.93 < np.mean(np.abs(gap / table["se"]) < 1.96) < 0.975
    assert np.corrcoef(fit.persons()["ability"], theta)[0, 1] > 0.97
