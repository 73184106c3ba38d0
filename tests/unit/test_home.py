"""The home is private to its user and a group; only what is published and the inbox are opened, and only as far as they must be."""

from __future__ import annotations

import grp
import os
import stat
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest

from dagster_project.contract import DATASETS
from dagster_project.duck import connect
from dagster_project.home import keep_private
from dagster_project.incoming.intake import take_in
from dagster_project.landing import Landing
from dagster_project.seals import FILE, key_in
from dagster_project.settings import Settings, SettingsError
from dagster_project.warehouse import Warehouse, publish

MONDAY = date(2025, 6, 2)


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
def any_umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.fixture
def bi_group() -> str:
    """A group this user may give files to, other than the one files have anyway where there is one."""
    mine = {os.getegid(), *os.getgroups()}
    groups = [group for group in grp.getgrall() if os.geteuid() == 0 or group.gr_gid in mine]
    other = [group.gr_name for group in groups if group.gr_gid != os.getegid()]
    return other[0] if other else grp.getgrgid(os.getegid()).gr_name


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def work(settings: Settings) -> None:
    """A little of everything a night writes."""
    Landing(settings.landing, settings.quarantine).land(DATASETS["companies"], None, MONDAY)
    take_in(settings.inbox, settings.worklists, Landing(settings.landing, settings.quarantine), MONDAY, key_in(settings.home))
    built = Warehouse(settings.warehouse / f"{MONDAY}.test")
    built.create()
    con = connect(str(built.marts))
    con.execute("create schema marts.marts; create table marts.marts.open_items as select 1 as one")
    con.close()
    built.release()
    publish(built.marts, settings.published, MONDAY, {"run_id": "r1"}, group=settings.published_group)


def test_nobody_but_user_and_group_reads_and_nobody_but_the_user_writes_outside_the_inbox(
    any_umask: None, make_settings: Callable[..., Settings]
) -> None:
    settings = make_settings()
    keep_private(settings)
    work(settings)

    for path in (settings.home, *settings.home.rglob("*")):
        if path.is_symlink() or path.name.endswith(".lock"):  # a lock holds nothing, and says its mode itself
            continue
        expected = 0o2770 if path == settings.inbox else 0o750 if path.is_dir() else 0o600 if path.name == FILE else 0o640
        assert mode(path) & (0o777 if path.parent == settings.inbox else 0o7777) == expected, path


def test_what_an_earlier_version_left_open_is_closed(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings()
    for folder in (settings.home, settings.landing, settings.dagster_home, settings.inbox):
        folder.mkdir(mode=0o755, exist_ok=True)
        folder.chmod(0o777)

    keep_private(settings)

    assert [mode(folder) for folder in (settings.home, settings.landing, settings.dagster_home)] == [0o750] * 3
    assert mode(settings.inbox) == 0o2770


def test_another_group_may_read_what_is_published_and_nothing_else(bi_group: str, make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(published_group=bi_group)
    for _ in range(2):  # a night after one that was run before the setting was made
        keep_private(settings)
        work(settings)
    keep_private(settings)

    assert mode(settings.home) == 0o751, "it passes through"
    assert mode(settings.published) == 0o2750
    readable = [settings.published, *settings.published.rglob("*")]
    theirs = {path for path in readable if path.exists() and not path.name.endswith(".lock")}
    assert [path for path in theirs if path.stat().st_gid != grp.getgrnam(bi_group).gr_gid] == []
    assert mode(settings.published / "marts.duckdb") == 0o640
    closed = [folder for folder in settings.home.iterdir() if folder.is_dir() and folder != settings.published]
    assert [mode(folder) & 0o007 for folder in closed] == [0] * len(closed)


def test_a_group_that_is_not_there_is_told_before_anything_begins(make_settings: Callable[..., Settings]) -> None:
    with pytest.raises(SettingsError, match="this machine has no group 'nobodys'"):
        keep_private(make_settings(published_group="nobodys"))
