import sys

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

import eirt
from eirt.plots import Picture, plot


@pytest.fixture(scope="module")
def short():
    return eirt.two_pl(eirt.load("lsat7"), wide=True)


@pytest.fixture(scope="module")
def graded(va):
    return eirt.grm(va)


@pytest.fixture(scope="module")
def long():
    rng = np.random.default_rng(1)
    easiness, ability = rng.normal(0, 1, 200), rng.normal(0, 1, 300)
    right = rng.random((300, 200)) < 1 / (1 + np.exp(-(ability[:, None] + easiness)))
    names = [f"item{i:03d}" for i in range(200)]
    return eirt.rasch(pd.DataFrame(right.astype(int), columns=names), wide=True)


def item_labels(picture: Picture) -> list:
    """Return the boxes of the item labels, and of the axes that hold them, in pixels."""
    picture.figure.draw_without_rendering()
    renderer = picture.figure.canvas.get_renderer()
    axes = picture.figure.axes[1]
    texts = [text for text in axes.texts if text.get_gid() == "item"]
    return [text.get_window_extent(renderer) for text in texts], axes.get_window_extent(renderer)


def overlaps(boxes: list) -> int:
    return sum(
        a.x0 < b.x1 and b.x0 < a.x1 and a.y0 < b.y1 and b.y0 < a.y1
        for place, a in enumerate(boxes)
        for b in boxes[:place]
    )


# ---- the Wright map ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["rasch", "two_pl", "lltm", "short"])
def test_wright_draws_the_difficulties(name, request):
    fit = request.getfixturevalue(name)
    data = plot(fit, "wright").data
    expected = fit.difficulty()[["item", "difficulty", "se", "lower", "upper"]]
    pd.testing.assert_frame_equal(data, expected, check_flags=False)


def test_wright_counts_every_person_once(rasch):
    persons = plot(rasch, "wright").data.attrs["persons"]
    assert sum(persons["count"]) == 316
    ability = rasch.persons()["ability"]
    assert persons["lower"][0] == pytest.approx(ability.min())
    assert persons["upper"][-1] == pytest.approx(ability.max())


def test_persons_move_with_the_origin(rasch):
    at_ability = plot(rasch, "wright").data
    at_items = plot(rasch, "wright", identification="items").data
    assert at_items["difficulty"].mean() == pytest.approx(0)
    shift = at_items["difficulty"] - at_ability["difficulty"]
    edges = [data.attrs["persons"]["lower"][0] for data in (at_ability, at_items)]
    np.testing.assert_allclose(shift, edges[1] - edges[0])


@pytest.mark.parametrize(("name", "n_labels"), [("rasch", 24), ("lltm", 24), ("short", 5)])
def test_labels_do_not_overlap(name, n_labels, request):
    boxes, axes = item_labels(plot(request.getfixturevalue(name), "wright"))
    assert len(boxes) == n_labels
    assert overlaps(boxes) == 0
    assert all(axes.y0 <= box.y0 and box.y1 <= axes.y1 for box in boxes)


def test_labels_are_thinned_on_a_long_test(long):
    boxes, _ = item_labels(plot(long, "wright"))
    assert 20 < len(boxes) < 100
    assert overlaps(boxes) == 0


def test_far_difficulties_do_not_stretch_the_axis(two_pl):
    table = two_pl.difficulty()
    table.loc[0, ["difficulty", "lower", "upper"]] = [80.0, 10.0, 150.0]
    odd = type("Odd", (), {"difficulty": lambda self, identification: table})()
    odd.persons, odd.model, odd.has_slopes = two_pl.persons, two_pl.model, True
    odd.likelihood = two_pl.likelihood
    axes = plot(odd, "wright").figure.axes[1]
    assert axes.get_ylim()[1] < 10
    assert "(1 off the scale)" in axes.get_xlabel()


def test_colour_by_a_feature(rasch, va):
    picture = plot(rasch, "wright", colour="btype")
    legend = picture.figure.axes[1].get_legend()
    assert legend.get_title().get_text() == "btype"
    assert [text.get_text() for text in legend.get_texts()] == ["curse", "scold", "shout"]
    expected = va.drop_duplicates("item").set_index("item")["btype"]
    found = picture.data.set_index("item")["btype"]
    assert found.astype(str).equals(expected.astype(str).reindex(found.index))


def test_colour_by_a_number_has_a_scale(va):
    length = va["item"].astype(str).map(hash).rank(method="dense")
    fit = eirt.rasch(va.assign(length=length), response="r2")
    figure = plot(fit, "wright", colour="length").figure
    assert len(figure.axes) == 3
    assert figure.axes[2].get_xlabel() == "length"


