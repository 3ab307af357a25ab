#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Servers that mean harm, against `linnet connect`: it fails in time, in little memory, and tells nobody else anything.

Bytes are made by hand. How it is run is said in kit.py.
"""
import base64
import contextlib
import hashlib
import re
import socket
import struct
import subprocess
import sys
import threading
import time

import kit
from kit import LINNET, PATIENCE, frame, is_sanitized, main, prerequisites, same, test, true

with prerequisites():
    pass

MIB = 1 << 20
GOOD = "permessage-deflate; server_no_context_takeover"  # what is offered is to be kept to
EXTENSIONS = "Sec-WebSocket-Extensions: %s\r\n" % GOOD


class Servant:
    """Listens, and does with each connection, on a thread, what it is told to. How many came is in .count."""

    def __init__(self, act):
        self.act = act
        self.count = 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                c = self.listener.accept()[0]
                self.count += 1
                threading.Thread(target=self.attend, args=(c,), daemon=True).start()

    def attend(self, c):
        c.settimeout(PATIENCE)
        with c, contextlib.suppress(OSError):
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += c.recv(1)
            self.act(c, head.decode("latin-1"))

    def url(self):
        return "ws://127.0.0.1:%d/" % self.port


def answer(head, more=""):
    key = re.search(r"(?i)sec-websocket-key: (\S+)", head)[1]
    accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
    return ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n%s\r\n" %
            (accept, more)).encode("latin-1")


def heard(c):
    """What comes until the end."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := c.recv(65536):
            data += piece
    return data


def run(url, *words, stdin=b""):
    return subprocess.run([LINNET, "connect", *words, url], input=stdin, capture_output=True, timeout=2 * PATIENCE)


def code_of(frames):
    """The code of the one close frame at the end, unmasked."""
    true("a masked close frame: %r" % frames[-140:], frames[:1] == b"\x88" and frames[1] & 0x80 and frames[1] > 0x81)
    return struct.unpack("!H", bytes(a ^ b for a, b in zip(frames[6:8], frames[2:4])))[0]


# ------------------------------------------------------------------------------------------------ the handshake


@test
def nobody_is_told_where_to_go():
    """It follows no redirect, so no credentials go anywhere else."""
    with Servant(lambda c, head: c.sendall(answer(head) + b"\x88\x02\x03\xe8")) as other:
        places = ["http://127.0.0.1:%d/", "https://127.0.0.1:%d/", "ws://127.0.0.1:%d/", "wss://127.0.0.1:%d/", "//127.0.0.1:%d/", "http://localhost:%d/"]
        rows = [(status, place) for status in (300, 301, 302, 303, 307, 308) for place in (*places, "/%d")]
        for status, place in (*rows, (101, places[0]), (200, "/%d"), (401, "/%d"), (426, "/%d")):
            def act(c, head, status=status, place=(place % other.port).encode()):
                c.sendall(b"HTTP/1.1 %d Elsewhere\r\nLocation: %s\r\nRefresh: 0; url=%s\r\nContent-Length: 0\r\n\r\n" %
                          (status, place, place))

            with Servant(act) as s:
                done = run(s.url(), "--auth", "ann:secret", "-H", "Cookie: a=b")
                same("exit code with %d %s" % (status, place), done.returncode, 1)
                same("connections", s.count, 1)
        same("connections elsewhere", other.count, 0)


@test
def an_answer_has_its_time_whatever_comes():
    """The time for the handshake is that of all of it, and does not begin anew with each byte."""
    def dribble(c, head):
        c.sendall(b"HTTP/1.1 101 x\r\n")
        while True:
            c.sendall(b"a")
            time.sleep(0.02)

    def go_on(c, head):
        while True:
            c.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)

    def never_end(c, head):
        while True:
            c.sendall(b"X-Y: zzzzzzzz\r\n" * 1000)

    for act in (dribble, go_on, never_end):
        with Servant(act) as s:
            began = time.monotonic()
            same("exit code for " + act.__name__, run(s.url(), "--timeout", "1s").returncode, 1)
            seconds = time.monotonic() - began
            true("%s is given up after %.1f s" % (act.__name__, seconds), seconds < 10)


@test
def extensions_are_what_was_asked_for_and_come_once():
    good = GOOD
    parameters = ("client_no_context_takeover", "server_max_window_bits=10", "client_max_window_bits=10")
    rows = [(0, "", 0), (1, EXTENSIONS, 0)]
    rows += [(1, "Sec-WebSocket-Extensions: %s\r\n" % "; ".join((good, parameter)), 0) for parameter in parameters]
    for times in (2, 3, 8, 64):
        rows.append((times, "Sec-WebSocket-Extensions: %s\r\n" % ", ".join([good] * times), 1))
        rows.append((times, EXTENSIONS * times, 1))
        rows += [(times, "Sec-WebSocket-Extensions: %s\r\n" % "; ".join([good] + [parameter] * times), 1) for parameter in parameters]
    rows += [(1, "Sec-WebSocket-Extensions: %s\r\n" % value, 1) for value in
             (";", good + ";", good + "; =", good + "; server_max_window_bits", good + "; client_max_window_bits=0", "permessage-deflate", good + "; server_no_context_takeover",
              good + "; server_max_window_bits=\"", good + "; server_max_window_bits=99999999999999999999", "constructor", "x" * 4096, "\x80")]
    for times, fields, code in rows:
        with Servant(lambda c, head: (c.sendall(answer(head, fields) + b"\x88\x02\x03\xe8"), heard(c))) as s:
            same("exit code with %d of %r" % (times, fields[:120]), run(s.url()).returncode, code)


@test
def an_answer_may_break_off_anywhere():
    """At every byte of the answer and of the first frames: by FIN, and by RST."""
    size = len(answer("sec-websocket-key: x")) + len(frame(0x81, b"hello", False) + frame(0x88, b"\x03\xe8", False))

    def act(c, head):
        whole = answer(head) + frame(0x81, b"hello", False) + frame(0x88, b"\x03\xe8", False)
        c.sendall(whole[:s.count // 2])
        if s.count % 2:
            c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with Servant(act) as s:
        while s.count // 2 < size - 1:
            before = s.count
            same("exit code when it ends after %d bytes" % ((before + 1) // 2), run(s.url()).returncode, 1)
            same("attempts", s.count, before + 1)


# ------------------------------------------------------------------------------------------------ frames


def peak(process):
    with open("/proc/%d/status" % process.pid) as status:
        return int(re.search(r"VmHWM:\s+(\d+)", status.read()).group(1)) * 1024


@contextlib.contextmanager
def client(url, *words):
    with subprocess.Popen([LINNET, "connect", *words, url], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


@test
def lengths_are_judged_before_anything_is_done():
    for length in (1 << 31, (1 << 32) + 1, 1 << 40, 1 << 62, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, (1 << 64) - 10, (0x80 << 48) + 1):
        for first in (b"\x82", b"\x81", b"\x02", b"\x80", b"\x89", b"\xc2", b"\x01\x01x\x80"):
            frames = []
            with Servant(lambda c, head: (c.sendall(answer(head, EXTENSIONS) + first + b"\x7f" + struct.pack("!Q", length)),
                                          frames.append(heard(c)))) as s:
                same("exit code", run(s.url()).returncode, 1)
                end = time.monotonic() + PATIENCE
                while not frames and time.monotonic() < end:
                    time.sleep(0.001)
                is_wrong = length >> 63 or first in (b"\x80", b"\x89")
                same("code for %r with %#x" % (first, length), code_of(frames[0]), 1002 if is_wrong else 1009)


@test
def what_is_announced_takes_no_memory():
    came = threading.Event()

    def act(c, head):
        c.sendall(answer(head) + b"\x82\x7f" + struct.pack("!Q", 1 << 29) + bytes(100))
        came.set()
        heard(c)

    with Servant(act) as s, client(s.url(), "-n", "--max-message", "1GiB") as process:
        true("it connects", came.wait(PATIENCE))
        time.sleep(0.5)
        same("it waits for the rest", process.poll(), None)
        true("its peak is %d KiB" % (peak(process) // 1024), peak(process) < (200 if is_sanitized() else 24) * MIB)


@test
def a_flood_of_pings_takes_no_memory():
    """Their answers are not read: whether they are read all the same or wait, the last one is answered in the end (RFC 6455 5.5.3)."""
    is_deaf, is_answered, goes_on = threading.Event(), threading.Event(), threading.Event()

    def act(c, head):
        c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        c.sendall(answer(head))
        pings = memoryview(frame(0x89, bytes(100), False) * 250000 + frame(0x89, b"the last", False))
        c.settimeout(1)
        with contextlib.suppress(TimeoutError):
            while pings:
                pings = pings[c.send(pings):]
        is_deaf.set()
        goes_on.wait(PATIENCE)
        c.settimeout(PATIENCE)
        if pings:
            threading.Thread(target=c.sendall, args=(pings,), daemon=True).start()
        end = b""
        while not (end[-14:-12] == b"\x8a\x88" and bytes(a ^ b for a, b in zip(end[-8:], end[-12:-8] * 2)) == b"the last"):
            end = end[-14:] + c.recv(65536)
        is_answered.set()
        c.sendall(frame(0x88, b"\x03\xe8", False))

    with Servant(act) as s, client(s.url(), "-n") as process:
        true("it is deaf", is_deaf.wait(PATIENCE))
        same("it goes on", process.poll(), None)
        true("its peak is %d KiB" % (peak(process) // 1024), peak(process) < (200 if is_sanitized() else 24) * MIB)
        goes_on.set()
        true("the last one is answered", is_answered.wait(PATIENCE))
        same("exit code", process.wait(PATIENCE), 0)


@test
def thousands_of_frames_in_one_piece_need_no_stack():
    floods = (frame(0x89, b"", False) * 150000, frame(0x82, b"", False) * 50000 + frame(0x02, b"", False) + frame(0, b"", False) * 20000)

    def act(c, head):
        threading.Thread(target=heard, args=(c,), daemon=True).start()
        c.sendall(answer(head) + flood + frame(0x80, b"", False) * (flood is floods[1]) + frame(0x88, b"\x03\xe8", False))
        time.sleep(1)

    for flood in floods:
        with Servant(act) as s:
            words = ["sh", "-c", 'ulimit -s "$0"; exec "$@"', "8192" if is_sanitized() else "256", LINNET, "connect", "-n", s.url()]
            done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=2 * PATIENCE)
            same("exit code (%r)" % done.stderr[-200:], done.returncode, 0)


if __name__ == "__main__":
    sys.exit(main())
