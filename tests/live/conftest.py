"""Servers that tests hold the project against: real ones, where the machine has them, else skipped with the reason."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


def _program(name: str) -> str | None:
    """A program of PostgreSQL, which Debian keeps off the path."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    return str(found[0]) if found else shutil.which(name)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of an empty PostgreSQL of this test run's own, without the database's name."""
    if not (initdb := _program("initdb")) or not (server := _program("postgres")):
        pytest.skip("no PostgreSQL server is installed (Debian: apt-get install postgresql)")
    as_another = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []  # it refuses to run as root
    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        if as_another:
            shutil.chown(folder, "postgres")
        subprocess.run(
            [*as_another, initdb, "-D", f"{folder}/db", "-A", "trust", "-E", "UTF8", "-U", "arrears"],
            check=True,
            capture_output=True,
        )
        probe.close()
        command = [
            *as_another,
            server,
            "-D",
            f"{folder}/db",
            "-p",
            str(port),
            "-k",
            folder,
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            "fsync=off",
        ]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
            address = f"postgresql+psycopg://arrears@127.0.0.1:{port}"
            try:
                _wait_for(address)
                yield address
            finally:
                subprocess.run(
                    [*as_another, "kill", "-INT", str((Path(folder) / "db" / "postmaster.pid").read_text().split()[0])],
                    check=False,
                )
                running.wait(30)


def _wait_for(address: str) -> None:
    import sqlalchemy as sa
    from tenacity import Retrying, stop_after_delay, wait_fixed

    for attempt in Retrying(stop=stop_after_delay(30), wait=wait_fixed(0.2), reraise=True):
        with attempt, sa.create_engine(f"{address}/postgres").connect() as connection:
            connection.exec_driver_sql("select 1")
