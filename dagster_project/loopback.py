"""A web server on loopback: the demo's book, the way back from a consent. What it answers belongs to whoever opens it."""

import sys
from http.server import ThreadingHTTPServer


class LoopbackServer(ThreadingHTTPServer):
    """A caller who hangs up is no fault of the server and is not written to a terminal that reads the night."""

    def handle_error(self, request: object, client_address: object) -> None:
        """Say what went wrong, unless it is that the caller is gone."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]
