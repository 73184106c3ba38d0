"""The scripts that are run by hand find what they take from each other and from the tests. Read, not imported: that would take seconds."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted((ROOT / "tests" / "benchmarks").glob("*.py"))


def at_hand(path: Path) -> set[str]:
    """What a module has at its top level."""
    found = set[str]()
    for node in ast.parse(path.read_text("utf-8")).body:
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.AnnAssign(target=ast.Name(id=name)):
                found.add(name)
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                found |= {each.asname or each.name for each in names}
            case ast.Assign(targets=targets):
                found |= {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
    return found


def test_scripts_find_what_they_import() -> None:
    modules = {path.stem: path for path in SCRIPTS} | {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in (ROOT / "tests").rglob("*.py")
    }
    missing = [
        f"{script.name}: {node.module}.{alias.name}"
        for script in SCRIPTS
        for node in ast.walk(ast.parse(script.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module in modules
        for alias in node.names
        if alias.name not in at_hand(modules[node.module])
    ]
    assert missing == []
