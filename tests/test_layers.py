"""The architecture, enforced: modules import only from lower layers, and stay small.

`LAYERS` is the list of rooms in CONTRIBUTING.md. A module may import a module of a strictly lower
layer; siblings do not import each other. A room may be a file (`design.py`) or, once split, a
folder (`likelihood/`), where shared files are below the others and `__init__` above them.

Imports under `if TYPE_CHECKING:` are exempt, since nothing runs. Imports inside functions count
like any other, with one exception, `LAZY_UPWARD`.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1] / "eirt"
FILES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))
MAX_LINES = 330

ORDER = [
    "_imports _math _modes _positive _symmetric _config _executables errors progress",
    "_compiled devices",
    "links covariances factors indicators observations reading separable",
    "responses effects formula matrices frames information",
    "coding archive",
    "terms",
    "parts",
    "cells",
    "design",
    "building",
    "extras samples wide",
    "exchange checks",
    "model identification",
    "restrictions",
    "likelihood",
    "components certificate scored answers",
    "tables",
    "results",
    "scales steps",
    "starts",
    "defaults",
    "optimisers",
    "fit",
    "refits forecasts",
    "centering clustering difficulty few_items items posterior predictions new_items robust saving "
    "simulation variance",
    "averages focus hypotheses lr_bootstrap plans sampling score_tests",
    "inference",
    "rescaling",
    "assumptions densities scores",
    "diagnostics",
    "doors",
    "models categories outcomes joint explanatory datasets plots report",
    "export functioning planning profiles proportionality resampling splits treatment validation",
    "limits",
    "__init__",  # the public names
    "demo",  # written with the public names
    "cli",  # runs the demo
    "__main__",
]
LAYERS = {room: layer for layer, rooms in enumerate(ORDER) for room in rooms.split()}

# Inside a folder: what the files share is below them, `__init__` above.
INSIDE = {
    "population": -1,
    **dict.fromkeys(("ability", "carry", "incidence", "polynomials"), 0),
    **dict.fromkeys(("cells", "testlets", "sufficient"), 1),
    **dict.fromkeys(("answers", "residuals"), 0),
    "estimates": 1,
    "base": 2,
    "sums": 2,
    **dict.fromkeys(("canonical", "arrowhead", "booklets"), 2),
    **dict.fromkeys(("table", "joint", "local", "persons"), 3),
    **dict.fromkeys(("plausible", "reliability", "items", "whole"), 4),
    **dict.fromkeys(("laplace", "marginal", "itemwise", "prior", "inner", "conditional"), 4),
    **dict.fromkeys(("curves", "category_curves", "forest", "misfit"), 4),
    **dict.fromkeys(("adaptive", "outer", "quadrature", "two_tier"), 5),
    "crossed": 6,
    **dict.fromkeys(("nested", "reduced"), 7),
    "__init__": 8,
    "every": 9,
}

# The exception: a fit is the object users hold, and `fit.plot()` or `fit.difficulty()` are doors
# to rooms above it. These rooms may import upward, but only inside a function or method, so that
# importing them never does.
LAZY_UPWARD = {"results", "scored", "answers"}

ADD_IT = "is in no layer: add it to ORDER in tests/test_layers.py and to CONTRIBUTING.md"


def module_of(file: str) -> tuple[str, ...]:
    """Turn "likelihood/base.py" into ("likelihood", "base"); a package ends in "__init__"."""
    return tuple(file.removesuffix(".py").split("/"))


def imports(tree: ast.Module):
    """Yield (node, whether it is inside a function) for the imports that can run."""

    def walk(node: ast.AST, lazy: bool):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, lazy
        elif isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            for child in node.orelse:
                yield from walk(child, lazy)
        else:
            inside = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            for child in ast.iter_child_nodes(node):
                yield from walk(child, inside)

    yield from walk(tree, False)


def targets(node: ast.Import | ast.ImportFrom, module: tuple[str, ...], known: set):
    """Yield the modules of eirt that an import statement names, as `module_of` writes them."""

    def resolve(parts: tuple[str, ...]):
        if parts in known:
            return parts
        if (*parts, "__init__") in known:
            return (*parts, "__init__")
        return None

    if isinstance(node, ast.Import):
        for alias in node.names:
            head, *parts = alias.name.split(".")
            if head == "eirt":
                yield resolve(tuple(parts)) or tuple(parts)
        return
    parts = tuple(node.module.split(".")) if node.module else ()
    if node.level:
        base = module[: len(module) - node.level]
    elif parts[:1] == ("eirt",):
        base, parts = (), parts[1:]
    else:
        return
    package = (*base, *parts)
    for (
        alias
    ) in node.names:  # `from . import design` names a module, `from .design import Term` not
        yield resolve((*package, alias.name)) or resolve(package) or package


def rank(module: tuple[str, ...]) -> int | None:
    return LAYERS.get(module[0] if module else "__init__")


def rank_inside(module: tuple[str, ...]) -> int:
    return INSIDE.get(module[1], 3)


def violations(source: str, file: str, files: list[str]) -> list[str]:
    """List what is wrong with the imports of one file, given the files of the package."""
    module, known = module_of(file), {module_of(name) for name in files}
    room = module[0]
    if rank(module) is None:
        return [f"eirt/{file}: {room!r} {ADD_IT}"]
    found = []
    for node, lazy in imports(ast.parse(source)):
        for target in targets(node, module, known):
            where = f"eirt/{file}:{node.lineno} imports {'.'.join(('eirt', *target))}"
            if rank(target) is None:
                found.append(f"{where}: {target[0]!r} {ADD_IT}")
            elif target[0] == room and len(module) > 1 and len(target) > 1:
                if rank_inside(target) >= rank_inside(module):
                    found.append(f"{where}: within {room}/, shared < the others < __init__")
            elif rank(target) >= rank(module) and not (lazy and room in LAZY_UPWARD):
                layers = f"layer {rank(module)} may not import layer {rank(target)}"
                found.append(f"{where}: {layers}, only lower ones")
    return found


@pytest.mark.parametrize("file", FILES)
def test_imports_go_down(file):
    source = (ROOT / file).read_text(encoding="utf-8")
    found = violations(source, file, FILES)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("file", FILES)
def test_files_are_small(file):
    lines = len((ROOT / file).read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_LINES, f"eirt/{file} has {lines} lines: split it into a folder"


PACKAGE = [
    "__init__.py",
    "_math.py",
    "cli.py",
    "demo.py",
    "design.py",
    "effects.py",
    "likelihood/__init__.py",
    "likelihood/base.py",
    "likelihood/laplace.py",
    "likelihood/nested.py",
    "model.py",
    "plots.py",
    "responses.py",
    "results.py",
]


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("design.py", "from eirt import _math\nimport eirt._math\nfrom ._math import log1mexp"),
        ("design.py", "import numpy\nfrom scipy import special\nfrom .effects import Effect"),
        ("design.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import eirt.model"),
        ("likelihood/nested.py", "from .base import Likelihood\nfrom ..model import Model"),
        ("likelihood/nested.py", "from . import base\nfrom eirt.likelihood.base import Likelihood"),
        ("likelihood/__init__.py", "from .nested import Nested\nfrom . import base, laplace"),
        ("plots.py", "from .likelihood import Nested\nfrom .results import Fit"),
        ("results.py", "class Fit:\n    def plot(self):\n        from .plots import plot"),
        ("__init__.py", "from .plots import plot"),
        ("cli.py", "from .demo import main\ndef app():\n    import eirt"),
    ],
)
def test_what_is_allowed(file, source):
    assert violations(source, file, PACKAGE) == []


@pytest.mark.parametrize(
    ("file", "source", "message"),
    [
        ("design.py", "from eirt.model import Model", "eirt.model: layer"),
        ("design.py", "from . import model", "design.py:1 imports eirt.model: layer"),
        ("design.py", "import eirt.model", "may not import layer"),
        ("design.py", "def f():\n    from .model import Model", "design.py:2 imports eirt.model"),
        ("design.py", "import eirt", "eirt.__init__: layer"),
        ("design.py", "from eirt import Fit", "eirt.__init__: layer"),
        ("design.py", "if not fast:\n    from .model import Model", "imports eirt.model"),
        ("effects.py", "from .responses import Bernoulli", "eirt.responses: layer"),
        ("results.py", "from .plots import plot", "eirt.plots: layer"),
        ("model.py", "from .likelihood.base import Likelihood", "eirt.likelihood.base: layer"),
        ("likelihood/conditional.py", "from .laplace import Laplace", "shared < the others"),
        ("likelihood/base.py", "from . import laplace", "shared < the others"),
        ("likelihood/base.py", "from eirt.likelihood import Nested", "shared < the others"),
        ("likelihood/nested.py", "from .. import results", "eirt.results: layer"),
        ("demo.py", "from .cli import app", "eirt.cli: layer"),
        ("newroom.py", "", "eirt/newroom.py: 'newroom' is in no layer: add it"),
        ("design.py", "from .newroom import x", "'newroom' is in no layer: add it"),
    ],
)
def test_what_is_found(file, source, message):
    found = violations(source, file, [*PACKAGE, file])
    assert len(found) == 1
    assert message in found[0]
