"""Traces outlive the process, and never stand in for another function's."""

import dataclasses
import os
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import eirt
from eirt import _compiled
from eirt._compiled import READY, Compiled, described_fully
from eirt._config import CACHE_VARIABLE
from eirt._executables import SUFFIX
from eirt.links import Logit
from eirt.responses import Bernoulli

TRACED = []


def _scaled(response, x):
    TRACED.append(x.shape)
    return response.n_aux + 2.0 * jnp.sum(x**2)


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.setattr(_compiled, "_folder", lambda: tmp_path)
    TRACED.clear()
    return tmp_path


def _again(*args):
    """Call in what is, for eirt, a new process."""
    READY.clear()
    jax.clear_caches()
    return Compiled(_scaled, (0,))(*args)


def test_a_trace_is_read_back(folder):
    x = np.arange(3.0)
    assert [float(_again(Bernoulli(), x)) for _ in range(3)] == [10.0] * 3
    assert len(TRACED) == 1
    assert len(list(folder.glob(f"*{SUFFIX}"))) == 1


def test_other_models_shapes_and_precisions_have_traces_of_their_own(folder):
    for x in (np.arange(3.0), np.arange(4.0), np.arange(3)):
        _again(Bernoulli(), x)
    _again(eirt.Poisson(), np.arange(3.0))
    with jax.enable_x64(True):
        _again(Bernoulli(), np.arange(3.0))
    assert len(TRACED) == len(list(folder.glob(f"*{SUFFIX}"))) == 5


def test_other_sources_have_traces_of_their_own(folder, monkeypatch):
    _again(Bernoulli(), np.arange(3.0))
    monkeypatch.setattr(_compiled, "_everything", lambda: "another version")
    _again(Bernoulli(), np.arange(3.0))
    assert len(TRACED) == 2


def test_a_damaged_file_is_written_again(folder):
    _again(Bernoulli(), np.arange(3.0))
    (path,) = folder.glob(f"*{SUFFIX}")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert [float(_again(Bernoulli(), np.arange(3.0))) for _ in range(2)] == [10.0] * 2
    assert len(TRACED) == 2  # the file was read back the last time
    assert len(list(folder.iterdir())) == 1


@dataclasses.dataclass(frozen=True)
class _Own(Bernoulli):
    """A family of the user's, whose code may change under its name."""


def test_families_of_users_are_not_kept(folder):
    assert described_fully(_Own()) is None
    assert float(_again(_Own(), np.arange(3.0))) == 10.0
    assert not list(folder.iterdir())


def test_descriptions_differ_where_things_do():
    things = [
        Bernoulli(),
        Bernoulli(Logit()),
        eirt.Guessing(0.25),
        eirt.Guessing(0.2),
        (1,),
        (1.0,),
    ]
    texts = [described_fully(thing) for thing in things]
    assert texts[0] == texts[1]
    assert len(set(texts)) == len(texts) - 1
    assert described_fully((Bernoulli(), np.zeros(2))) is None


def test_it_is_differentiable_and_takes_any_argument(folder):
    function = Compiled(_scaled, (0,))
    gradient = jax.grad(lambda x: function(Bernoulli(), x))(jnp.arange(3.0))
    np.testing.assert_allclose(gradient, 4 * np.arange(3.0))
    assert float(function(Bernoulli(), jnp.full((), 2.0))) == 8.0
    assert not list(folder.iterdir())[1:]


CODE = """
import eirt, jax
from eirt import _executables
from eirt.likelihood import outer, inner
traced = []
def counted(*args, jitted=outer.value_and_grad.jitted):
    traced.append(1)
    return jitted(*args)
outer.value_and_grad.jitted = counted
found = eirt.eirm(eirt.load("verbagg"), "r2 ~ mode + (1 | id) + (1 | item)")
threads, lapack = _executables._readers.cache_info(), _executables._find_lapack.cache_info()
print(repr(found.loglik), len(traced), threads.currsize, lapack.currsize)
"""


def test_a_second_process_traces_nothing_and_finds_the_same(tmp_path):
    environment = os.environ | {CACHE_VARIABLE: str(tmp_path)}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    root = pathlib.Path(eirt.__file__).parents[1]

    def run():
        return subprocess.run(
            [sys.executable, "-c", CODE], env=environment, cwd=root, capture_output=True, text=True
        ).stdout.split()

    first, second = run(), run()
    assert first[1:3] == ["1", "0"]
    # nothing is traced, executables are read ahead, and SciPy's linear algebra is not needed
    assert second == [first[0], "0", "1", "0"]


SESSION = """
import jax, numpy as np, pandas as pd, eirt
compiled = []
def listen(name, seconds, **about):
    if name == "/jax/core/compile/backend_compile_duration":
        compiled.append(about.get("fun_name"))
jax.monitoring.register_event_duration_secs_listener(listen)
rng = np.random.default_rng(0)
for door, most in ((eirt.two_pl, 1), (eirt.grm, 3)):
    for size in range(1030, 1120, 9):
        y = most / 2 + rng.normal(size=(size, 1)) + rng.normal(size=(size, 6))
        fit = door(pd.DataFrame(np.clip(np.round(y), 0, most).astype(int)), wide=True)
        fit.difficulty()
        if size == 1030:
            compiled.clear()
    print(len(compiled), *compiled)
"""


def test_ten_sets_of_about_a_size_compile_once():
    root = pathlib.Path(eirt.__file__).parents[1]
    environment = os.environ | {CACHE_VARIABLE: "off"}
    found = subprocess.run(
        [sys.executable, "-c", SESSION], env=environment, cwd=root, capture_output=True, text=True
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.splitlines() == ["0", "0"]
