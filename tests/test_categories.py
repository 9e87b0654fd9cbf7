"""Graded, partial credit, rating scale, sequential and nominal models."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import eirt
from eirt._config import double_precision
from eirt._math import equispaced_grid
from eirt.responses import Adjacent, Cumulative, Nominal, Sequential

FEATURES = "resp ~ btype + situ + mode"
PEERS = {  # of mirt, 121 nodes
    "mirt_graded": ("grm", {}),
    "mirt_graded_1pl": ("grm", {"slopes": "common"}),
    "mirt_grsm": ("grm", {"thresholds": "common"}),
    "mirt_gpcm": ("gpcm", {}),
    "mirt_Rasch": ("pcm", {}),
    "mirt_rsm": ("rsm", {}),
    "mirt_nominal": ("nominal", {}),
}
ORDINAL = {  # of R's ordinal
    "clm": (FEATURES, {}),
    "clm_nominal_mode": (FEATURES, {"thresholds": "~ mode"}),
    "clm_nominal_all": (FEATURES, {"thresholds": "~ btype + situ + mode"}),
    "clmm2_nominal_mode_agq11": (
        f"{FEATURES} + (1 | id)",
        {"thresholds": "~ mode", "likelihood": eirt.AdaptiveQuadrature(11)},
    ),
}


@pytest.fixture(scope="module")
def polytomous(va):
    return {name: getattr(eirt, door)(va, **options) for name, (door, options) in PEERS.items()}


@pytest.mark.parametrize("name", PEERS)
def test_log_likelihood_of_mirt(polytomous, reference, name):
    fit, peer = polytomous[name], reference("verbagg_poly")[name]
    assert fit.converged
    assert fit.loglik == pytest.approx(peer["logLik"], abs=1e-4)
    assert fit.n_params == peer["df"]


@pytest.mark.parametrize("name", ORDINAL)
def test_log_likelihood_of_ordinal(va, reference, name):
    formula, options = ORDINAL[name]
    fit = eirt.eirm(va, formula, family=eirt.Cumulative(), **options)
    assert fit.converged
    assert fit.loglik == pytest.approx(reference("verbagg_ordinal")[name]["logLik"], abs=1e-3)


def test_thresholds_of_mirt(polytomous, reference):
    peer = reference("verbagg_poly")["mirt_graded"]
    table = polytomous["mirt_graded"].difficulty()
    for item, rows in table.groupby("item", sort=False):
        a, *b = peer["coef_IRTpars"][item]["values"][0]
        np.testing.assert_allclose(rows["difficulty"], b, atol=1e-3)
        np.testing.assert_allclose(rows["discrimination"], a, atol=1e-3)
        half = np.subtract(*peer["coef_IRTpars"][item]["values"][:0:-1])[1:] / 2
        np.testing.assert_allclose((rows["upper"] - rows["lower"]) / 2, half, rtol=0.01)
    assert table["threshold"].tolist()[:2] == ["perhaps", "yes"]


def test_items_of_mirt_for_partial_credit(polytomous, reference):
    """mirt's intercepts are sums of steps."""
    peer = reference("verbagg_poly")["mirt_gpcm"]["coef_se"]
    fit = polytomous["mirt_gpcm"]
    aux = fit.response_parameters.set_index("parameter")["estimate"]
    for _, row in fit.items.iterrows():
        columns = peer[row["item"]]["cols"]
        known = dict(zip(columns, peer[row["item"]]["values"][0], strict=True))
        second = 2 * row["easiness"] + aux[f"{row['item']}: intercept[2]"]
        assert row["discrimination"] == pytest.approx(known["a1"], abs=1e-3)
        assert row["easiness"] == pytest.approx(known["d1"], abs=1e-3)
        assert second == pytest.approx(known["d2"], abs=1e-3)


def small(seed=0, n=40):
    """Two items of three categories, one of two, one of four."""
    rng = np.random.default_rng(seed)
    theta = rng.normal(size=n)
    sizes = {"a": 3, "b": 3, "c": 2, "d": 4}
    y = {
        item: (theta[:, None] + rng.logistic(size=(n, 1)) > np.linspace(-1, 1, size - 1)).sum(1)
        for item, size in sizes.items()
    }
    frame = pd.DataFrame(y)
    assert all(frame[item].nunique() == size for item, size in sizes.items())
    return frame, sizes


FAMILIES = {
    "grm": Cumulative,
    "gpcm": Adjacent,
    "sequential": Sequential,
    "nominal": Nominal,
}


def smaller(response, raw, size):
    """Return the family of an item with so few categories, and its extra parameters."""
    family = type(response)(n_categories=size)
    if isinstance(response, Nominal):
        scores = response.n_categories - 2
        return family, jnp.asarray([*raw[: size - 2], *raw[scores : scores + size - 1]])
    return family, family.constrain(jnp.asarray(raw[: size - 1]))


