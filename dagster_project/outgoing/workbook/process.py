"""The morning's workbooks, those of a long list in a process beside the one that writes the rest.

Belongs here: in which process workbooks are written, and what comes of a process that fails. Does not belong here: which workbooks
there are (`export.py`), what is in one (`book.py`).

The process — `python -m dagster_project.outgoing.workbook.process` — takes one request on standard input, writes, and ends; it says on
standard error why where it cannot. The tables come as Arrow streams, which neither side holds twice.
"""

from __future__ import annotations

import pickle
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from dagster_project.outgoing.facts import Facts, Listing
from dagster_project.outgoing.workbook.book import write_workbook
from dagster_project.outgoing.workbook.mart_sheets import COLLECTOR
from dagster_project.paths import ROOT

EVERYONE: Final = "worklist.xlsx"

LONG: Final = 2_000
"""Customers on the call list from which on a process of its own is worth the second it takes to start."""


@contextmanager
def workbooks(target: Path, facts: Facts, everyone: Listing, names: Mapping[str, str]) -> Iterator[None]:
    """Write everyone's workbook as `EVERYONE` and each collector's under its name; when the `with` ends they are in `target`.

    Raises:
        RuntimeError: the process that wrote them failed; the message has its words.
    """
    folder = target / f".workbooks.{secrets.token_hex(3)}"  # of its own: what a kill leaves running writes where nobody looks
    folder.mkdir()
    if everyone.actions.num_rows < LONG:
        _write(folder, facts, everyone, names)
        yield
    else:
        with _beside(folder, replace(facts, rejected=dict(facts.rejected)), everyone, names) as process:
            yield
            _, words = process.communicate()
            if process.returncode:
                raise RuntimeError(f"the workbooks could not be written: {words.decode(errors='replace').strip()}")
    for name in (EVERYONE, *names.values()):
        (folder / name).rename(target / name)
    folder.rmdir()


def _write(folder: Path, facts: Facts, everyone: Listing, names: Mapping[str, str]) -> None:
    write_workbook(folder / EVERYONE, facts, everyone)
    for collector, name in names.items():
        pa.default_memory_pool().release_unused()  # to the system: what the workbook before took
        write_workbook(folder / name, facts, _of(everyone, collector))


@contextmanager
def _beside(folder: Path, facts: Facts, everyone: Listing, names: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=ROOT
    )
    try:
        assert process.stdin
        with suppress(BrokenPipeError):  # it ended before it had read everything; its words say why
            pickle.dump((folder, facts, names, list(everyone.others)), process.stdin)
            for table in (everyone.actions, everyone.acted, everyone.held, *everyone.others.values()):
                with pa.ipc.new_stream(process.stdin, table.schema) as stream:
                    stream.write_table(table)
            process.stdin.flush()
        yield process
    finally:
        process.kill()
        process.wait()


def _serve() -> None:
    asked = sys.stdin.buffer
    folder, facts, names, others = pickle.load(asked)
    actions, acted, held, *tables = (pa.ipc.open_stream(asked).read_all() for _ in range(3 + len(others)))
    _write(folder, facts, Listing(None, actions, acted, held, dict(zip(others, tables, strict=True))), names)


def _of(everyone: Listing, collector: str) -> Listing:
    """One collector's part; of the sheets of other marts those that say whose a row is."""
    others = {name: of(table, collector) for name, table in everyone.others.items() if COLLECTOR in table.column_names}
    return Listing(
        collector, of(everyone.actions, collector), of(everyone.acted, collector), of(everyone.held, collector), others
    )


def of(table: pa.Table, collector: str) -> pa.Table:
    """The rows of a collector; "" are those that have none."""
    return table.filter(pc.equal(pc.fill_null(table.column(COLLECTOR), ""), collector))


if __name__ == "__main__":
    _serve()
