"""The gates before a worklist: what is found is one of them, and policy decides what it does."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from dagster_project import gates
from dagster_project.gates import gate_of, holds_back
from dagster_project.policy import PolicyError, rows_in_force

AS_OF = date(2025, 6, 30)


@pytest.mark.parametrize(
    ("dataset", "broken", "gate"),
    [
        ("payments", "age_days: values are out of range: 1 of 1, such as 19 (expected max_value 10)", "stale_payments"),
        ("invoices", "age_days: values are out of range: 1 of 1, such as 40 (expected max_value 31)", "failed_blocking_check"),
        ("invoices", "volume_share: values are out of range: 1 of 1, such as 0.1 (expected min_value 0.5)", "volume_collapse"),
        ("payments", "payment_id: values are there twice: 2 of 9", "failed_blocking_check"),
    ],
)
def test_what_is_broken_is_one_of_the_gates(dataset: str, broken: str, gate: str) -> None:
    assert gate_of(dataset, broken) == gate


def test_policy_has_a_row_for_every_gate() -> None:
    effects = {row["gate"]: row["effect"] for row in rows_in_force(gates.TABLE, "net_terms", AS_OF)}
    assert effects == {
        **dict.fromkeys((gates.STALE, gates.COLLAPSE, gates.OTHER, "subledger_untied", "no_payments_known"), "hold_back"),
        **dict.fromkeys((gates.ODD, "unverified_control_balance"), "warn"),
    }


def test_a_gate_does_what_the_row_in_force_says_and_without_one_nothing_is_done_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = (
        "gate,effect,policy,valid_from,valid_to",
        "stale_payments,warn,*,2025-01-01,2025-06-30",
        "stale_payments,hold_back,*,2025-07-01,",
        "volume_collapse,warn,segments,2025-01-01,",
    )
    (tmp_path / "worklist_gates.csv").write_text("\n".join(rows))
    monkeypatch.setattr(gates, "SEEDS", tmp_path)
    assert not holds_back("stale_payments", "net_terms", AS_OF)
    assert holds_back("stale_payments", "net_terms", date(2025, 7, 1))
    assert not holds_back("volume_collapse", "segments", AS_OF)
    for gate, pack, day in (
        ("stale_payments", "net_terms", date(2024, 12, 31)),
        ("volume_collapse", "net_terms", AS_OF),
        ("failed_blocking_check", "net_terms", AS_OF),
    ):
        with pytest.raises(
            PolicyError, match=f"worklist_gates.csv: gate {gate} has no row in force on {day} for the pack {pack}"
        ):
            holds_back(gate, pack, day)
