"""The site says what the project says, and builds without a warning."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from dagster_project.paths import ROOT, SEEDS


def test_the_site_builds_and_has_every_mart_seed_and_setting(manifest: dict[str, Any], tmp_path: Path) -> None:
    build = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-b",
        "html",
        "-W",
        "--keep-going",
        "-d",
        str(tmp_path / "trees"),
        "docs",
        str(tmp_path / "site"),
    ]
    built = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)

    assert built.returncode == 0, built.stderr
    pages = {path.stem: path.read_text("utf-8") for path in (tmp_path / "site" / "generated").glob("*.html")}
    marts = [
        node["name"] for node in manifest["nodes"].values() if node["fqn"][1] == "marts" and node["resource_type"] == "model"
    ]
    assert [name for name in marts if f'id="{name.replace("_", "-")}"' not in pages["marts"]] == []
    assert [path.stem for path in SEEDS.glob("*.csv") if f'id="{path.stem.replace("_", "-")}"' not in pages["policy"]] == []
    assert "ARREARS_MEMORY_LIMIT" in pages["settings"]
