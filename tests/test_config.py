"""Precision and the cache leave the caller's settings alone."""

import os
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp

import eirt
from eirt import _config


def test_fitting_leaves_global_precision_alone(fits):
    assert fits("lsat6").full.dtype == "float64"
    assert not jax.config.jax_enable_x64
    assert jnp.ones(1).dtype == "float32"


def test_cache_directory_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv(_config.CACHE_VARIABLE, str(tmp_path))
    assert _config.cache_directory() == tmp_path
    monkeypatch.setenv(_config.CACHE_VARIABLE, "off")
    assert _config.cache_directory() is None
    monkeypatch.delenv(_config.CACHE_VARIABLE)
    assert isinstance(_config.cache_directory(), pathlib.Path)


def test_an_unusable_cache_directory_never_fails(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a directory")
    code = (
        "import eirt; print(round(eirt.rasch(eirt.load('lsat6'), wide=True).loglik, 3));"
        "from eirt._config import enable_cache; print(enable_cache())"
    )
    environment = os.environ | {_config.CACHE_VARIABLE: str(blocked / "inside")}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    root = pathlib.Path(eirt.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=root, capture_output=True, text=True
    )
    assert done.stdout.split() == ["-2466.938", "False"], done.stderr


def test_heavy_packages_are_imported_when_used():
    heavy = ("pandas", "formulaic", "matplotlib", "typer", "scipy.optimize")
    code = f"import sys, eirt; print([m for m in {heavy} if m in sys.modules])"
    root = pathlib.Path(eirt.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
