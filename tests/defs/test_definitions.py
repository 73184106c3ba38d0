"""What Dagster knows of this project, held against a text that a person can read and a change must touch."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from dagster_project.contract import DATASETS
from dagster_project.definitions import build_defs
from dagster_project.defs.automation.mornings import mornings_of
from dagster_project.defs.automation.nightly import nightly_schedule
from dagster_project.defs.transformation.nodes import UNIQUE_ID
from dagster_project.paths import ROOT
from dagster_project.policy import ever_blocks
from dagster_project.settings import Settings

GOLDEN = ROOT / "tests" / "golden" / "definitions.txt"


@pytest.fixture(scope="module")
def defs(manifest: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    return build_defs(Settings(home=tmp_path_factory.mktemp("home")))


def specs(defs: dg.Definitions) -> list[dg.AssetSpec]:
    return [spec for asset in defs.assets or [] for spec in asset.specs]  # type: ignore[union-attr]


def check_specs(defs: dg.Definitions) -> list[dg.AssetCheckSpec]:
    makers = [*(defs.assets or []), *(defs.asset_checks or [])]
    return [spec for maker in makers for spec in maker.check_specs]  # type: ignore[union-attr]


def described(defs: dg.Definitions) -> Iterator[str]:
    for spec in sorted(specs(defs), key=lambda spec: spec.key.to_user_string()):
        yield f"asset {spec.key.to_user_string()} in {spec.group_name}"
    for check in sorted(check_specs(defs), key=lambda check: (check.asset_key.to_user_string(), check.name)):
        yield f"check {check.asset_key.to_user_string()} {check.name}{' stops the morning' if check.blocking else ''}"
    for job in defs.jobs or []:
        yield f"job {job.name}"
    for schedule in defs.schedules or []:
        assert isinstance(schedule, dg.ScheduleDefinition)
        yield (
            f"schedule {schedule.name} of {schedule.job_name} at {schedule.cron_schedule} in {schedule.execution_timezone}, "
            f"{schedule.default_status.value.lower()} by default"
        )
    for sensor in defs.sensors or []:
        yield f"sensor {sensor.name} every {sensor.minimum_interval_seconds} s, {sensor.default_status.value.lower()} by default"


def test_dagster_knows_what_the_text_says_it_knows(defs: dg.Definitions) -> None:
    """After a change that is meant: `ARREARS_UPDATE_GOLDEN=1 make test`, and look at the difference."""
    text = "\n".join(described(defs)) + "\n"
    if os.environ.get("ARREARS_UPDATE_GOLDEN"):
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(text, "utf-8")

    assert text.splitlines() == GOLDEN.read_text("utf-8").splitlines()


def test_every_asset_says_whose_it_is_what_it_is_made_with_and_what_it_answers(defs: dg.Definitions) -> None:
    faults = [
        f"{spec.key.to_user_string()} has no {what}"
        for spec in specs(defs)
        for what, there in {
            "owner": spec.owners,
            "kind": spec.kinds,
            "group": spec.group_name not in (None, "default"),
            "description": (spec.description or "").strip(),
        }.items()
        if not there
    ]

    assert faults == []


def test_the_groups_are_the_stages(defs: dg.Definitions) -> None:
    groups = {spec.group_name or "" for spec in specs(defs)}

    assert {"ingestion", "staging", "intermediate", "policy", "delivery"} <= groups
    assert all(group.startswith("marts_") for group in groups - {"ingestion", "staging", "intermediate", "policy", "delivery"})


def test_every_dataset_is_an_asset_under_its_dbt_source_and_staging_hangs_on_it(defs: dg.Definitions) -> None:
    by_key = {spec.key: spec for spec in specs(defs)}
    read = {dep.asset_key for spec in by_key.values() for dep in spec.deps}

    for dataset in DATASETS.values():
        key = dg.AssetKey([dataset.group, dataset.name])
        assert key in by_key
        assert key in read, "and somebody reads it"


def test_lineage_goes_through_what_stands_within_its_reader(defs: dg.Definitions, manifest: dict[str, Any]) -> None:
    by_node = {spec.metadata[UNIQUE_ID]: spec for spec in specs(defs) if UNIQUE_ID in spec.metadata}
    nodes = {**manifest["sources"], **manifest["nodes"]}
    within = {name for name, node in nodes.items() if node["config"].get("materialized") == "ephemeral"}
    readers = [name for name in by_node if within & set(manifest["parent_map"][name])]

    assert readers
    assert within.isdisjoint(by_node)
    for name in readers:
        read = {spec.asset_key for spec in by_node[name].deps}
        for inner in within & set(manifest["parent_map"][name]):
            beyond = set(manifest["parent_map"][inner]) - within
            keys = {by_node[n].key if n in by_node else dg.AssetKey([nodes[n]["source_name"], nodes[n]["name"]]) for n in beyond}
            assert keys <= read, f"{name} reads {inner}"


def test_an_asset_shows_the_columns_that_the_yaml_describes(defs: dg.Definitions, manifest: dict[str, Any]) -> None:
    (spec,) = (spec for spec in specs(defs) if spec.metadata.get(UNIQUE_ID) == "model.arrears.open_items")
    node = manifest["nodes"]["model.arrears.open_items"]

    shown = {column.name: (column.type, column.description) for column in spec.metadata["dagster/column_schema"].columns}
    assert shown == {column["name"]: (column["data_type"], column["description"]) for column in node["columns"].values()}
    assert spec.metadata["dagster/table_name"] == "published.marts.open_items"


def test_every_load_is_checked_and_policy_says_whether_it_stops_the_morning(defs: dg.Definitions) -> None:
    blocking = {check.asset_key.path[-1]: check.blocking for check in check_specs(defs) if check.name == "as_expected"}

    assert blocking == {name: ever_blocks(name) for name in DATASETS}
    assert blocking["invoices"] is True
    assert blocking["activities"] is False


def test_a_dbt_test_that_finds_money_wrong_stops_the_morning_and_a_warning_does_not(
    defs: dg.Definitions, manifest: dict[str, Any]
) -> None:
    severity = {n["name"]: n["config"]["severity"].lower() for n in manifest["nodes"].values() if n["resource_type"] == "test"}
    found = {check.name: check for check in check_specs(defs) if check.name in severity}
    checks = {name: check.blocking for name, check in found.items()}

    unseen = sorted(set(severity) - set(checks))
    assert unseen == [], "a test over several models needs meta dagster.ref, the model it is shown at"
    assert [name for name, check in found.items() if not check.description] == []
    assert checks == {name: how == "error" for name, how in severity.items()}


def test_what_leaves_the_house_waits_for_every_mart(defs: dg.Definitions) -> None:
    by_key = {spec.key: spec for spec in specs(defs)}
    marts = {key for key in by_key if key.path[0] == "marts"}
    published, worklists = dg.AssetKey(["delivery", "published_marts"]), dg.AssetKey(["delivery", "worklists"])

    assert len(marts) >= 10
    assert {dep.asset_key for dep in by_key[published].deps} == marts
    assert {dep.asset_key for dep in by_key[worklists].deps} == {published}, "the list only after the marts are out"


def test_the_night_is_one_job_over_everything_one_morning_at_a_time(defs: dg.Definitions) -> None:
    job = defs.resolve_job_def("nightly")

    assert job.partitions_def == mornings_of(Settings())
    assert {spec.key for spec in specs(defs)} <= set(job.asset_layer.executable_asset_keys)
    assert job.executor_def is dg.in_process_executor, "a process a step would import everything again"
    assert all(asset.backfill_policy == dg.BackfillPolicy.multi_run(1) for asset in defs.assets or [] if asset.partitions_def)  # type: ignore[union-attr]


# --- mornings ---------------------------------------------------------------------------------------------------------


def test_this_morning_can_be_asked_for_and_tomorrow_cannot(make_settings: Callable[..., Settings]) -> None:
    mornings = mornings_of(make_settings(timezone="Europe/Berlin"))
    now = datetime(2025, 6, 30, 0, 5, tzinfo=ZoneInfo("Europe/Berlin"))

    keys = mornings.get_partition_keys(current_time=now)

    assert keys[-1] == "2025-06-30", "although the day has hardly begun"
    assert keys[0] == "2010-01-01"
    assert mornings.get_partition_keys(current_time=datetime(2025, 6, 29, 21, 55, tzinfo=UTC))[-1] == "2025-06-29"


@pytest.mark.parametrize(
    ("zone", "tick", "morning"),
    [
        ("UTC", datetime(2025, 6, 30, 5, tzinfo=UTC), "2025-06-30"),
        ("Pacific/Pago_Pago", datetime(2025, 6, 30, 16, tzinfo=UTC), "2025-06-30"),  # UTC−11
        ("Pacific/Kiritimati", datetime(2025, 6, 29, 15, tzinfo=UTC), "2025-06-30"),  # UTC+14
        ("Europe/Berlin", datetime(2025, 3, 30, 3, tzinfo=UTC), "2025-03-30"),  # clocks went forward that night
        ("Europe/Berlin", datetime(2025, 10, 26, 4, tzinfo=UTC), "2025-10-26"),  # and back
    ],
)
def test_a_tick_asks_for_the_date_where_the_company_is(
    zone: str, tick: datetime, morning: str, make_settings: Callable[..., Settings]
) -> None:
    settings = make_settings(timezone=zone)
    schedule = nightly_schedule(settings)
    for told in (tick, tick.astimezone(ZoneInfo(zone))):
        (request,) = requests(schedule, told)

        assert request.partition_key == morning
        assert request.partition_key in mornings_of(settings).get_partition_keys(current_time=tick)
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 5 * * *", zone)
    assert tick.astimezone(ZoneInfo(zone)).hour == 5


@pytest.mark.parametrize(("environment", "status"), [("development", "STOPPED"), ("production", "RUNNING")])
def test_the_schedule_starts_by_itself_in_production_only(
    environment: str, status: str, make_settings: Callable[..., Settings]
) -> None:
    assert nightly_schedule(make_settings(environment=environment)).default_status.value == status
    assert make_settings().environment == "development"


def requests(schedule: dg.ScheduleDefinition, at: datetime) -> list[dg.RunRequest]:
    context = dg.build_schedule_context(scheduled_execution_time=at)
    return list(schedule(context))  # type: ignore[arg-type]


def test_a_tick_that_is_tried_again_does_not_start_a_second_run(make_settings: Callable[..., Settings]) -> None:
    schedule = nightly_schedule(make_settings())
    first, again = (requests(schedule, datetime(2025, 6, 30, 5, minute, tzinfo=UTC))[0] for minute in (0, 3))
    (next_day,) = requests(schedule, datetime(2025, 7, 1, 5, tzinfo=UTC))

    assert first.run_key
    assert first.run_key == again.run_key
    assert first.run_key != next_day.run_key


def test_a_missing_manifest_is_one_line_that_names_the_command(
    make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("dagster_project.dbt_build.MANIFEST", tmp_path / "manifest.json")

    with pytest.raises(RuntimeError) as missing:
        build_defs(make_settings())

    (line,) = str(missing.value).splitlines()
    assert "manifest.json is missing" in line
    assert "make setup" in line


def test_a_test_may_swap_a_resource(make_settings: Callable[..., Settings]) -> None:
    class Other:
        """Stands in for the store."""

    other = Other()
    assert (build_defs(make_settings(), resources={"landing": other}).resources or {})["landing"] is other


def test_the_first_morning_is_that_of_the_settings(make_settings: Callable[..., Settings]) -> None:
    from dagster_project.settings import FIRST_MORNING

    assert date.fromisoformat(mornings_of(make_settings()).get_first_partition_key() or "") == FIRST_MORNING
