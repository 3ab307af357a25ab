#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""All ways in which a connection to `linnet serve` ends: whoever begins, whatever is under way, whatever the other does then.

Bytes are made by hand, over TCP and over TLS. How it is run is said in kit.py.
"""
# processor: idle
import contextlib
import itertools
import os
import socket
import ssl
import struct
import sys
import threading
import time

import kit
from kit import PATIENCE, Folder, dial, frame, main, make_certificate, prerequisites, request, same, test, true, upgrade

with prerequisites("openssl"):
    pass

GOODBYE = frame(0x88, b"\x03\xe8")
CLOSE_WAIT = 5  # of the server, for an answer to its goodbye, and as long for what it has to send


class Server(kit.Server):
    def __init__(self, folder, *args):
        make_certificate(folder)
        super().__init__("--workers", "2", "--listen", "127.0.0.1:0", "--listen-tls", "127.0.0.1:0", "--tls-cert", folder + "/cert.pem",
                         "--tls-key", folder + "/key.pem", *args, listeners=2)

    def descriptors(self):
        return len(os.listdir("/proc/%d/fd" % self.process.pid))

    def is_back_to(self, descriptors):
        """How long it takes."""
        began = time.monotonic()
        while self.descriptors() > descriptors:
            true("%d descriptors, %d before" % (self.descriptors(), descriptors), time.monotonic() < began + 3 * PATIENCE)
            time.sleep(0.05)
        return time.monotonic() - began

    def enter(self, is_tls):
        """An upgraded connection to /echo."""
        c = dial(self.ports[1 if is_tls else 0])
        if is_tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            c = context.wrap_socket(c)
        upgrade(c, request("/echo"))
        return c


BROKEN = (ConnectionResetError, BrokenPipeError, ssl.SSLError)


class Peer:
    """A connection that keeps what it could not say at once, and then says it while it listens."""

    def __init__(self, c):
        self.socket = c
        self.unsaid = b""

    def say(self, data):
        """As much of it as goes without reading anything."""
        self.unsaid += data
        self.socket.settimeout(0.3)
        with contextlib.suppress(TimeoutError, *BROKEN):
            while self.unsaid:
                self.unsaid = self.unsaid[self.socket.send(self.unsaid[:65536]):]
        self.socket.settimeout(PATIENCE)

    def rest(self):
        """Hears and forgets all until the end, however it comes."""
        self.socket.settimeout(0.02)
        end = time.monotonic() + 2 * PATIENCE
        with contextlib.suppress(*BROKEN):
            while True:
                true("it ends", time.monotonic() < end)
                with contextlib.suppress(TimeoutError):
                    while self.unsaid:
                        self.unsaid = self.unsaid[self.socket.send(self.unsaid[:65536]):]
                with contextlib.suppress(TimeoutError):
                    if not self.socket.recv(1 << 20):
                        return


# ---- what is under way


def nothing(c):
    pass


def half_a_frame(c):
    c.say(frame(0x82, bytes(1000))[:500])


def half_a_message(c):
    c.say(frame(0x02, bytes(1000)) + frame(0x89, b"p"))


def more_than_it_can_send(c):
    """Its echoes are not read, so that it has to keep them, and reads no more."""
    c.say(frame(0x82, bytes(65000)) * 200)


# ---- who begins


def peer_says_goodbye(c):
    c.say(GOODBYE)


def server_says_goodbye(c):
    c.say(frame(0x83, b"no such frame"))


def nobody_does(c):
    pass


# ---- what the peer does then


def reads_and_leaves(c):
    c.rest()


def leaves(c):
    pass


def resets(c):
    c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def ends_its_side(c):
    c.unsaid = b""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(c.socket, socket.SHUT_WR)
        c.rest()


def says_goodbye_of_tls(c):
    c.socket.settimeout(1)
    if isinstance(c.socket, ssl.SSLSocket):
        with contextlib.suppress(OSError):
            c.socket.unwrap()


def goes_on_sending(c):
    with contextlib.suppress(OSError):
        for _ in range(300):
            c.socket.sendall(frame(0x82, b"still here"))
            time.sleep(0.02)


UNDER_WAY = (nothing, half_a_frame, half_a_message, more_than_it_can_send)
BEGINNERS = (peer_says_goodbye, server_says_goodbye, nobody_does)
THEN = (reads_and_leaves, leaves, resets, ends_its_side, says_goodbye_of_tls, goes_on_sending)


def cells():
    for cell in itertools.product((False, True), UNDER_WAY, BEGINNERS, THEN):
        is_tls, state, begins, then = cell
        if begins is nobody_does and then in (reads_and_leaves, goes_on_sending):
            continue  # nobody wants to end it
        yield cell


@test
def every_connection_ends_and_leaves_nothing():
    with Folder(prefix="linnet-endings-") as folder, Server(folder) as s:
        before = s.descriptors() + 1  # the log's, or a resolver's, may come
        failures = []

        def play(is_tls, state, begins, then):
            try:
                c = Peer(s.enter(is_tls))
                with c.socket:
                    state(c)
                    begins(c)
                    then(c)
            except Exception as error:  # told of all together
                failures.append((is_tls, state.__name__, begins.__name__, then.__name__, repr(error)))

        threads = [threading.Thread(target=play, args=cell) for cell in cells()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(3 * PATIENCE)
        true("no cell fails: %r" % failures[:5], not failures)
        true("all cells end", not any(thread.is_alive() for thread in threads))
        seconds = s.is_back_to(before)
        true("the last one is gone after %.1f s" % seconds, seconds < 2 * CLOSE_WAIT + 10)
        with s.enter(True) as c:
            c.sendall(frame(0x81, b"well?"))
            same("an echo", c.recv(100), b"\x81\x05well?")
        same("it runs", s.process.poll(), None)


@test
def silence_is_no_way_to_stay():
    """Who neither reads nor answers nor goes: it is left when it has had its time, and a stop does not wait longer either."""
    with Folder(prefix="linnet-endings-") as folder, Server(folder, "--drain", "1s") as s:
        before = s.descriptors() + 1
        kept = []
        for is_tls, state, begins in itertools.product((False, True), UNDER_WAY, (peer_says_goodbye, server_says_goodbye)):
            if state is half_a_frame or state is more_than_it_can_send:
                continue  # what follows is in that frame, or not read before the echoes are
            c = Peer(s.enter(is_tls))
            state(c)
            begins(c)
            kept.append(c)
        seconds = s.is_back_to(before)
        true("all are left after %.1f s" % seconds, seconds < 2 * CLOSE_WAIT + 10)
        for is_tls, state in itertools.product((False, True), UNDER_WAY):
            c = Peer(s.enter(is_tls))
            state(c)
            kept.append(c)
        began = time.monotonic()
        same("exit code", s.stop(), 0)
        seconds = time.monotonic() - began
        true("it ends after %.1f s" % seconds, seconds < 15)
        for c in kept:
            c.socket.close()


if __name__ == "__main__":
    sys.exit(main())
