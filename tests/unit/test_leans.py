"""Where the project leans on the insides of a library: one canary each, that says what the lean is for and until when it is needed.

An upgrade that breaks one of these breaks a night. What breaks here is mended, or given up, before the version is raised.
"""

from __future__ import annotations

import ast
import inspect
import re
import sqlite3
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import xlsxwriter

from dagster_project import tables
from dagster_project.paths import DBT_PROJECT, ROOT


def test_dagsters_sqlite_files_are_opened_where_ours_are_instead() -> None:
    """For `defs/history.py`: one engine a file saves some 12 s a night. Until Dagster keeps its engines itself."""
    from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
    from dagster._core.storage.runs.sqlite.sqlite_run_storage import SqliteRunStorage

    for store, opens, inside in (
        (SqliteEventLogStorage, "_connect", {"_db_lock", "_initialized_dbs", "_initdb"}),
        (SqliteRunStorage, "connect", {"_conn_string"}),
    ):
        made = inspect.getsource(getattr(store, opens))
        assert re.search(r"\bcreate_engine\([^)]*poolclass=NullPool", made), "an engine an event"
        assert inside <= set(re.findall(r"self\.(_\w+)", made)), "what ours uses as it does"


def test_dagster_asks_its_sqlite_files_for_their_schema_at_each_event() -> None:
    """For `defs/history.py`: asked once, it saves some 2 s a night. Until Dagster remembers it itself."""
    from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
    from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

    from dagster_project.defs.history import SCHEMA

    for asks, last in zip(SCHEMA, ("table_name", "column_name"), strict=True):
        assert list(inspect.signature(getattr(SqliteEventLogStorage, asks)).parameters)[-1] == last
    for stores in (SqlEventLogStorage._store_asset_event, SqlEventLogStorage.store_asset_check_event):
        assert re.search(r"_has_asset_key_index_cols_on_connection|supports_asset_checks", inspect.getsource(stores))


def test_sqlite_knows_the_mode_that_spares_the_disk() -> None:
    """For `defs/history.py`: `synchronous = normal` under write-ahead logging. As long as Dagster's store is SQLite."""
    with sqlite3.connect(":memory:") as connection:
        connection.execute("pragma synchronous = normal")
        assert connection.execute("pragma synchronous").fetchone() == (1,)


