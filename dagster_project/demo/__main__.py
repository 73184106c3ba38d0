"""`python -m dagster_project.demo`: serve a morning's book until Ctrl-C, or write it as files.

Prints one line of JSON with the address and the token once it listens, then what to paste into a shell.
"""

from __future__ import annotations

import argparse
import csv
import gc
import json
import os
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from threading import Thread

from dagster_project.demo import book


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    gc.disable()  # a book is a million objects and no garbage; looking for some takes a third of the time
    if options.write_files is not None:
        _write(options)
        return 0
    return _serve(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dagster_project.demo", description=__doc__)
    parser.add_argument(
        "--as-of", type=date.fromisoformat, default=datetime.now(UTC).date(), help="the morning (default: today, UTC)"
    )
    parser.add_argument("--seed", default=book.SEED, help="another seed is another company")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the number of customers (default: 1)")
    parser.add_argument("--clean", action="store_true", help="leave out the few records that cannot be read")
    serving = parser.add_argument_group("serving")
    serving.add_argument("--port", type=int, default=0, help="0 is any free one (default)")
    serving.add_argument("--token", help="what callers must bear (default: a new one)")
    serving.add_argument("--exit-with-stdin", action="store_true", help="end when standard input does")
    writing = parser.add_argument_group("writing")
    writing.add_argument(
        "--write-files", type=Path, metavar="DIR", help="write the datasets there, for ARREARS_SOURCE=files, and end"
    )
    writing.add_argument("--format", choices=("csv", "parquet"), default="csv")
    return parser


def _build(options: argparse.Namespace) -> dict[str, book.Table]:
    return book.build(options.as_of, seed=options.seed, scale=options.scale, unreadable=not options.clean)


def _serve(options: argparse.Namespace) -> int:
    import secrets

    from dagster_project.demo.server import DemoServer

    token = options.token or secrets.token_urlsafe(18)
    try:
        server = DemoServer(lambda: _build(options), token, options.port)
    except OSError as taken:
        print(f"port {options.port}: {taken.strerror}. --port 0 takes any free one", file=sys.stderr)
        return 1
    print(json.dumps({"url": server.url, "token": token, "as_of": options.as_of.isoformat()}))
    print(
        f"export ARREARS_SOURCE=rest ARREARS_BUREAU=rest\nexport ARREARS_REST_URL={server.url} ARREARS_REST_TOKEN={token}",
        flush=True,
    )
    if options.exit_with_stdin:
        Thread(target=_end_with_stdin, name="demo-stdin", daemon=True).start()
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()
    return 0


def _end_with_stdin() -> None:
    while sys.stdin.buffer.read(4096):
        pass
    os._exit(0)  # whoever wanted the answers is gone


def _write(options: argparse.Namespace) -> None:
    folder: Path = options.write_files
    folder.mkdir(parents=True, exist_ok=True)
    for dataset, table in _build(options).items():
        path = folder / f"{dataset}.{options.format}"
        if options.format == "parquet":
            _parquet(table, path)
            continue
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(table.columns)
            writer.writerows([_text(value) for value in row] for row in table.rows)
        print(f"{path}: {len(table.rows):,} rows")


def _text(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


def _parquet(table: book.Table, path: Path) -> None:
    """Every value as text, which is what a file of unreadable records can be; the loader types it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = zip(*table.rows, strict=True) if table.rows else [[]] * len(table.columns)
    texts = [[None if value is None else str(_text(value)) for value in column] for column in columns]
    arrays = [pa.array(column, pa.string()) for column in texts]
    pq.write_table(pa.table(dict(zip(table.columns, arrays, strict=True))), path)
    print(f"{path}: {len(table.rows):,} rows")


if __name__ == "__main__":
    sys.exit(main())
