"""A server that stands in for S3, on loopback: what its documents say of the requests that landing makes, and nothing else.

Belongs here: put (conditional, and in parts), get, head, list in pages, delete, one at a time or many; the errors for a bucket that is not
there, credentials that are not right, and a server that is busy or hangs up. Does not belong here: what lies in it.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape, unescape

from dagster_project.loopback import LoopbackServer
from tests.listening import listening

KEY, SECRET, BUCKET = "AKIASTANDIN", "s3cr3t-of-the-stand-in", "arrears"

PAGE = 7
"""Names in a page of a listing: fewer than a night's, so that pages are turned."""


class Store(LoopbackServer):
    """`objects`: what is in the bucket. `heard`: method and name of each request. `watch` is told of each before it is carried out and
    after, and may raise `Refuse`; `dumb`: it overwrites whatever it is asked only to create."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[str, tuple[bytes, datetime]] = {}
        self.parts: dict[str, dict[int, bytes]] = {}
        self.heard: list[tuple[str, str]] = []
        self.turn = threading.RLock()
        self.watch: Callable[[str, str, bool], None] = lambda method, name, done: None
        self.dumb = False

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.server_address[1]}",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "eu-central-1",
        }

    def writes(self) -> list[str]:
        return [name for method, name in self.heard if method in ("PUT", "POST", "DELETE")]


class Refuse(Exception):
    """An answer instead of the right one; `status` 0 hangs up."""

    def __init__(self, status: int, code: str = "SlowDown"):
        super().__init__(code)
        self.status, self.code = status, code


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Store

    def handle_one(self) -> None:
        address = urlsplit(self.path)
        query = dict(parse_qsl(address.query, keep_blank_values=True))
        bucket, _, name = unquote(address.path.lstrip("/")).partition("/")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        store = self.server
        with store.turn:
            store.heard.append((self.command, name))
            try:
                if f"Credential={KEY}/" not in self.headers.get("Authorization", ""):
                    raise Refuse(403, "InvalidAccessKeyId")
                if bucket != BUCKET:
                    raise Refuse(404, "NoSuchBucket")
                store.watch(self.command, name, False)
                status, headers, content = self._answer(name, query, body)
                store.watch(self.command, name, True)
            except Refuse as refused:
                if not refused.status:
                    self.close_connection = True
                    self.connection.close()
                    return
                status, headers, content = refused.status, {}, f"<Error><Code>{refused.code}</Code></Error>".encode()
        self.send_response(status)
        for header, value in headers.items():
            self.send_header(header, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_one  # noqa: N815

    def _answer(self, name: str, query: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        objects = self.server.objects
        if self.command == "GET" and not name:
            return self._listed(query)
        if self.command == "POST" and "delete" in query:
            gone = [unescape(found.decode()) for found in re.findall(rb"<Key>(.*?)</Key>", body)]
            for found in gone:
                objects.pop(found, None)
            told = "".join(f"<Deleted><Key>{escape(found)}</Key></Deleted>" for found in gone)
            return 200, {}, f"<DeleteResult>{told}</DeleteResult>".encode()
        if self.command == "POST" and "uploads" in query:
            upload = hashlib.md5(name.encode()).hexdigest()
            self.server.parts[upload] = {}
            told = f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>"
            return 200, {}, told.encode()
        if self.command == "PUT" and "uploadId" in query:
            self.server.parts[query["uploadId"]][int(query["partNumber"])] = body
            return 200, {"ETag": _tag(body)}, b""
        if self.command == "POST" and "uploadId" in query:
            parts = self.server.parts.pop(query["uploadId"])
            objects[name] = (b"".join(parts[number] for number in sorted(parts)), datetime.now(UTC))
            told = f"<CompleteMultipartUploadResult><ETag>{_tag(objects[name][0])}</ETag></CompleteMultipartUploadResult>"
            return 200, {}, told.encode()
        if self.command == "PUT":
            if self.headers.get("If-None-Match") == "*" and name in objects and not self.server.dumb:
                raise Refuse(412, "PreconditionFailed")
            objects[name] = (body, datetime.now(UTC))
            return 200, {"ETag": _tag(body)}, b""
        if self.command == "DELETE":
            objects.pop(name, None)
            return 204, {}, b""
        if name not in objects:
            raise Refuse(404, "NoSuchKey")
        content, modified = objects[name]
        headers = {"ETag": _tag(content), "Last-Modified": format_datetime(modified, usegmt=True)}
        return 200, {**headers, "Content-Length": str(len(content))}, content

    def _listed(self, query: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        after = query.get("continuation-token", "")
        names = sorted(name for name in self.server.objects if name.startswith(query.get("prefix", "")) and name > after)
        told = "".join(
            f"<Contents><Key>{escape(name)}</Key><Size>{len(content)}</Size><ETag>{escape(_tag(content))}</ETag>"
            f"<LastModified>{modified:%Y-%m-%dT%H:%M:%S}.000Z</LastModified></Contents>"
            for name, (content, modified) in ((name, self.server.objects[name]) for name in names[:PAGE])
        )
        more = f"<NextContinuationToken>{escape(names[PAGE - 1])}</NextContinuationToken>" if len(names) > PAGE else ""
        return 200, {}, f"<ListBucketResult>{told}<IsTruncated>{bool(more)}</IsTruncated>{more}</ListBucketResult>".encode()

    def log_message(self, format: str, *args: object) -> None:
        """Tests read `heard`."""


def _tag(content: bytes) -> str:
    return f'"{hashlib.md5(content).hexdigest()}"'


@contextmanager
def served() -> Iterator[Store]:
    with listening(Store()) as store:
        yield store
