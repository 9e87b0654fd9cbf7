"""Fits that several tests read are made once a run; golden numbers come from tests/reference."""

import functools
import json
import os
import pathlib

import jax
import pytest

import eirt
from eirt._compiled import QUICKLY, READY

# Most of what tests compile runs once, on few data: it is not optimised. Processes that tests start
# compile what they fit as users' do.
os.environ.setdefault(
    "XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false --xla_backend_optimization_level=0"
)
FOR_USERS = dict(QUICKLY)
QUICKLY.clear()

REFERENCE = pathlib.Path(__file__).parent / "reference"
COLUMNS = {"person": "id", "item": "item", "response": "r2"}
FEATURES = "btype + situ + mode"


def _va():
    return eirt.load("verbagg")


def _modes(va):
    """Return the items of wanting and of doing."""
    return {mode: list(va["item"][va["mode"] == mode].unique()) for mode in ("want", "do")}


RECIPES = {
    "rasch": lambda va: eirt.rasch(va, **COLUMNS),
    "1pl": lambda va: eirt.one_pl(va, **COLUMNS),
    "2pl": lambda va: eirt.two_pl(va, **COLUMNS),
    "rasch_cml": lambda va: eirt.rasch(va, likelihood=eirt.Conditional(), **COLUMNS),
    "lltm_cml": lambda va: eirt.lltm(va, f"~ {FEATURES}", likelihood=eirt.Conditional(), **COLUMNS),
    "lltm": lambda va: eirt.lltm(va, f"~ {FEATURES}", **COLUMNS),
    "lltm_probit": lambda va: eirt.lltm(
        va, f"~ {FEATURES}", family=eirt.Bernoulli("probit"), **COLUMNS
    ),
    "lltm_cloglog": lambda va: eirt.lltm(
        va, f"~ {FEATURES}", family=eirt.Bernoulli("cloglog"), **COLUMNS
    ),
    "lltm_person": lambda va: eirt.eirm(va, f"r2 ~ {FEATURES} + Anger + Gender + (1 | id)"),
    "latreg_rasch": lambda va: eirt.rasch(va, ability="~ Anger + Gender", **COLUMNS),
    "latreg_2pl": lambda va: eirt.two_pl(va, ability="~ Anger + Gender", **COLUMNS),
    "nested": lambda va: eirt.eirm(va, f"r2 ~ {FEATURES} + (1 | id) + (1 | item)"),
    "lltm_residuals": lambda va: eirt.lltm(va, f"~ {FEATURES} + (1 | item)", **COLUMNS),
    "nested_person": lambda va: eirt.lltm(
        va, f"~ {FEATURES} + (1 | item)", ability="~ Anger + Gender", **COLUMNS
    ),
    "laplace": lambda va: eirt.eirm(
        va, f"r2 ~ {FEATURES} + (1 | id) + (1 | item)", likelihood=eirt.Laplace()
    ),
    "laplace_slope": lambda va: eirt.eirm(
        va, f"r2 ~ {FEATURES} + (0 + mode | id) + (1 | item)", likelihood=eirt.Laplace()
    ),
    "rasch_laplace": lambda va: eirt.rasch(va, likelihood=eirt.Laplace(), **COLUMNS),
    "lltm_2pl": lambda va: eirt.explain(
        va,
        easiness=f"~ {FEATURES}",
        discrimination="~ 0 + item",
        discrimination_link="identity",
        **COLUMNS,
    ),
    "groups_rasch": lambda va: eirt.rasch(va, group="Gender", **COLUMNS),
    "groups_2pl": lambda va: eirt.two_pl(va, group="Gender", **COLUMNS),
    "groups_slopes": lambda va: eirt.explain(
        va,
        easiness="~ 0 + item:Gender",
        discrimination="~ 0 + item",
        ability_sd="~ Gender",
        discrimination_link="identity",
        **COLUMNS,
    ),
    "groups_free": lambda va: eirt.explain(
        va,
        easiness="~ 0 + item:Gender",
        discrimination="~ 0 + item:Gender",
        discrimination_link="identity",
        **COLUMNS,
    ),
    "rasch_2d": lambda va: eirt.eirm(va, "r2 ~ 0 + item + (0 + mode | id)"),
    "2pl_2d": lambda va: eirt.mirt(va, _modes(va), **COLUMNS),
    "bifactor": lambda va: eirt.bifactor(va, _modes(va), **COLUMNS),
    "nested_2d": lambda va: eirt.eirm(va, f"r2 ~ {FEATURES} + (0 + mode | id) + (1 | item)"),
    "testlets": lambda va: eirt.eirm(
        va, f"r2 ~ {FEATURES} + (1 | id) + (1 | id:mode)", likelihood=eirt.Laplace()
    ),
    "loading_mode": lambda va: eirt.eirm(
        va,
        f"r2 ~ {FEATURES} + (1 | id) + (1 | item)",
        discrimination="~ 0 + mode",
        likelihood=eirt.Laplace(),
    ),
    "loading_btype_mode": lambda va: eirt.eirm(
        va,
        f"r2 ~ {FEATURES} + (1 | id) + (1 | item)",
        discrimination="~ 0 + btype:mode",
        likelihood=eirt.Laplace(),
    ),
    "2pl_laplace": lambda va: eirt.two_pl(va, likelihood=eirt.Laplace(), **COLUMNS),
    "explained": lambda va: eirt.explain(
        va, easiness=f"~ {FEATURES} + (1 | item)", discrimination="~ mode + (1 | item)", **COLUMNS
    ),
    "lsat6": lambda va: eirt.two_pl(eirt.load("lsat6"), wide=True),
    "lsat7": lambda va: eirt.two_pl(eirt.load("lsat7"), wide=True),
    "nested_ordered": lambda va: eirt.eirm(
        va, f"resp ~ {FEATURES} + (1 | id) + (1 | item)", family=eirt.Cumulative()
    ),
    "nested_null": lambda va: eirt.eirm(va, "r2 ~ 1 + (1 | id) + (1 | item)"),
    "nested_2d_person": lambda va: eirt.eirm(
        va, f"r2 ~ {FEATURES} + Anger + Gender + (0 + mode | id) + (1 | item)"
    ),
    "nested_2d_increment": lambda va: eirt.eirm(
        va.assign(dummy_do=(va["mode"] == "do").astype(float)),
        f"r2 ~ {FEATURES} + (1 | id) + (0 + dummy_do | id) + (1 | item)",
    ),
    "nested_dif_btype": lambda va: eirt.eirm(
        va, f"r2 ~ Anger + Gender + {FEATURES} + Gender:btype + (1 | id) + (1 | item)"
    ),
    "nested_dif_mode": lambda va: eirt.eirm(
        va, "r2 ~ Anger + Gender * mode + btype + situ + (1 | id) + (1 | item)"
    ),
    "nested_bates_doran": lambda va: eirt.eirm(
        va, "r2 ~ (Anger + Gender + btype + situ)**2 + (1 | id) + (1 | item)"
    ),
    "nested_item_gender": lambda va: eirt.eirm(
        va, f"r2 ~ {FEATURES} + Gender + (1 | id) + (1 + Gender | item)"
    ),
    "nested_loading": lambda va: eirt.eirm(
        va, f"r2 ~ {FEATURES} + (1 | id) + (1 | item)", discrimination="~ 0 + mode"
    ),
}


@pytest.fixture(scope="module", autouse=True)
def forget_compiled_functions():
    """Free what a module has compiled: a whole run would hold gigabytes."""
    yield
    jax.clear_caches()
    READY.clear()


@pytest.fixture(scope="session")
def va():
    return _va()


@pytest.fixture(scope="session")
def fits():
    """Return a function from a recipe's name to its fit, made on first use."""
    return functools.cache(lambda name: RECIPES[name](_va()))


@pytest.fixture(scope="session")
def rasch(fits):
    return fits("rasch")


@pytest.fixture(scope="session")
def two_pl(fits):
    return fits("2pl")


@pytest.fixture(scope="session")
def lltm(fits):
    """Return the LLTM with item residuals."""
    return fits("lltm_residuals")


@pytest.fixture(scope="session")
def reference():
    """Return a function from a file's name to its golden numbers."""
    return functools.cache(lambda name: json.loads((REFERENCE / f"{name}.json").read_text()))


@pytest.fixture
def compiled_as_for_users(monkeypatch):
    """Compile as users' processes do."""
    for platform, options in FOR_USERS.items():
        monkeypatch.setitem(QUICKLY, platform, options)
    READY.clear()
    yield
    READY.clear()
