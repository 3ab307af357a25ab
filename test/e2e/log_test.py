#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What peers can do to the log of `linnet serve`: an event is one line whatever they write, and they cannot fill a disk.

How it is run is said in kit.py.
"""
import re
import signal
import socket
import sys
import threading
import time
import unicodedata

import kit
from kit import PATIENCE, UPGRADE, dial, frame, main, prerequisites, request, same, test, true

with prerequisites():
    pass

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (ERROR|WARN|INFO|DEBUG) \S")
LINES_A_SECOND = 100
DECEPTIVE = [text.encode() for text in ("\u202e", "\u2028", "\u2029", "\u200f", "\u2066", "\u0085", "\ufeff", "\U000e0041")]
FORGED = "\n2026-01-01T00:00:00.000Z ERROR forged"


class Server(kit.Server):
    """Its log is read all the time: it is longer than a pipe holds."""

    def __init__(self, *args):
        super().__init__(*args)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        self.log += self.process.stdout.read().decode("utf-8", "replace")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        same("exit code", self.process.wait(PATIENCE), 0)
        self.reader.join(PATIENCE)


def answer_to(port, data):
    """What comes until the end, which may be a reset: there may be more in the request than was read."""
    with dial(port) as c:
        answer = b""
        try:
            c.sendall(data)
            c.shutdown(socket.SHUT_WR)
            while piece := c.recv(65536):
                answer += piece
        except OSError:
            pass
        return answer


def check(log):
    """Only lines of ours, without anything that a terminal or an editor would take for more."""
    for line in log.split("\n"):
        if line and not line.startswith("linnet "):
            true("it is a line of the log: %r" % line, LINE.match(line))
        for character in line:
            true("%r is shown as it is in %r" % (character, line), unicodedata.category(character) not in ("Cc", "Cf", "Zl", "Zp", "Cs"))
        true("it is UTF-8: %r" % line, "\ufffd" not in line)


@test
def whatever_peers_write_an_event_is_a_line():
    marks = [bytes([byte]) for byte in range(256)] + DECEPTIVE + [FORGED.encode(), b"\x1b]0;title\x07", b"a=b c=\"d\" ERROR", b"\\x41\\n"]
    with Server("--workers", "1", "--log-level", "debug", "--rooms", "strict", "--anonymous") as s:
        foreign = 0
        for mark in marks:
            text = mark.decode("latin-1")
            for fields in ({"Origin": "https://evil" + text + ".example"}, {"Origin": "https://evil.example", "User-Agent": text},
                           {"Sec-WebSocket-Protocol": text}, {"Authorization": "Bearer " + text}, {"Cookie": text}, {text: "x"}):
                answer = answer_to(s.port, request("/rooms", {**UPGRADE, **fields}))
                foreign += "Origin" in fields and answer.startswith(b"HTTP/1.1 403 ")
            for target in ("/rooms?room=" + text, "/rooms?token=" + text, "/" + text, "/rooms?room=%" + mark.hex()):
                answer_to(s.port, request(target))
                answer_to(s.port, request(target, {}))
            answer_to(s.port, request("/", method=text))
            answer_to(s.port, mark * 3)
            answer_to(s.port, request("/echo") + frame(0x81, mark) + frame(0x88, b"\x0f\xa0" + mark))
            answer_to(s.port, request("/ws") + frame(0x82, b"\xff\xff\xff\xff" + b'{"jsonrpc":"2.0","id":1,"method":"' + mark + b'"}'))
            answer_to(s.port, request("/wsmq") + frame(0x81, b'{"header":{"type":"subscribe","topic":"' + mark + b'"}}'))
        s.stop()
        check(s.log)
        lines = s.log.count(" origin refused ")
        true("%d origins are refused, %d logged" % (foreign, lines), 0 < lines <= foreign)
        true("nothing is forged", not re.search(r"(?m)^2026-01-01T00:00:00.000Z", s.log))


@test
def pages_of_others_cannot_fill_the_log():
    times = 3000
    with Server("--workers", "1") as s:
        began = time.monotonic()
        for _ in range(times):
            answer = answer_to(s.port, request("/rooms", {**UPGRADE, "Origin": "https://evil.example"}))
            same("an answer", answer[:13], b"HTTP/1.1 403 ")
        seconds = time.monotonic() - began
        true("it answers soon", seconds < PATIENCE)
        s.stop()
        lines = s.log.count(" origin refused ")
        true("%d lines in %.1f s" % (lines, seconds), 0 < lines <= LINES_A_SECOND * (seconds + 2))
        check(s.log)


if __name__ == "__main__":
    sys.exit(main())
