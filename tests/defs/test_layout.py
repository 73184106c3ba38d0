"""The rooms of the house and their doors: who may import what, and what an import may touch."""

from __future__ import annotations

import ast
import importlib
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
import yaml

from dagster_project.paths import ROOT

PACKAGE = ROOT / "dagster_project"


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of the package by its path."""
    return {
        str(path.relative_to(PACKAGE)): ast.parse(path.read_text("utf-8"), filename=str(path))
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def for_more_than_types(tree: ast.Module) -> Iterator[ast.stmt]:
    for node in tree.body:
        if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)):
            yield node


def importing(tree: ast.Module) -> Iterator[str]:
    """What is imported as the module itself is: not what a function imports when it is called, nor what only types need."""
    for node in for_more_than_types(tree):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield from imports(node)


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def test_nothing_but_the_definitions_knows_dagster() -> None:
    outside = {
        path: sorted({name for name in imports(tree) if within(name, "dagster")})
        for path, tree in modules().items()
        if not path.startswith("defs/") and path not in ("definitions.py", "night.py")
    }

    assert {path: names for path, names in outside.items() if names} == {}


def test_nothing_reaches_into_dagsters_private_parts() -> None:
    private = {
        path
        for path, tree in modules().items()
        for name in imports(tree)
        if name.startswith("dagster.") and any(part.startswith("_") for part in name.split("."))
    }

    assert private == {"defs/history.py"}, "which says why, and until when"


def test_only_the_night_and_the_table_of_contents_reach_for_the_definitions() -> None:
    readers = {path for path, tree in modules().items() if any(within(name, "dagster_project.defs") for name in imports(tree))}

    assert {path for path in readers if not path.startswith("defs/")} == {"night.py", "definitions.py"}
    late = [name for name in importing(modules()["__main__.py"]) if within(name, "dagster_project.night")]
    assert not late, "only when it runs: what takes seconds to start is begun first"


def test_one_module_opens_databases() -> None:
    callers = {
        path
        for path, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("duckdb.connect", "duckdb.execute", "duckdb.sql")
    }

    assert callers == {"duck.py"}


@pytest.mark.parametrize("package", ["great_expectations", "dbt", "holidays", "pyspark"])
def test_what_takes_long_to_import_is_imported_where_it_is_used(package: str) -> None:
    eager = [path for path, tree in modules().items() if any(within(name, package) for name in importing(tree))]

    assert eager == []


def test_every_module_says_what_belongs_in_it() -> None:
    silent = [path for path, tree in modules().items() if not (ast.get_docstring(tree) or "").strip()]

    assert silent == []


def test_what_goes_out_and_the_sources_can_be_lifted_out_of_the_house() -> None:
    """They are given rows and folders; neither opens the store nor knows what a night is."""
    above = ("landing", "morning", "delivery", "quality", "dbt_build", "definitions", "defs")
    reaching = [
        f"{path}: {name}"
        for path, tree in modules().items()
        if path.startswith(("outgoing/", "sources/"))
        for name in imports(tree)
        if any(within(name, f"dagster_project.{room}") for room in above)
    ]

    assert reaching == []


def test_arrows_between_rooms_run_one_way() -> None:
    """sources -> landing -> morning -> outgoing, incoming -> landing; nothing reads what goes out but the delivery that sends it,
    and the mail, which carries it out and brings answers in."""
    forbidden = {
        "landing/": ("outgoing", "incoming", "mail", "morning", "delivery", "quality"),
        "outgoing/": ("incoming", "mail"),
        "incoming/": ("outgoing", "mail", "morning", "delivery"),
        "sources/": ("landing", "outgoing", "incoming"),
        "paths.py": ("settings", "policy"),
        "policy.py": ("settings",),
    }
    crossed = [
        f"{path}: {name}"
        for path, tree in modules().items()
        for start, rooms in forbidden.items()
        if path.startswith(start)
        for name in imports(tree)
        if any(within(name, f"dagster_project.{room}") for room in rooms)
    ]

    assert crossed == []


def circle(trees: dict[str, ast.Module]) -> list[str]:
    """Modules of which each imports the next, at once or when it is asked, the first at the end again; none where there is no circle."""
    names = {path.removesuffix(".py").removesuffix("/__init__").replace("/", "."): path for path in trees}
    reads = {
        name: {
            read
            for node in for_more_than_types(trees[path])
            for read in (each.removeprefix("dagster_project.") for each in imports(node))
            if read in names and not within(name, read)  # `from package import sibling` names the package too
        }
        for name, path in names.items()
    }
    try:
        TopologicalSorter(reads).prepare()
    except CycleError as found:
        return list(found.args[1])
    return []


def test_no_module_is_imported_in_a_circle() -> None:
    assert circle(modules()) == []


def test_a_circle_of_imports_is_found() -> None:
    planted = modules() | {"paths.py": ast.parse("def root():\n    from dagster_project import settings")}

    assert {"paths", "settings"} <= set(circle(planted))


# --- what an import touches -------------------------------------------------------------------------------------------

CUT_OFF = """
import socket, sys, duckdb

def refused(*_, **__):
    raise AssertionError("an import reached out")

socket.socket.connect = socket.socket.connect_ex = socket.create_connection = socket.getaddrinfo = refused
duckdb.connect = refused

from dagster_project.definitions import build_defs, defs
assert defs and build_defs()
heavy = [name for name in ("great_expectations", "dbt.cli", "holidays", "xlsxwriter.nothing") if name in sys.modules]
assert not heavy, heavy
print("imported")
"""


def test_the_definitions_are_imported_without_network_or_database_and_write_nothing(manifest: object, tmp_path: Path) -> None:
    home = tmp_path / "home"

    ended = subprocess.run(
        [sys.executable, "-c", CUT_OFF],
        cwd=ROOT,
        env={**os.environ, "ARREARS_HOME": str(home), "DO_NOT_TRACK": "1", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "imported"
    assert not home.exists()


def test_both_ways_to_start_dagster_find_the_same_place() -> None:
    """A [tool.dagster] or [tool.dg] table would win over workspace.yaml wherever no flag is given, and nobody would notice."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert not {"dagster", "dg"} & set(project["tool"])

    (location,) = yaml.safe_load((ROOT / "workspace.yaml").read_text("utf-8"))["load_from"]
    module = importlib.import_module(location["python_module"]["module_name"])
    assert module.__name__ == "dagster_project.definitions"
    assert (ROOT / location["python_module"]["working_directory"]).resolve() == ROOT
    assert hasattr(module, "defs")


def test_what_is_installed_is_pinned_by_hash() -> None:
    lines = (ROOT / "requirements.lock").read_text("utf-8").splitlines()
    packages = [line for line in lines if line and not line.startswith((" ", "#"))]

    assert len(packages) > 50
    assert [line for line in packages if "==" not in line] == []
    assert sum("--hash=sha256:" in line for line in lines) >= len(packages)
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    asked = [wanted["project"]["dependencies"], *wanted["dependency-groups"].values()]
    for requirement in (requirement for group in asked for requirement in group):
        name = re.split(r"[\[=<>]", requirement)[0]
        assert any(line.startswith(f"{name}==") for line in packages), name