def test_wright_has_a_point_for_each_threshold(graded):
    picture = plot(graded, "wright")
    expected = graded.difficulty()
    assert len(picture.data) == 48
    assert list(picture.data["threshold"].cat.categories) == ["perhaps", "yes"]
    for column in ("item", "difficulty", "se", "lower", "upper"):
        assert (picture.data[column] == expected[column]).all()
    axes = picture.figure.axes[1]
    drawn = [y for points in axes.collections[1:] for y in points.get_offsets()[:, 1]]
    np.testing.assert_allclose(sorted(drawn), sorted(expected["difficulty"]))
    labels = {text.get_text() for text in axes.texts if text.get_gid() == "item"}
    assert labels == set(expected["item"] + "." + expected["threshold"])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["perhaps", "yes"]
    boxes, _ = item_labels(picture)
    assert len(boxes) == 48 and overlaps(boxes) == 0


def test_thresholds_by_a_feature_of_their_items(graded, va):
    data = plot(graded, "wright", colour="mode").data
    expected = va.drop_duplicates("item").set_index("item")["mode"]
    assert (data["mode"].astype(str) == expected.reindex(data["item"]).to_numpy()).all()


def test_a_missing_feature_is_drawn_apart(va):
    btype = va["btype"].astype(object).where(va["item"] != "S1DoShout")
    fit = eirt.rasch(va.assign(btype=btype), response="r2")
    legend = plot(fit, "wright", colour="btype").figure.axes[1].get_legend()
    assert [text.get_text() for text in legend.get_texts()][-1] == "missing"


def test_unknown_colours_are_refused(rasch, short, va):
    with pytest.raises(
        ValueError, match=r"No item feature 'btyp'; there are .*Did you mean 'btype'"
    ):
        plot(rasch, "wright", colour="btyp")
    with pytest.raises(ValueError, match="No item feature 'id'; there are none"):
        plot(short, "wright", colour="id")
    fit = eirt.rasch(va.assign(label=va["item"].astype(str)), response="r2")
    with pytest.raises(ValueError, match="'label' has 24 levels; colours tell 7 apart"):
        plot(fit, "wright", colour="label")


# ---- item characteristic curves --------------------------------------------------------------


@pytest.mark.parametrize("name", ["rasch", "two_pl", "lltm", "short"])
def test_half_succeed_where_ability_is_difficulty(name, request):
    fit = request.getfixturevalue(name)
    curves = plot(fit, "icc", points=False).data
    for row in fit.difficulty().itertuples():
        curve = curves[curves["item"] == row.item]
        assert np.all(np.diff(curve["probability"]) > 0) == (row.discrimination > 0)
        eta = np.log(curve["probability"] / (1 - curve["probability"]))
        assert np.interp(row.difficulty, curve["theta"], eta) == pytest.approx(0, abs=1e-8)


@pytest.mark.parametrize("name", ["rasch", "two_pl", "lltm"])
def test_bands_hold_the_curve(name, request):
    data = plot(request.getfixturevalue(name), "icc").data
    assert (data["lower"] < data["probability"]).all()
    assert (data["probability"] < data["upper"]).all()
    assert data[["lower", "upper"]].stack().between(0, 1).all()


def test_bands_are_the_delta_method(two_pl):
    found = two_pl.item_parameters
    data = plot(two_pl, "icc", items=["S2DoScold"]).data
    place = list(two_pl.design.items).index("S2DoScold")
    both = [place, place + 24]
    gradient = np.stack([np.ones(len(data)), data["theta"]], axis=1)
    covariance = found.covariance[np.ix_(both, both)]
    se = np.sqrt(np.einsum("ti,ij,tj->t", gradient, covariance, gradient))
    eta = gradient @ [found.easiness[place], found.slope[place]]
    np.testing.assert_allclose(data["upper"], 1 / (1 + np.exp(-eta - norm.ppf(0.975) * se)))


def test_points_are_proportions(rasch, va):
    points = pd.DataFrame(plot(rasch, "icc").data.attrs["points"])
    assert list(points.columns) == ["item", "theta", "proportion", "n"]
    totals = points.assign(right=points["proportion"] * points["n"]).groupby("item").sum()
    assert (totals["n"] == 316).all()
    right = (va["r2"] == "Y").groupby(va["item"].astype(str)).sum()
    np.testing.assert_allclose(totals["right"], right[totals.index])
    assert 8 <= len(points) / 24 <= 10
    assert "points" not in plot(rasch, "icc", items=["S1DoCurse"], points=False).data.attrs


def test_data_of_pictures_can_be_joined(rasch, two_pl):
    frames = [plot(fit, "icc", items=["S1DoCurse"]).data for fit in (rasch, two_pl)]
    assert len(pd.concat(frames)) == sum(map(len, frames))
    assert repr(frames[0])


