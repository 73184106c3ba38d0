"""A caller who hangs up is not told to whoever reads the night."""

import socket
import struct
import threading
from http.server import BaseHTTPRequestHandler

import pytest

from dagster_project.loopback import LoopbackServer


class _Fails(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        raise ValueError("a fault of the server")

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.mark.parametrize(("hangs_up", "said"), [(True, ""), (False, "a fault of the server")])
def test_only_a_fault_of_its_own_is_said(hangs_up: bool, said: str, capfd: pytest.CaptureFixture[str]) -> None:
    server = LoopbackServer(("127.0.0.1", 0), _Fails)
    server.daemon_threads = False  # closing the server waits for its answers
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    with socket.create_connection(server.server_address[:2]) as caller:
        if hangs_up:
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            caller.sendall(b"GET / HTTP/1.0\r\n\r\n")
            caller.recv(1)
    server.shutdown()
    server.server_close()

    told = capfd.readouterr().err
    assert ("Traceback" in told) == bool(said)
    assert said in told
