"""Pictures of effects, information, fit of persons and pairs, and of what features predict."""

import numpy as np
import pandas as pd
import pytest

import eirt
from eirt.plots import KINDS, Picture

NEW = ["information", "effects", "caterpillar", "features", "persons", "q3", "predictive"]


@pytest.fixture(scope="module")
def short():
    return eirt.rasch(eirt.load("lsat7"), wide=True)


@pytest.fixture(scope="module")
def long():
    """Return a fit of 200 items with one feature and residuals."""
    rng = np.random.default_rng(1)
    load, ability = rng.normal(0, 1, 200), rng.normal(0, 1, 120)
    eta = ability[:, None] + 0.8 * load + rng.normal(0, 0.5, 200)
    right = (rng.random(eta.shape) < 1 / (1 + np.exp(-eta))).astype(int)
    person, item = np.indices(eta.shape).reshape(2, -1)
    data = pd.DataFrame({"person": person, "y": right.ravel(), "load": load[item]})
    data["item"] = [f"item{each:03d}" for each in item]
    return eirt.lltm(data, "~ load + (1 | item)", person="person", response="y", check=False)


def names(picture: Picture, place: int = 0) -> list:
    """Return the boxes of the names beside points, in pixels."""
    picture.figure.draw_without_rendering()
    renderer = picture.figure.canvas.get_renderer()
    texts = [text for text in picture.figure.axes[place].texts if text.get_gid() == "name"]
    return [text.get_window_extent(renderer) for text in texts]


@pytest.mark.parametrize("kind", NEW)
@pytest.mark.parametrize("name", ["lltm", "long"])
def test_every_kind_is_drawn(kind, name, request, tmp_path):
    picture = request.getfixturevalue(name).plot(kind)
    assert len(picture.data)
    picture.save(tmp_path / "picture.png", dpi=40)
    assert (tmp_path / "picture.png").stat().st_size > 1000


def test_the_kinds_are_those_of_the_hint():
    from typing import get_args

    from eirt.plots import Kind

    assert list(get_args(Kind)) == list(KINDS)


def test_effects_are_those_of_the_table(lltm):
    picture = lltm.plot("effects")
    expected = lltm.fixed.iloc[1:].reset_index(drop=True)
    pd.testing.assert_frame_equal(picture.data, expected)
    labels = [text.get_text() for text in picture.figure.axes[0].get_yticklabels()]
    assert labels == list(expected["term"])
    assert picture.figure.axes[0].child_axes[0].get_xlabel() == "Odds ratio"


def test_many_effects_leave_room_between_odds():
    rng = np.random.default_rng(0)
    easiness = np.linspace(-4, 4, 45)
    table = rng.random((200, 45)) < 1 / (1 + np.exp(-easiness - rng.normal(size=(200, 1))))
    fit = eirt.rasch(pd.DataFrame(table.astype(int)).add_prefix("q"), wide=True)
    panels = fit.plot("effects").figure.axes
    assert len(panels) == 2
    for axes in panels:
        labels = [text.get_text() for text in axes.child_axes[0].get_xticklabels()]
        assert set(labels) <= {"0.001", "0.01", "0.1", "1", "10", "100", "1000"}


def test_only_logits_are_odds(fits):
    assert not fits("lltm_probit").plot("effects").figure.axes[0].child_axes


def test_a_model_of_intercepts_has_no_effects(fits):
    with pytest.raises(eirt.DataError, match=r"no effects besides intercepts; see fit\.fixed"):
        fits("nested_null").plot("effects")


def test_the_caterpillar_is_sorted_and_whole(lltm):
    data = lltm.plot("caterpillar").data
    table = lltm.effects("item").set_index("level")
    assert data["estimate"].is_monotonic_decreasing
    np.testing.assert_allclose(data["estimate"], table["estimate"].loc[data["level"]])
    np.testing.assert_allclose(data["upper"] - data["estimate"], 1.959964 * data["sd"], rtol=1e-6)
    many = lltm.plot("caterpillar", group="id")
    assert len(many.data) == 316
    assert not many.figure.axes[0].get_yticklabels()


