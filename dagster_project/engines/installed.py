"""What keeps this machine from running a night on Spark, asked without starting anything.

Belongs here: looking for Java and the packages. Does not belong here: either (`spark.py`).
"""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path


def lacking() -> str | None:
    """What keeps this machine from running a night on Spark, and what to do; None where nothing does."""
    if missing := [name for name in ("pyspark", "dbt.adapters.spark") if not _there(name)]:
        return f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed: make setup SPARK=1"
    home = os.environ.get("JAVA_HOME")
    if home and not (Path(home) / "bin" / "java").exists():
        return f"JAVA_HOME is {home}, where there is no bin/java: let it name a Java 17 or 21, or leave it out"
    if not home and not shutil.which("java"):
        return "there is no java: install Java 17 or 21 (apt-get install openjdk-17-jre-headless), or name one by JAVA_HOME"
    return None


def _there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # not even what it lies in
        return False