def test_panels_run_from_easy_to_hard_or_as_asked(rasch):
    figure = plot(rasch, "icc").figure
    order = rasch.difficulty().sort_values("difficulty", kind="stable")["item"]
    assert [axes.get_title() for axes in figure.axes] == list(order)
    figure = plot(rasch, "icc", items=["S4DoShout", "S1DoCurse"]).figure
    assert [axes.get_title() for axes in figure.axes] == ["S4DoShout", "S1DoCurse"]
    assert len(plot(rasch, "icc", items="S4DoShout").figure.axes) == 1


def test_long_tests_show_thirty_items_and_say_so(long):
    picture = plot(long, "icc")
    drawn = picture.data["item"].unique()
    assert len(drawn) == len(picture.figure.axes) == 30
    ranks = long.difficulty().set_index("item")["difficulty"].rank(method="first")[drawn]
    assert ranks.iloc[0] == 1 and ranks.iloc[-1] == 200
    assert np.diff(ranks).max() <= 8
    assert "30 of 200 items" in " ".join(text.get_text() for text in picture.figure.texts)


def test_the_footnote_warns_of_short_tests(rasch, short):
    def footnote(fit):
        return " ".join(text.get_text() for text in plot(fit, "icc").figure.texts)

    assert "Reliability" not in footnote(rasch)
    assert "Reliability 0.45" in footnote(short)


def test_axes_name_their_units(rasch, short):
    assert plot(rasch, "wright").figure.axes[0].get_ylabel().endswith("(logits)")
    assert plot(short, "wright").figure.axes[0].get_ylabel().endswith("(standard deviations)")
    assert plot(rasch, "icc").figure.get_supylabel() == "P(r2 = Y)"


def test_expected_scores_and_their_bands(graded, va):
    """The graded model's expected score is the sum of P(y >= c); bands by the delta method."""
    found, item = graded.item_parameters, "S3DoShout"
    data = plot(graded, "icc", items=[item]).data
    place = list(graded.design.items).index(item)
    eta = found.easiness[place] + found.slope[place] * data["theta"].to_numpy()
    reached = 1 / (1 + np.exp(found.thresholds[place] - eta[:, None]))
    score = reached.sum(axis=1)
    np.testing.assert_allclose(data["score"], score)
    steep = reached * (1 - reached)
    gradient = np.column_stack([steep.sum(1), steep.sum(1) * data["theta"], steep])  # of intercepts
    own = [place, place + 24, 48 + 2 * place, 49 + 2 * place]
    covariance = found.covariance[np.ix_(own, own)]
    se = np.sqrt(np.einsum("ti,ij,tj->t", gradient, covariance, gradient))
    half = norm.ppf(0.975) * se / (score * (1 - score / 2))  # on the logit of score / 2
    logit = np.log(data["upper"] / (2 - data["upper"]))
    np.testing.assert_allclose(logit, np.log(score / (2 - score)) + half)
    points = pd.DataFrame(data.attrs["points"])
    mean = (points["mean"] * points["n"]).sum() / points["n"].sum()
    assert mean == pytest.approx(va.loc[va["item"] == item, "resp"].cat.codes.mean())
    figure = plot(graded, "icc", items=[item]).figure
    assert figure.get_supylabel() == "Expected resp (no = 0 ... yes = 2)"


@pytest.mark.parametrize("door", ["nominal", "three_pl"])
def test_expected_scores_are_sums_over_categories(va, door):
    """Families whose curves have other parameters than thresholds, or none."""
    if door == "nominal":
        fit = eirt.nominal(va)
    else:
        priors = {"logit_guessing": eirt.Normal(-1.4, 0.5)}
        fit = eirt.three_pl(eirt.load("lsat7"), wide=True, priors=priors)
    curves, every = plot(fit, "icc").data, plot(fit, "categories").data
    code = every["category"].map({label: k for k, label in enumerate(fit.design.labels)})
    summed = (code * every["probability"]).groupby([every["item"], every["theta"]]).sum()
    own = curves.set_index(["item", "theta"])
    np.testing.assert_allclose(own.iloc[:, 0], summed[own.index])
    assert (own["lower"] < own.iloc[:, 0]).all()
    assert (own.iloc[:, 0] < own["upper"]).all()


# ---- curves of categories --------------------------------------------------------------------


@pytest.mark.parametrize("door", ["pcm", "rsm", "sequential", "nominal"])
def test_probabilities_of_categories_sum_to_one(va, door):
    data = plot(getattr(eirt, door)(va), "categories").data
    assert len(data) == 24 * 3 * 121
    assert list(data.columns) == ["item", "category", "theta", "probability"]
    total = data.groupby(["item", "theta"])["probability"].sum()
    np.testing.assert_allclose(total, 1.0)


