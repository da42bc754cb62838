"""Serves computed positions in the form of http://api.open-notify.org/iss-now.json. ``python stand_in.py --port 8080``"""

from __future__ import annotations

import json
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import click
from orbit import position


class Handler(BaseHTTPRequestHandler):
    """Answers one path."""

    timeout = 10

    def do_GET(self) -> None:
        """Tell where the station is now."""
        if self.path != "/iss-now.json":
            self.send_error(404)
            return
        now = int(time.time())
        latitude, longitude = position(now)
        place = {"latitude": f"{latitude:.4f}", "longitude": f"{longitude:.4f}"}
        body = json.dumps({"message": "success", "timestamp": now, "iss_position": place}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing of each request."""


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8080, show_default=True, help="The port to listen on.")
def main(host: str, port: int) -> None:
    """Stand in for the public API of the International Space Station's position."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with ThreadingHTTPServer((host, port), Handler) as server:
        click.echo(f"stand-in on http://{host}:{server.server_port}/iss-now.json")
        server.serve_forever()


if __name__ == "__main__":
    main()
