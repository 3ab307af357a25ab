# SPDX-License-Identifier: MIT
"""What the tests of the rooms dialect share: a server with its secrets, clients of its doors, tokens, its refusals.

It is no test itself; python3-websockets and PyJWT have to be there.
"""
import asyncio
import base64
import hashlib
import json
import os
import subprocess
import time

import jwt
import websockets

import kit
from kit import Folder, LINNET, PATIENCE, UPGRADE, request, same, soon, true

SECRET = "jwt-" + "0123456789abcdef" * 4
ADMIN = "admin-" + "fedcba9876543210" * 2
PASSWORD = "correct horse"
folder = Folder(prefix="linnet-rooms-")
path = folder.path
path("secret", SECRET + "\n")
path("admin", ADMIN + "\n")


def linnet(*words, stdin="", code=0, env=None):
    done = subprocess.run([LINNET, *words], input=stdin, capture_output=True, text=True, timeout=PATIENCE,
                          env={**clean_environment(), **(env or {})})
    same("exit code of %s (%s)" % (words, done.stderr), done.returncode, code)
    return done.stdout if code == 0 or done.stdout else done.stderr


def clean_environment():
    return {k: v for k, v in os.environ.items() if not k.startswith("LINNET_") or k == "LINNET_IO"}


def pbkdf2(password, rounds, size):
    salt = os.urandom(16)
    key = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, rounds, size)
    return "%d$%s$%s" % (rounds, base64.b64encode(salt).decode(), base64.b64encode(key).decode())


def token(secret=SECRET, lifetime=600, **claims):
    return jwt.encode({"sub": "u-1", "exp": int(time.time()) + lifetime, **claims}, secret, algorithm="HS256")


class Server(kit.Server):
    """Sees nothing of our environment, and is asked and administered."""

    def __init__(self, *args, env=None):
        super().__init__(*args, env={**clean_environment(), **(env or {})})

    def url(self, query=""):
        return super().url("/rooms" + query)

    def ask(self, method, target, fields=None, body=b"", source=None):
        """Status, head and body of a request; of a connection that ends after it."""
        with Raw(self, method, target, {**(fields or {}), "Connection": "close", "Content-Length": str(len(body))}, body, source) as c:
            return c.status, c.head, c.all()

    def metrics(self, form=""):
        status, _, body = self.ask("GET", "/_admin/metrics" + form, {"Authorization": "Bearer " + ADMIN})
        same("status of metrics", status, 200)
        return json.loads(body)

    def settle(self, **wanted):
        """Waits until the metrics say so."""
        end = time.monotonic() + PATIENCE
        while True:
            got = self.metrics()
            if all(got[k] == v for k, v in wanted.items()):
                return got
            true("%s is not %s" % ({k: got[k] for k in wanted}, wanted), time.monotonic() < end)
            time.sleep(0.01)

    def broadcast(self, text, query="", source=None):
        return self.ask("POST", "/_admin/broadcast" + query, {"Authorization": "Bearer " + ADMIN},
                        text if isinstance(text, bytes) else text.encode(), source)[0]


def administered(*args, **more):
    return Server("--admin-secret-file", path("admin"), *args, **more)


class Raw(kit.Raw):
    """Takes a server, and tells why it was closed."""

    def __init__(self, server, method="GET", target="/rooms", fields=UPGRADE, body=b"", source=None):
        super().__init__(server.port, request(target, {"Host": "127.0.0.1:%d" % server.port, **fields}, method) + body, source=source)

    def closed(self):
        """Code and reason of the close frame, whatever comes before it."""
        first, payload = self.receive()
        while first != 0x88:
            first, payload = self.receive()
        return int.from_bytes(payload[:2], "big"), payload[2:].decode()


def handshake(server, query="", source=None, **changes):
    """Status and parsed error of an upgrade; None for the error of a 101. Underscores stand for hyphens."""
    fields = {**UPGRADE, **{name.replace("_", "-"): value for name, value in changes.items()}}
    with Raw(server, "GET", "/rooms" + query, fields, source=source) as c:
        if c.status == 101:
            return 101, None
        true("it is JSON: %s" % c.head, "Content-Type: application/json\r\n" in c.head)
        body = c.all()
        true("it ends with a newline", body.endswith(b"\n"))
        return c.status, json.loads(body)


def error(code, message, category, kind):
    return {"error": {"code": code, "message": message, "category": category, "type": kind}}


AUTH = ("auth_error", "forbidden_request")
INVALID = ("validation_error", "validation_failure")
BAD_TOKEN = (403, error("WEBSOCKET_INVALID_TOKEN", "forbidden: invalid token", *AUTH))
BAD_PASSWORD = (403, error("WEBSOCKET_ROOM_FORBIDDEN", "forbidden: bad room password", *AUTH))
ROOM_FULL = (429, error("WEBSOCKET_JOIN_DENIED", "websocket room at capacity", "rate_limit_error", "rate_limited"))
ALL_FULL = (503, error("WEBSOCKET_JOIN_DENIED", "websocket hub at capacity", "server_error", "service_unavailable"))
DENIED = error("WEBSOCKET_JOIN_DENIED", "websocket room join denied", "rate_limit_error", "rate_limited")
DENIED_ALL = error("WEBSOCKET_JOIN_DENIED", "websocket room join denied", "server_error", "service_unavailable")
FORBIDDEN = (403, error("WEBSOCKET_ROOM_FORBIDDEN", "websocket room access denied", *AUTH))
BAD_ROOM = (400, error("WEBSOCKET_INVALID_ROOM", "invalid websocket room", *INVALID))
ENTERED = (101, None)


def with_tokens(*args, **more):
    return administered("--auth-secret-file", path("secret"), *args, **more)


def strict(*args, **more):
    return with_tokens("--rooms", "strict", *args, **more)


def engine_refuses(server, wanted, what, method="GET", **changes):
    fields = {**UPGRADE, **{name.replace("_", "-"): value for name, value in changes.items()}}
    with Raw(server, method, "/rooms", fields) as c:
        same("status for " + what, c.status, wanted)
        return c.head


def connect(url, **more):
    return websockets.connect(url, ping_interval=None, open_timeout=PATIENCE, close_timeout=PATIENCE, **more)


def bearer(text):
    return {"extra_headers": {"Authorization": "Bearer " + text}}


async def ended(ws):
    """Code and reason that the server closed with; what came before it is forgotten."""
    try:
        while True:
            await soon(ws.recv())
    except websockets.ConnectionClosed:
        return ws.close_code, ws.close_reason


async def silent(ws, seconds=0.3):
    try:
        text = await asyncio.wait_for(ws.recv(), seconds)
    except asyncio.TimeoutError:
        return
    raise AssertionError("it got %r" % text)