def test_dbt_duckdb_keeps_its_connection_where_the_marts_are_forced_from() -> None:
    """For `engines/duckdb.py`: only the marts are written out at a night's end, not gigabytes of what nobody opens. Until dbt-duckdb
    lets a run say which attached file to checkpoint."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.adapters.duckdb.environments import local

    assert hasattr(DuckDBConnectionManager, "_ENV")
    assert callable(DuckDBConnectionManager.close_all_connections)
    assert "self.conn" in inspect.getsource(local)


def test_dbt_reads_a_parsed_project_and_takes_it_as_a_manifest(manifest: dict[str, Any]) -> None:
    """For `dbt_build._project`: a night does not parse 100 models again, 2 to 4 s. Until partial parsing survives `--vars`."""
    from dbt.cli.main import dbtRunner
    from dbt.contracts.graph.manifest import Manifest

    read = Manifest.from_msgpack((DBT_PROJECT / "target" / "partial_parse.msgpack").read_bytes())  # type: ignore[attr-defined]

    assert set(read.nodes) >= set(manifest["nodes"])
    assert "manifest" in inspect.signature(dbtRunner.__init__).parameters


def test_dbts_own_table_keeps_what_ours_leaves_out_to_the_hooks_and_the_commit() -> None:
    """For `macros/materialize_table.sql`: dbt-duckdb's table costs two renames a model. What it does beside (grants, docs,
    indexes) no table of ours uses; a step that is new there is looked at here."""
    import dbt.include.duckdb as included

    (path,) = Path(included.__path__[0]).rglob("table.sql")
    steps = re.findall(
        r"(run_hooks|grant_config|apply_grants|persist_docs|create_indexes|adapter\.commit|make_hook_config)",
        path.read_text("utf-8"),
    )

    assert set(steps) <= {"run_hooks", "grant_config", "apply_grants", "persist_docs", "create_indexes", "adapter.commit"}
    text = (DBT_PROJECT / "dbt_project.yml").read_text("utf-8")
    assert not re.search(r"\+(grants|persist_docs|indexes):", text), "our table would not do it"


@pytest.mark.parametrize("name", ["_write_single_row", "_xml_inline_string", "_xml_start_tag", "_xml_end_tag"])
def test_xlsxwriter_writes_rows_by_the_methods_that_long_sheets_use(name: str) -> None:
    """For `outgoing/workbook/sheets.py`: a long list in a fifth of the time. Until xlsxwriter takes columns of text."""
    from xlsxwriter.worksheet import Worksheet

    assert callable(getattr(Worksheet, name))


def test_xlsxwriter_keeps_rows_links_and_styles_where_long_sheets_put_them(tmp_path: Path) -> None:
    """For `outgoing/workbook/`: rows go into `row_data_fh`, links into `fh` with a count, a style by its index. As above."""
    with xlsxwriter.Workbook(str(tmp_path / "book.xlsx"), {"constant_memory": True}) as book:
        sheet = book.add_worksheet()
        sheet.write(0, 0, "first")
        assert sheet.row_data_fh.encoding.lower().replace("-", "") == "utf8"
        assert sheet.rel_count == 0
        assert sheet.external_hyper_links == []
        assert isinstance(book.add_format({"bold": True})._get_xf_index(), int)
    assert hasattr(xlsxwriter.workbook, "ZipFile"), "the level of compression is set through this name"


def test_arrow_keeps_texts_one_behind_the_other_with_short_offsets() -> None:
    """For `tables.in_a_row`: no Python string is made of a cell. Other layouts of text are refused, not read wrongly."""
    texts = pa.array(["one", "", "drei"])

    assert bytes(tables.in_a_row(texts)) == b"onedrei"
    assert bytes(tables.in_a_row(texts.slice(2))) == b"drei"
    for other in (pa.large_string(), pa.string_view()):
        with pytest.raises(TypeError):
            tables.in_a_row(texts.cast(other))


def test_great_expectations_needs_for_distributions_alone_what_its_worker_does_without() -> None:
    """For `quality.UNASKED`: 1.2 s of processor time a night. Until Great Expectations imports them where they are used."""
    import great_expectations.expectations as asked

    from dagster_project import quality

    package = Path(inspect.getfile(asked)).parent
    readers = {
        path.stem
        for path in package.parent.rglob("*.py")
        if re.search(rf"^(from|import) ({'|'.join(map(re.escape, quality.UNASKED))})\b", path.read_text("utf-8"), re.MULTILINE)
    }

    assert readers == {
        "expect_column_kl_divergence_to_be_less_than",
        "column_bootstrapped_ks_test_p_value",
        "column_parameterized_distribution_ks_test_p_value",
    }
    assert set(re.findall(r"\bgxe\.(\w+)", inspect.getsource(quality))) == {
        "ExpectColumnPairValuesToBeEqual",
        "ExpectColumnValuesToBeBetween",
    }


def test_dagster_tags_a_run_with_its_partition() -> None:
    """For `defs/resources.py`: which morning a run is for, before any asset of it runs."""
    from dagster._core.storage.tags import PARTITION_NAME_TAG

    assert PARTITION_NAME_TAG == "dagster/partition"


def test_python_runs_what_is_registered_for_its_end_when_asked() -> None:
    """For `__main__._leave`: a process that imported everything ends in no time instead of 2 s. Documented for tests only: watch it when
    Python is raised."""
    import atexit

    assert callable(atexit._run_exitfuncs)


def test_every_reach_into_private_parts_is_known_here() -> None:
    """A new lean on the insides of a library is given a canary, or not made."""
    package = ROOT / "dagster_project"
    found = {}
    for path in sorted(package.rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        own = {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
        own |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)}
        reached = {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and re.match("_[a-zA-Z]", node.attr)
            and node.attr != "_replace"  # of a named tuple, and public
            and ast.unparse(node.value) not in ("self", "cls", "os")
        }
        if reached - own:
            found[str(path.relative_to(package))] = reached - own

    assert found == {
        "__main__.py": {"_run_exitfuncs"},
        "defs/history.py": {"_conn_string", "_db_lock", "_initdb", "_initialized_dbs"},
        "engines/duckdb.py": {"_ENV"},
        "engines/spark.py": {"_jsc", "_jvm"},
        "outgoing/workbook/book.py": {"_get_xf_index"},
    }