@pytest.mark.parametrize("door", FAMILIES)
@double_precision
def test_items_with_different_numbers_of_categories(door):
    """The log-likelihood is that of each item with the family of its own size."""
    frame, sizes = small()
    priors = {"discrimination": eirt.LogNormal(0.0, 0.5)} if door != "sequential" else None
    fit = getattr(eirt, door)(frame, wide=True, likelihood=eirt.Quadrature(201), priors=priors)
    assert fit.converged
    grid = equispaced_grid(401, 1, 8.0)
    theta = jnp.asarray(grid.nodes[:, 0]) * fit.random["sd"][0]
    total = jnp.asarray(grid.log_weights)[None]
    extra = fit.full[-len(sizes) * fit.model.response.n_aux :].reshape(len(sizes), -1).tolist()
    items = fit.item_parameters
    for k, (item, size) in enumerate(sizes.items()):
        family, aux = smaller(fit.model.response, extra[k], size)
        eta = items.slope[k] * theta + items.easiness[k]
        table = jax.jit(jax.vmap(family.category_log_probs, (0, None)))(eta, aux)
        total = total + table.T[frame[item].to_numpy()]
    expected = float(jnp.sum(jnp.log(jnp.sum(jnp.exp(total), axis=1))))
    assert fit.loglik == pytest.approx(expected, abs=1e-5)
    if door != "nominal":
        counts = fit.difficulty().groupby("item").size()
        assert counts.to_dict() == {item: size - 1 for item, size in sizes.items()}


def test_gaps_between_categories_are_closed(va):
    codes = va["resp"].map({"no": 0, "perhaps": 1, "yes": 2}).astype(int)
    shifted = va.assign(resp=np.where(va["item"] == "S1DoScold", codes + 1, codes))
    fit = eirt.pcm(shifted, unused="close")
    assert fit.loglik == pytest.approx(-6319.7334, abs=1e-3)
    assert fit.design.dropped == {"unused categories of items, closed": 1}
    table = fit.difficulty().groupby("item")["threshold"].agg(list)
    assert table["S1DoScold"] == [2, 3]
    assert table["S1DoCurse"] == [1, 2]
    data = fit.plot("categories", items="S1DoScold").data
    assert list(data["category"].unique()) == [1, 2, 3]


def test_features_explain_where_items_are(va):
    """Thresholds of items, whose first is common: features then say where the first ones are."""
    fit = eirt.eirm(va, f"{FEATURES} + (1 | id)", item="item", family=eirt.Cumulative(),
                    by_item=True)  # fmt: skip
    assert fit.converged
    assert fit.n_params == 4 + 1 + 1 + 24
    common = eirt.eirm(va, f"{FEATURES} + (1 | id)", family=eirt.Cumulative())
    assert common.loglik < fit.loglik < eirt.grm(va, slopes="unit").loglik


def test_rating_scale_and_linear_features(va):
    """Features that span the items give the rating scale model; fewer, the linear one."""
    linear = eirt.eirm(va, f"{FEATURES} + (1 | id)", family=eirt.Adjacent())
    free = eirt.eirm(va, "resp ~ item + (1 | id)", family=eirt.Adjacent())
    assert free.loglik == pytest.approx(-6345.8404, abs=1e-3)
    assert linear.loglik < free.loglik
    assert linear.n_params == 7


def test_recovery_of_graded_items():
    rng = np.random.default_rng(1)
    n, k = 4000, 6
    a, b = rng.uniform(0.8, 2.0, k), np.sort(rng.normal(size=(k, 3)), axis=1)
    b += [-0.4, 0.0, 0.4]
    theta = rng.normal(size=(n, 1))
    u = rng.logistic(size=(n, k))
    y = (a[:, None] * (theta[:, :, None] - b) + u[:, :, None] > 0).sum(axis=2)
    table = eirt.grm(pd.DataFrame(y, columns=list("abcdef")), wide=True).difficulty()
    z = (table["difficulty"] - b.ravel()) / table["se"]
    assert np.abs(z).max() < 3.5
    za = (table["discrimination"] - np.repeat(a, 3)) / table["discrimination_se"]
    assert np.abs(za).max() < 3.5


def test_one_category_more_does_not_change_what_was_there():
    response = Cumulative("logit", 4)
    aux = response.constrain(jnp.asarray([0.5, 0.1, response.absent(np.array([0.0, 2.0]))[2]]))
    smaller = Cumulative("logit", 3)
    for c in range(3):
        assert float(response.log_prob(jnp.asarray(float(c)), jnp.asarray(0.3), aux)) == (
            pytest.approx(float(smaller.log_prob(jnp.asarray(float(c)), jnp.asarray(0.3), aux[:2])))
        )


def test_unknown_choices():
    frame, _ = small()
    for options in ({"slopes": "free"}, {"thresholds": "free"}):
        with pytest.raises(ValueError, match="there are"):
            eirt.grm(frame, wide=True, **options)


@pytest.mark.parametrize("family", [Cumulative(), Adjacent(), Sequential("cloglog")])
def test_without_features_probabilities_are_proportions(family):
    y = np.repeat([0, 1, 2], [10, 25, 15])
    data = pd.DataFrame({"resp": y, "id": np.arange(50)})
    fit = eirt.eirm(data, "resp ~ 1", family=family)
    expected = sum(n * np.log(n / 50) for n in (10, 25, 15))
    assert fit.loglik == pytest.approx(expected, abs=1e-9)


def test_multinomial_regression(va):
    """With one feature of two levels it is saturated: proportions in both."""
    counts = pd.crosstab(va["mode"], va["resp"]).to_numpy()
    fit = eirt.eirm(
        va,
        "resp ~ mode",
        family=eirt.Nominal(),
        thresholds="~ mode",
        anchors={"score[1]": 1.0},
    )
    shares = counts / counts.sum(axis=1, keepdims=True)
    assert fit.loglik == pytest.approx((counts * np.log(shares)).sum(), abs=1e-8)
    first, more = fit.fixed["estimate"]
    odds = np.log(counts[:, 1:] / counts[:, :1])
    np.testing.assert_allclose(odds[1] - odds[0], [first, 2 * first + more], atol=1e-6)
