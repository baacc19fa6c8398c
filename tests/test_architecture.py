"""Rooms import in one direction, and the main job needs neither torch nor a GPU."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "bounds": {"bounds"},
    "proofs": {"proofs", "bounds"},
    "empirical": {"empirical", "bounds"},
    "paper_figs": {"paper_figs", "empirical", "bounds"},
}
EXTERNAL_IN_BOUNDS = {"numpy", "scipy", "sympy", "cvxpy", "highspy", "flint"}


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_rooms_import_in_one_direction(room):
    files = list((ROOT / room).rglob("*.py"))
    assert files
    for path in files:
        for name in imports(path):
            if name.split(".")[0] == "fairbound":
                assert name.split(".")[1] in MAY_IMPORT[room], f"{path} imports {name}"


def test_bounds_rests_on_its_listed_libraries():
    for path in (ROOT / "bounds").rglob("*.py"):
        for name in imports(path):
            top = name.split(".")[0]
            assert top in EXTERNAL_IN_BOUNDS | {"fairbound"} | sys.stdlib_module_names, f"{path} imports {name}"


@pytest.mark.parametrize(
    "program",
    [
        "import fairbound; fairbound.certify",
        "import fairbound.empirical",
        "import sys; sys.argv = ['fairbound', 'certify', '--help']; import fairbound.cli as c\n"
        "try: c.main()\nexcept SystemExit: pass",
    ],
)
def test_the_main_job_imports_no_torch(program):
    check = f"{program}\nimport sys; sys.exit(bool({{'torch', 'sklearn', 'cvxpy', 'pandas'}} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_every_package_of_the_tree_is_shipped():
    import tomllib

    shipped = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    found = set()
    for room in (*MAY_IMPORT, "fairbound"):
        for init in (ROOT / room).rglob("__init__.py"):
            name = ".".join(init.parent.relative_to(ROOT).parts)
            found.add(name if room == "fairbound" else f"fairbound.{name}")
    assert shipped == found


def test_public_names_resolve():
    import fairbound
    import fairbound.bounds

    for module in (fairbound, fairbound.bounds):
        for name in module.__all__:
            assert getattr(module, name) is not None
        with pytest.raises(AttributeError):
            _ = module.absent