def test_a_caterpillar_of_one_term(fits):
    fit = fits("rasch_2d")
    data = fit.plot("caterpillar", group="id", term="mode[do]").data
    assert set(data["term"]) == {"mode[do]"}
    with pytest.raises(ValueError, match="No effect 'mode' of id; there are"):
        fit.plot("caterpillar", group="id", term="mode")
    with pytest.raises(ValueError, match="no random effects for 'school'"):
        fit.plot("caterpillar", group="school")


def test_information_is_that_of_the_function(rasch, fits):
    picture = rasch.plot("information", items=True)
    pd.testing.assert_frame_equal(
        picture.data, rasch.information_function(), check_flags=False, check_like=True
    )
    items = pd.DataFrame(picture.data.attrs["items"])
    total = items.groupby("theta")["information"].sum()
    np.testing.assert_allclose(total, picture.data["information"])
    assert len(picture.figure.axes[1].get_legend().get_texts()) <= 7
    with pytest.raises(eirt.DataError, match="one ability"):
        fits("rasch_2d").plot("information")


def test_few_items_are_all_named(short):
    legend = short.plot("information", items=True).figure.axes[1].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["Q1", "Q2", "Q3", "Q4", "Q5"]


def test_flagged_persons_are_marked(rasch):
    picture = rasch.plot("persons")
    table = rasch.person_fit()
    pd.testing.assert_frame_equal(picture.data.drop(columns="ability"), table)
    flagged = int((table["reading"] != "").sum())
    usual, marked = picture.figure.axes[0].collections
    assert (len(usual.get_offsets()), len(marked.get_offsets())) == (316 - flagged, flagged)
    assert f"{flagged} of 316" in picture.figure.axes[0].get_title()


@pytest.mark.parametrize("statistic", ["lz_star", "lz", "outfit", "infit"])
def test_names_of_persons_stand_apart(rasch, statistic):
    boxes = names(rasch.plot("persons", statistic=statistic))
    assert boxes
    assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[:k])


def test_persons_are_refused_where_there_is_no_picture(rasch, fits):
    with pytest.raises(ValueError, match=r"No statistic 'outfitt'.*outfit"):
        rasch.plot("persons", statistic="outfitt")
    with pytest.raises(eirt.DataError, match=r"one ability.*fit\.person_fit"):
        fits("rasch_2d").plot("persons")


def test_the_heat_map_holds_every_pair(rasch, short):
    picture = rasch.plot("q3")
    pd.testing.assert_frame_equal(picture.data, rasch.q3())
    axes = picture.figure.axes[0]
    table = axes.images[0].get_array()
    assert table.count() == 24 * 23 / 2
    top = picture.data.iloc[0]
    order = list(rasch.design.items)
    place = order.index(top["item_2"]), order.index(top["item_1"])
    assert table[place] == pytest.approx(top["q3_adjusted"])
    assert len(axes.collections[0].get_offsets()) == (picture.data["reading"] != "").sum()
    assert len(short.plot("q3").figure.axes[0].texts) == 10


def test_the_heat_map_names_some_of_many_items(long):
    axes = long.plot("q3").figure.axes[0]
    assert len(axes.get_yticklabels()) == 50


def test_features_leave_the_random_effects(lltm):
    data = lltm.plot("features").data.set_index("item")
    effects = lltm.effects("item").set_index("level")["estimate"]
    np.testing.assert_allclose(data["residual"], effects.loc[data.index], atol=1e-8)


def test_features_against_free_items(fits, rasch):
    lltm = fits("lltm")
    data = lltm.plot("features", free=rasch).data
    np.testing.assert_allclose(data["easiness"], rasch.items["easiness"])
    x = lltm.design.x[np.argsort(lltm.design.cell_item)]
    np.testing.assert_allclose(data["predicted"], x @ lltm.fixed["estimate"])


def test_features_need_something_to_be_compared_with(fits, rasch, short):
    with pytest.raises(eirt.DataError, match=r"no residuals of items: add.*free=eirt\.rasch"):
        fits("lltm").plot("features")
    with pytest.raises(eirt.DataError, match="has no item 'S1WantCurse'"):
        fits("lltm").plot("features", free=short)
    with pytest.raises(eirt.DataError, match="gives every item its own easiness"):
        rasch.plot("features")
