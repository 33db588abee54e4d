"""A web server on this machine that serves videos in ranges, counts who asks for what, and fails as it is told."""

import http.server
import re
import socket
import struct
import threading
import time
from collections import Counter

# As a network would: a client that hangs up early has not been sent everything.
PIECE = 65536
BYTES_PER_SECOND = 40e6
PAGE = b"<html><body>words</body></html>"


class VideoServer:
    """Serves `video` at every path, unless `faults` names another behaviour for the path.

    Behaviours: a number is an HTTP status; stall, reset, truncated, html (a page), dressed (a page that says it is
    a video), whole (no ranges), endless, large (states 3 MB of zeros), `-> URL` (a redirect), or bytes that are served
    as a video.

    Attributes:
        address: http://127.0.0.1:port.
        faults: behaviour by path.
        requests: number of requests by path.
        sent: bytes of bodies by path.
        cookies: the last cookies by path.
        proxied: hosts that it was asked for as a proxy.
        credentials: that came with such requests.
    """

    def __init__(self, video: bytes) -> None:
        self.video = video
        self.faults: dict[str, object] = {}
        self.requests: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self.cookies: dict[str, str] = {}
        self.proxied: set[str] = set()
        self.credentials: set[str] = set()
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        outer = self

        class Handler(_Handler):
            server_of = outer

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "VideoServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def count(self, path: str, sent: int = 0, asked: int = 0) -> None:
        with self._lock:
            self.requests[path] += asked
            self.sent[path] += sent


class _Handler(http.server.BaseHTTPRequestHandler):
    server_of: VideoServer
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        # Else megabytes wait in this machine's buffers, and count as sent, while the client thinks.
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, PIECE)
        super().setup()

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        server = self.server_of
        if self.path.startswith("http://"):
            host, _, rest = self.path.removeprefix("http://").partition("/")
            server.proxied.add(host)
            server.credentials.add(self.headers.get("Proxy-Authorization", ""))
            self.path = f"/{rest}"
        path = self.path.split("?")[0]
        server.count(path, asked=1)
        server.cookies[path] = self.headers.get("Cookie", "")
        fault = server.faults.get(path, "")
        self.close_connection = True
        if isinstance(fault, int):
            self._answer(fault, "text/plain", b"")
        elif fault == "html":
            self._answer(200, "text/html", PAGE)
        elif fault == "dressed":
            self._answer(200, "video/mp4", PAGE)
        elif isinstance(fault, str) and fault.startswith("-> "):
            self.send_response(302)
            self.send_header("Location", fault[3:])
            self.send_header("Content-Length", "0")
            self.send_header("Connection", "close")
            self.end_headers()
        elif fault == "reset":
            # Closing with a linger time of 0 sends a reset.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        elif fault == "stall":
            self._head(200, {"Content-Length": "5000"})
            server.stopping.wait(60)
        elif fault in ("endless", "endless page"):
            self._head(200, {}, "video/mp4" if fault == "endless" else "text/html")
            self.close_connection = False
            while not server.stopping.is_set() and not self.close_connection:
                self._send((b"\0" if fault == "endless" else b"<") * (65536 if fault == "endless" else 16 << 20))
                if "slowly" in self.path:
                    server.stopping.wait(0.02)
        elif fault == "large":
            self._body(b"\0" * 3_000_000, whole=True)
        elif isinstance(fault, bytes):
            self._body(fault)
        else:
            self._body(server.video, whole=fault == "whole", cut=fault == "truncated")

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self._head(status, {"Content-Length": str(len(body))}, kind)
        if self.command == "GET":
            self._send(body)

    def _body(self, content: bytes, *, whole: bool = False, cut: bool = False) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        headers = {} if whole else {"Accept-Ranges": "bytes"}
        part = content
        status = 200
        if asked and not whole:
            first = int(asked[1])
            last = min(int(asked[2] or len(content)), len(content) - 1)
            part, status = content[first : last + 1], 206
            headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
        self._head(status, {**headers, "Content-Length": str(len(part))})
        if self.command == "GET":
            self._send(part[: len(part) // 2] if cut else part)

    def _head(self, status: int, headers: dict[str, str], kind: str = "video/mp4") -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Connection": "close", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, content: bytes) -> None:
        try:
            for start in range(0, len(content), PIECE):
                self.wfile.write(content[start : start + PIECE])
                self.wfile.flush()
                self.server_of.count(self.path.split("?")[0], sent=min(PIECE, len(content) - start))
                time.sleep(PIECE / BYTES_PER_SECOND)
        except OSError:  # The client has had enough.
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass
