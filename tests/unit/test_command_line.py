"""The command behind `make run`: what it refuses, with which exit code, and that the reason stands on standard error."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dagster_project.__main__ import main
from dagster_project.paths import ROOT


def command(*arguments: str, home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ARREARS_")}
    return subprocess.run(
        [sys.executable, "-m", "dagster_project", *arguments],
        cwd=ROOT,
        env={**clean, "ARREARS_HOME": str(home), **{f"ARREARS_{name}": value for name, value in variables.items()}},
        capture_output=True,
        text=True,
        timeout=600,  # against a hang alone: under a tracer, on a busy machine, a start takes a minute
        check=False,
    )


def test_a_morning_that_has_not_come_is_refused_with_todays_date(tmp_path: Path) -> None:
    today = datetime.now(UTC).date()

    ended = command("run", "--date", (today + timedelta(days=2)).isoformat(), home=tmp_path)

    assert ended.returncode == 2
    assert f"{today + timedelta(days=2)} has not come yet: today is {today} in UTC." in ended.stderr
    assert list(tmp_path.iterdir()) == [], "nothing was begun"


def test_a_morning_before_the_first_is_refused_with_the_first(tmp_path: Path) -> None:
    ended = command("run", "--date", "1999-12-31", home=tmp_path)

    assert ended.returncode == 2
    assert ended.stderr.strip() == "1999-12-31 is too long ago: the first morning there is, is 2010-01-01."


def test_whether_a_morning_has_come_is_asked_where_the_company_is(tmp_path: Path) -> None:
    there = datetime.now(UTC) + timedelta(hours=14)

    ended = command("run", "--date", (there.date() + timedelta(days=1)).isoformat(), home=tmp_path, TIMEZONE="Pacific/Kiritimati")

    assert ended.returncode == 2
    assert f"today is {there.date()} in Pacific/Kiritimati" in ended.stderr


@pytest.mark.parametrize("text", ["30.06.2025", "2025-02-30", "yesterday"])
def test_a_date_that_is_none_is_refused_with_how_to_write_one(text: str, tmp_path: Path) -> None:
    ended = command("run", "--date", text, home=tmp_path)

    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].endswith(f"'{text}' is not a date; write it as 2025-06-30")


def test_settings_that_mean_nothing_are_told_one_a_line(tmp_path: Path) -> None:
    ended = command("run", home=tmp_path, SOURCE="sap", TIMEZONE="Mars/Olympus")

    assert ended.returncode == 2
    heading, *lines = ended.stderr.strip().splitlines()
    assert heading == "The settings do not describe a run:"
    assert [line.partition(":")[0] for line in lines] == ["ARREARS_SOURCE", "ARREARS_TIMEZONE"]
    assert "Traceback" not in ended.stderr


def test_a_source_without_its_folder_is_told_before_anything_begins(tmp_path: Path) -> None:
    ended = command("run", home=tmp_path, SOURCE="files")

    assert ended.returncode == 2
    assert "ARREARS_FILES_DIR" in ended.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [(), ("fly",), ("run", "--known", "later")])
def test_what_is_not_a_command_is_answered_with_how_to_ask(arguments: tuple[str, ...], tmp_path: Path) -> None:
    ended = command(*arguments, home=tmp_path)

    assert ended.returncode == 2
    assert "usage: python -m dagster_project" in ended.stderr


def test_a_policy_pack_that_is_not_there_is_told_before_anything_begins(tmp_path: Path) -> None:
    ended = command("run", home=tmp_path, POLICY="gold")

    assert ended.returncode == 2
    assert "ARREARS_POLICY: 'gold' is not a policy pack; there is cohorts, net_terms, segments" in ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_credit_policy_is_printed_or_written_where_asked(tmp_path: Path) -> None:
    printed = command("policy", "--pack", "segments", "--date", "2025-06-30", home=tmp_path)
    kept = command("policy", "--pack", "segments", "--date", "2025-06-30", "--out", str(tmp_path / "policy.md"), home=tmp_path)

    assert (printed.returncode, kept.returncode, kept.stdout) == (0, 0, "")
    assert printed.stdout.startswith("# Credit policy `segments`\n")
    assert (tmp_path / "policy.md").read_text("utf-8") == printed.stdout


def test_there_is_nothing_to_compare_before_the_first_morning(tmp_path: Path) -> None:
    ended = command("compare", home=tmp_path)

    assert (ended.returncode, ended.stderr) == (
        1,
        "no morning with a comparison of the policy packs is published yet: make run\n",
    )


def test_a_source_is_tried_on_by_name_and_there_is_nothing_to_reconcile_before_a_night(tmp_path: Path) -> None:
    unknown = command("connect", "--source", "nowhere", home=tmp_path)
    assert (unknown.returncode, "'nowhere' is none of bureau_file, business_central, " in unknown.stderr) == (2, True)

    nobody = command("connect", "--source", "files", home=tmp_path, FILES_DIR=str(tmp_path / "gone"))
    assert (nobody.returncode, "there is no folder" in nobody.stdout) == (1, True)

    nothing = command("reconcile", home=tmp_path)
    assert (nothing.returncode, "no morning is published" in nothing.stderr) == (1, True)


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (OSError(30, "Read-only file system", "/x"), "It stopped: the disk is read-only: mount it for writing"),
        (KeyError("\x1b[2Jname"), "It stopped: '"),
        (KeyboardInterrupt(), "It stopped: it was told to end while it was at work"),
    ],
)
def test_whatever_ends_a_command_is_told_in_a_line_with_where_the_trace_is(
    broken: BaseException, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def breaks(*_: object, **__: object) -> None:
        raise broken

    monkeypatch.setenv("ARREARS_HOME", str(tmp_path))
    monkeypatch.setattr("dagster_project.upkeep.compact", breaks)

    assert main(["compact"]) == 1

    said, trace = capsys.readouterr().err.strip().splitlines()
    assert said.startswith(says)
    assert said.isprintable()
    assert not re.search(r"\w(Error|Exception|Interrupt)\b", said)
    assert "Traceback" in Path(trace.removeprefix("The trace: ")).read_text("utf-8")
