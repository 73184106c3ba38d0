"""Servers that tests hold the project against: real ones, where the machine has them, else skipped with the reason."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from tenacity import Retrying, stop_after_delay, wait_fixed


def _program(name: str) -> str | None:
    """A program of PostgreSQL, which Debian keeps off the path."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    return str(found[0]) if found else shutil.which(name)


class PostgresServer:
    """A PostgreSQL of a test's own, empty at first. It can be killed, as a machine is that loses its power, and started again."""

    def __init__(self, folder: Path):
        initdb, server = _program("initdb"), _program("postgres")
        if not initdb or not server:
            pytest.skip("no PostgreSQL server is installed (Debian: apt-get install postgresql)")
        self.folder = folder
        self._server = server
        self._as_another = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []  # it refuses to run as root
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        if self._as_another:
            shutil.chown(folder, "postgres")
        made = [*self._as_another, initdb, "-D", f"{folder}/db", "-A", "trust", "-E", "UTF8", "-U", "arrears"]
        subprocess.run(made, check=True, capture_output=True)

    @property
    def address(self) -> str:
        """An SQLAlchemy address, without the database's name."""
        return f"postgresql+psycopg://arrears@127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return int((self.folder / "db" / "postmaster.pid").read_text().split()[0])

    def start(self) -> None:
        settings = ["listen_addresses=127.0.0.1", "fsync=off", "max_connections=1200"]
        command = [*self._as_another, self._server, "-D", f"{self.folder}/db", "-p", str(self.port), "-k", str(self.folder)]
        command += [part for setting in settings for part in ("-c", setting)]
        self._running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        engine = sa.create_engine(f"{self.address}/postgres")
        for attempt in Retrying(stop=stop_after_delay(60), wait=wait_fixed(0.2), reraise=True):
            with attempt, engine.connect() as connection:
                connection.exec_driver_sql("select 1")
        engine.dispose()

    def kill(self) -> None:
        """End every process of it at once, with nothing written that was not."""
        self._end(signal.SIGQUIT)

    def stop(self) -> None:
        self._end(signal.SIGINT)

    def _end(self, how: signal.Signals) -> None:
        subprocess.run([*self._as_another, "kill", f"-{how.value}", str(self.pid)], check=False)
        self._running.wait(60)


@contextmanager
def _started() -> Iterator[PostgresServer]:
    with tempfile.TemporaryDirectory() as folder:
        server = PostgresServer(Path(folder))
        server.start()
        try:
            yield server
        finally:
            if server._running.poll() is None:
                server.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of an empty PostgreSQL of this test run's own, without the database's name."""
    with _started() as server:
        yield server.address


@pytest.fixture
def mortal_postgres() -> Iterator[PostgresServer]:
    """One of a test's own that it may kill."""
    with _started() as server:
        yield server


@pytest.fixture
def database(postgres: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of an empty database."""
    name = f"books_{abs(hash(request.node.name))}"
    server = sa.create_engine(f"{postgres}/postgres", isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.exec_driver_sql(f"create database {name}")
    yield f"{postgres}/{name}"
    with server.connect() as connection:
        connection.exec_driver_sql(f"drop database {name} with (force)")
    server.dispose()


@pytest.fixture
def mailbox() -> Iterator[str]:
    """The address of an IMAP server of this test's own; every user's password is pa55word."""
    if not (server := shutil.which("dovecot") or shutil.which("dovecot", path="/usr/sbin")):
        pytest.skip("no Dovecot is installed (Debian: apt-get install dovecot-imapd)")
    if os.geteuid() != 0:
        pytest.skip("Dovecot is started as root here")
    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        os.chmod(folder, 0o755)
        (Path(folder) / "mail").mkdir()
        shutil.chown(Path(folder) / "mail", "mail", "mail")
        settings = Path(folder) / "dovecot.conf"
        settings.write_text(
            f"""
            base_dir = {folder}/run
            log_path = {folder}/log
            protocols = imap
            listen = 127.0.0.1
            ssl = no
            disable_plaintext_auth = no
            first_valid_uid = 1
            mail_location = maildir:{folder}/mail/%u
            passdb {{
              driver = static
              args = password=pa55word
            }}
            userdb {{
              driver = static
              args = uid=mail gid=mail home={folder}/mail/%u
            }}
            service imap-login {{
              chroot =
              inet_listener imap {{
                port = {port}
              }}
              inet_listener imaps {{
                port = 0
              }}
            }}
            service anvil {{
              chroot =
            }}
            """
        )
        with subprocess.Popen([server, "-F", "-c", str(settings)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as running:
            try:
                for _ in range(100):
                    with socket.socket() as knocking:
                        if knocking.connect_ex(("127.0.0.1", port)) == 0:
                            break
                    time.sleep(0.1)
                yield f"127.0.0.1:{port}"
            finally:
                running.terminate()
                running.wait(20)
