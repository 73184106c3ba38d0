"""What `make audit` says of the locked packages."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dagster_project.paths import ROOT


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", ROOT / ".ci" / "audit.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["audit"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_every_locked_package_is_on_the_bill_and_under_a_licence_that_may_be_passed_on(
    audit: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit.main(["--offline", "--sbom", str(tmp_path / "sbom.json")]) == 0

    bill = json.loads((tmp_path / "sbom.json").read_text("utf-8"))
    assert (bill["bomFormat"], bill["specVersion"], bill["version"]) == ("CycloneDX", "1.6", 1)
    assert bill["serialNumber"].startswith("urn:uuid:")
    refs = [component["bom-ref"] for component in bill["components"]]
    assert len(set(refs)) == len(refs) > 100
    assert all(component["hashes"] for component in bill["components"])
    assert "pkg:pypi/duckdb@2.0.0" in refs
    said = capsys.readouterr().out
    assert "MIT" in said
    assert "known vulnerabilities: skipped: not asked for" in said
    assert bill == audit.bill(audit.locked((ROOT / "requirements.lock").read_text("utf-8"))), "the same lock, the same bill"


@pytest.mark.parametrize(
    ("licence", "fine"),
    [
        ("MIT", True),
        ("LGPL-3.0-only", True),
        ("GNU Lesser General Public License v3", True),
        ("GPL-3.0-or-later", False),
        ("MIT AND GPL-2.0", False),
        ("AGPL-3.0", False),
        ("GNU General Public License v2", False),
        ("Proprietary", False),
        ("", False),
    ],
)
def test_a_licence_that_nobody_looked_at_is_a_fault(licence: str, fine: bool, audit: ModuleType) -> None:
    package = audit.Package("thing", "1", ("0" * 64,), licence, True)

    assert (not list(audit.licence_faults([package]))) is fine


class Answered:
    def __init__(self, body: Any):
        self.body = body

    def raise_for_status(self) -> None:
        return None

    def json(self) -> Any:
        return self.body


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (ConnectionError, 0, "skipped: the list of known vulnerabilities (osv.dev) cannot be reached from here"),
        ({"results": []}, 0, "skipped: the list of known vulnerabilities (osv.dev) gave another answer"),
        ("nothing", 0, "0 of"),
        ("one", 1, "1 of"),
    ],
)
def test_what_is_known_against_a_package_is_named_and_nobody_to_ask_is_no_failure(
    answer: Any, code: int, words: str, audit: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import requests

    def post(url: str, json: Any, timeout: int) -> Answered:
        if answer is ConnectionError:
            raise requests.ConnectionError("no way out")
        if isinstance(answer, dict):
            return Answered(answer)
        results: list[Any] = [{} for _ in json["queries"]]
        if answer == "one":
            results[0] = {"vulns": [{"id": "PYSEC-2026-1"}]}
        return Answered({"results": results})

    monkeypatch.setattr(requests, "post", post)

    assert audit.main([]) == code
    told = capsys.readouterr()
    assert words in told.out
    assert ("PYSEC-2026-1" in told.err) is bool(code)