def test_categories_of_the_graded_model(graded):
    """Brute force: P(y >= c) = 1 / (1 + exp(-a (theta - b_c)))."""
    data = plot(graded, "categories", items=["S1DoCurse", "S3DoShout"]).data
    table = graded.difficulty().set_index(["item", "threshold"])
    for item, rows in data.groupby("item"):
        curves = rows.pivot(index="theta", columns="category", values="probability")
        b = table.loc[item, "difficulty"][["perhaps", "yes"]].to_numpy()
        a = table.loc[item, "discrimination"].iloc[0]
        reached = 1 / (1 + np.exp(-a * (curves.index.to_numpy()[:, None] - b)))
        expected = -np.diff(np.column_stack([np.ones(121), reached, np.zeros(121)]), axis=1)
        np.testing.assert_allclose(curves[["no", "perhaps", "yes"]], expected, atol=1e-12)


def test_categories_of_the_nominal_model(va):
    fit = eirt.nominal(va)
    data = plot(fit, "categories", items="S1DoCurse").data
    known = fit.response_parameters.set_index("parameter")["estimate"].filter(like="S1DoCurse: ")
    row = fit.items.set_index("item").loc["S1DoCurse"]
    theta = data["theta"].unique()[:, None]
    eta = row["discrimination"] * theta + row["easiness"]
    terms = np.array([0, known.iloc[0], 2]) * eta + np.array([0, known.iloc[1], known.iloc[2]])
    expected = np.exp(terms) / np.exp(terms).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(data["probability"], expected.T.ravel())


def test_two_curves_of_binary_responses(rasch, short):
    data = plot(rasch, "categories").data
    yes = data.loc[data["category"] == "Y", "probability"].to_numpy()
    np.testing.assert_allclose(yes, plot(rasch, "icc").data["probability"])
    guessed = eirt.three_pl(eirt.load("lsat7"), guessing=0.2, wide=True)
    right = plot(guessed, "categories").data.query("category == 1")
    assert right["probability"].between(0.2, 1).all()


def test_categories_that_an_item_lacks_are_left_out():
    rng = np.random.default_rng(3)
    y = (rng.normal(size=(200, 1)) + rng.logistic(size=(200, 3)))[:, :, None] > [-1.0, 0.0, 1.0]
    frame = pd.DataFrame(y.sum(axis=2), columns=["a", "b", "c"])
    frame["c"] = frame["c"].clip(upper=1)
    fit = eirt.grm(frame, slopes="common", wide=True)
    data = plot(fit, "categories").data
    counts = data.groupby("item")["category"].nunique()
    assert counts.to_dict() == {"a": 4, "b": 4, "c": 2}
    assert plot(fit, "icc").data.groupby("item")["score"].max()["c"] < 1
    legend = plot(fit, "categories").figure.legends[0]
    assert [text.get_text() for text in legend.get_texts()] == ["0", "1", "2", "3"]


# ---- errors and files ------------------------------------------------------------------------


def test_errors_name_the_nearest(rasch):
    with pytest.raises(ValueError, match=r"No plot 'wrigth'.*Did you mean 'wright'"):
        plot(rasch, "wrigth")
    with pytest.raises(ValueError, match=r"No item 'S1DoCurs'.*Did you mean 'S1DoCurse'"):
        plot(rasch, "icc", items=["S1DoCurs"])


def test_fits_without_items_are_refused(va):
    fit = eirt.eirm(va, "r2 ~ btype + (1 | id)")
    for kind in ("wright", "icc", "categories"):
        with pytest.raises(ValueError, match="name their column: item="):
            plot(fit, kind)


def test_families_without_such_curves_are_refused(short):
    data = pd.DataFrame({"a": [3, 5, 2, 9], "b": [1, 2, 0, 4], "c": [4, 4, 3, 7]})
    counts = eirt.poisson_counts(data, wide=True)
    with pytest.raises(ValueError, match="need responses in categories; these are Poisson"):
        plot(counts, "icc")
    with pytest.raises(ValueError, match="need responses in categories; these are Poisson"):
        plot(counts, "categories")


@pytest.mark.parametrize("kind", ["wright", "icc", "categories"])
def test_saving_writes_a_png(short, kind, tmp_path):
    picture = short.plot(kind)
    picture.save(tmp_path / "picture.png", dpi=50)
    for written in ((tmp_path / "picture.png").read_bytes(), picture._repr_png_()):
        assert written.startswith(b"\x89PNG") and len(written) > 1000
    picture.save(tmp_path / "picture.svg")
    assert "<svg" in (tmp_path / "picture.svg").read_text()


def test_no_global_state(short):
    import matplotlib

    before = "matplotlib.pyplot" in sys.modules, matplotlib.rcParams["axes.spines.top"]
    short.plot("icc")
    after = "matplotlib.pyplot" in sys.modules, matplotlib.rcParams["axes.spines.top"]
    assert after == before
