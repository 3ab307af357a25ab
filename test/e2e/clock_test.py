#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A wall clock that is set while `linnet` runs, by ten years: timers do not see it, tokens and the log do.

The clock is that of shifted_clock.c; a program with a sanitizer does not take it, and is not tested here. How it is run is said
in kit.py.
"""
# processor: idle
# back end: any
import contextlib
import functools
import mmap
import os
import re
import socket
import struct
import subprocess
import sys
import time

import kit
from kit import LINNET, PATIENCE, UPGRADE, Folder, Raw, Server, is_sanitized, main, prerequisites, request, same, test, true

with prerequisites("cc"):
    import jwt

YEARS = 10 * 365 * 86400
SECRET = "clock-" + "0123456789abcdef" * 4
HERE = os.path.dirname(os.path.abspath(__file__))


class Clock:
    """What $SHIFTED_CLOCK points at, and the environment of those who are to believe it."""

    def __init__(self, folder):
        library = folder.path("shifted_clock.so")
        subprocess.run(["cc", "-std=c11", "-D_GNU_SOURCE", "-O", "-shared", "-fPIC", "-o", library, os.path.join(HERE, "shifted_clock.c")],
                       check=True)
        with open(folder.path("shift"), "w+b") as file:
            file.write(bytes(8))
            file.flush()
            self.page = mmap.mmap(file.fileno(), 8)
        self.environment = {**os.environ, "LD_PRELOAD": library, "SHIFTED_CLOCK": folder.path("shift")}

    def shift(self, seconds):
        self.page[:] = struct.pack("=q", seconds)

    @contextlib.contextmanager
    def shifted(self, seconds):
        self.shift(seconds)
        try:
            yield
        finally:
            self.shift(0)


FOLDER = Folder(prefix="linnet-clock-")
CLOCK = None if is_sanitized() else Clock(FOLDER)
FOLDER.path("secret", SECRET + "\n")


def unless_sanitized(function):
    """Is a case, of nothing where the program does not take our clock."""
    @functools.wraps(function)
    def run():
        if CLOCK:
            function()

    return test(run)


def status_with(server, **claims):
    token = jwt.encode({"sub": "u", **claims}, SECRET, algorithm="HS256")
    with Raw(server.port, request("/rooms", {**UPGRADE, "Authorization": "Bearer " + token})) as c:
        return c.status


def is_open(c):
    """Does an echo come back, whatever else comes before?"""
    c.send(0x81, b"there?")
    while True:
        first, payload = c.receive()
        if first == 0x89:
            c.send(0x8a, payload)
        elif first == 0x88:
            return False
        elif payload == b"there?":
            return True


@unless_sanitized
def no_timer_fires_early():
    """Neither handshakes, nor silence, nor idleness last ten years because the clock says so."""
    with Server("--workers", "2", "--idle", "1h", "--ping-interval", "1h", env=CLOCK.environment) as s:
        with Raw(s.port, request("/echo")) as c, Raw(s.port, request("/rooms")) as room, kit.dial(s.port) as half, kit.dial(s.port) as kept:
            half.sendall(b"GET /health HTTP/1.1\r\n")
            kept.sendall(request("/health", {}))
            true("an answer", kept.recv(4096).startswith(b"HTTP/1.1 200 "))
            for seconds in (YEARS, 0, -YEARS, YEARS, -YEARS, 0):
                CLOCK.shift(seconds)
                for peer in (c, room):
                    true("it is open with %d" % seconds, is_open(peer))
                with Raw(s.port, request("/echo")) as new:
                    true("another one opens with %d" % seconds, is_open(new))
                time.sleep(0.1)
            half.sendall(b"Host: x\r\n\r\n")
            true("an answer to half a request", half.recv(4096).startswith(b"HTTP/1.1 200 "))
            kept.sendall(request("/health", {}))
            true("another answer", kept.recv(4096).startswith(b"HTTP/1.1 200 "))


@unless_sanitized
def no_timer_fires_late():
    """With a clock that goes back, what is due is done all the same."""
    with Server("--workers", "1", "--idle", "off", "--ping-interval", "500ms", "--pong-wait", "500ms", env=CLOCK.environment) as s:
        with Raw(s.port, request("/echo")) as c, kit.dial(s.port) as half:
            half.settimeout(PATIENCE)
            half.sendall(b"GET / HTTP/1.1\r\n")
            with CLOCK.shifted(-YEARS):
                same("a ping comes", c.receive()[0], 0x89)
                c.socket.settimeout(PATIENCE)
                with contextlib.suppress(ConnectionResetError):
                    while c.more():
                        pass  # nor does the end of who does not answer wait
                with contextlib.suppress(ConnectionResetError):
                    while half.recv(4096):
                        pass  # nor that of a request which does not become whole


@unless_sanitized
def tokens_are_judged_by_the_wall_clock():
    now = int(time.time())
    with Server("--workers", "1", "--auth-secret-file", FOLDER.path("secret"), env=CLOCK.environment) as s:
        for shift, claims, wanted in ((0, {"exp": now + 600}, 101), (YEARS, {"exp": now + 600}, 403), (-YEARS, {"exp": now - 600}, 101),
                                      (0, {"exp": now - 600}, 403), (YEARS, {"exp": now + YEARS + 600}, 101),
                                      (-YEARS, {"exp": now + 600, "nbf": now - 600}, 403), (0, {"exp": now + 600, "nbf": now - 600}, 101),
                                      (YEARS, {"exp": now + YEARS + 600, "nbf": now + YEARS - 600}, 101), (-2 * now, {"exp": now + 600}, None),
                                      (1 << 40, {"exp": now + 600}, 403), (1 << 56, {"exp": now + 600}, 403)):
            with CLOCK.shifted(shift):
                got = status_with(s, **claims)
                true("status %d with %d and %r" % (got, shift, claims), got == wanted or wanted is None and got in (101, 403))
        same("it runs", s.process.poll(), None)


@unless_sanitized
def a_token_ends_when_the_wall_clock_says():
    """Its timer asks the clock again when it fires."""
    with Server("--workers", "1", "--auth-secret-file", FOLDER.path("secret"), env=CLOCK.environment) as s:
        token = jwt.encode({"sub": "u", "exp": int(time.time()) + 3}, SECRET, algorithm="HS256")
        opening = request("/rooms", {**UPGRADE, "Authorization": "Bearer " + token})
        with Raw(s.port, opening) as early, CLOCK.shifted(-YEARS):
            time.sleep(4.5)
            true("it is not over yet", is_open(early))
        token = jwt.encode({"sub": "u", "exp": int(time.time()) - YEARS + 4}, SECRET, algorithm="HS256")
        with CLOCK.shifted(-YEARS), Raw(s.port, request("/rooms", {**UPGRADE, "Authorization": "Bearer " + token})) as late:
            same("it is over in its time", late.receive()[1][2:], b"token expired")


@unless_sanitized
def the_log_and_answers_have_the_wall_clocks_date():
    with Server("--workers", "1", env=CLOCK.environment) as s:
        for shift in (YEARS, -YEARS, 1 << 40, 1 << 56, -(1 << 40)):
            with CLOCK.shifted(shift):
                with Raw(s.port, request("/echo", {**UPGRADE, "Origin": "https://evil.example"})) as c:
                    same("status", c.status, 403)
                    date = re.search(r"\r\nDate: ([^\r]*)\r\n", c.head)
                if abs(shift) == YEARS:
                    year = time.gmtime(time.time() + shift).tm_year
                    true("the date: %r" % c.head, date and " %d " % year in date[1])
                    s.said(r"\n%d-\d\d-\d\dT[^\n]* origin refused" % year)
                else:
                    true("no date is better than a wrong one: %r" % c.head, date is None)
        same("exit code", s.stop(), 0)


@unless_sanitized
def programs_wait_as_long_as_they_were_told():
    """For a server that says nothing: neither shorter nor for ten years, wherever the clock jumps meanwhile."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for shift in (YEARS, -YEARS):
            began = time.monotonic()
            with subprocess.Popen([LINNET, "connect", "--timeout", "2s", "ws://127.0.0.1:%d/" % silent.getsockname()[1]], env=CLOCK.environment,
                                  stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as program:
                c = silent.accept()[0]
                c.recv(1)
                with c, CLOCK.shifted(shift):
                    same("exit code", program.wait(PATIENCE), 1)
                true("it waits", time.monotonic() - began >= 1.9)


if __name__ == "__main__":
    sys.exit(main())
