"""Our packages have plain names, so nothing else that is installed may have them."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.machinery import PathFinder
from importlib.metadata import distributions, packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = PYPROJECT["tool"]["setuptools"]["packages"]
TOP_LEVEL = sorted(set(PACKAGES) - {name for name in PACKAGES if "." in name})


@pytest.fixture(scope="module")
def others() -> set[str]:
    """What the installed distributions, ours apart, put at the top level."""
    return {
        file.parts[0].removesuffix(".py")
        for distribution in distributions()
        if distribution.name != "deepcredit"
        for file in distribution.files or ()
    }


def test_the_wheel_holds_every_package_and_nothing_else() -> None:
    folders = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for top in (
            "configs",
            "ensemble",
            "launcher",
            "migrations",
            "models",
            "pipeline",
            "storage",
        )
        for path in (ROOT / top).rglob("__init__.py")
    }

    assert sorted(PACKAGES) == sorted(folders)


def test_every_module_lies_in_a_package() -> None:
    strays = [
        path
        for top in TOP_LEVEL
        for path in (ROOT / top).rglob("*.py")
        if not (path.parent / "__init__.py").exists()
    ]

    assert strays == []


def test_no_installed_distribution_has_a_package_of_our_name(others: set[str]) -> None:
    assert others & {*TOP_LEVEL, "tests", "benchmarks"} == set()


def test_our_packages_are_found_in_this_repository() -> None:
    for name in TOP_LEVEL:
        found = PathFinder.find_spec(name, [str(ROOT)])
        assert found is not None
        assert found.origin == str(ROOT / name / "__init__.py")


def test_no_module_is_named_like_a_library_we_use(others: set[str]) -> None:
    own = {path.stem for top in TOP_LEVEL for path in (ROOT / top).rglob("*.py")}

    assert own & others <= {"__init__", "__main__"}


def test_every_library_that_is_imported_is_declared_and_every_declared_one_is_imported() -> None:
    found = packages_distributions()
    imported = {
        _plain(distribution)
        for top in TOP_LEVEL
        for path in (ROOT / top).rglob("*.py")
        for name in _imports(path)
        if name not in sys.stdlib_module_names and name not in TOP_LEVEL
        for distribution in found.get(name, [name])
    }
    project = PYPROJECT["project"]
    declared = {_plain(re.split("[<>=]", line)[0]) for line in project["dependencies"]}
    xgboost = {"xgboost", "xgboost-cpu"}

    assert imported - xgboost == declared


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def _plain(name: str) -> str:
    return name.lower().replace("_", "-")
