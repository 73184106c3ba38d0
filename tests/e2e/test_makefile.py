"""What `make` says and starts, without starting it."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from dagster_project.paths import ROOT

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")


def make(*arguments: str) -> str:
    done = subprocess.run(
        ["make", "--no-print-directory", *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_help_lists_every_target() -> None:
    declared = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text("utf-8"), re.M)
    assert declared
    listed = {line.split()[1] for line in make("help").splitlines()}
    assert listed == set(declared[1].split())
    assert make() == make("help"), "without a target it is help"


@pytest.mark.parametrize(
    ("given", "passed"),
    [
        ((), "dagster_project run"),
        (("DATE=2025-06-30",), "dagster_project run --date 2025-06-30"),
        (("DATE=2025-06-30", "KNOWN=now"), "dagster_project run --date 2025-06-30 --known now"),
        (("DATE=2025-06-30", "REFRESH=1"), "dagster_project run --date 2025-06-30 --refresh"),
        (("FULL=1",), "dagster_project run --full"),
    ],
)
def test_run_passes_its_options_on(given: tuple[str, ...], passed: str) -> None:
    lines = [" ".join(line.split()) for line in make("-n", "run", *given).splitlines()]
    assert [line for line in lines if line.endswith(passed)]


def test_the_questions_about_policy_pass_their_options_on() -> None:
    compared = [" ".join(line.split()) for line in make("-n", "compare", "WITH=segments").splitlines()]
    written = [
        " ".join(line.split()) for line in make("-n", "policy", "PACK=cohorts", "DATE=2025-06-30", "OUT=policy.md").splitlines()
    ]
    assert compared[-1].endswith("dagster_project compare --with segments")
    assert written[-1].endswith("dagster_project policy --pack cohorts --date 2025-06-30 --out policy.md")


def test_demo_passes_its_options_on() -> None:
    lines = [" ".join(line.split()) for line in make("-n", "demo", "DATE=2025-06-30", "DEMO_PORT=8400").splitlines()]
    assert lines[-1].endswith("dagster_project.demo --as-of 2025-06-30 --port 8400")
