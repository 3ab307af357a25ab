#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Peers that mean harm, against `linnet serve`: what they send costs them their connection, and nobody else anything.

Bytes are made by hand and sent over bare sockets; witnesses are python3-websockets. How it is run is said in kit.py.
"""
import asyncio
import itertools
import os
import re
import resource
import socket
import struct
import sys
import tempfile
import threading
import time
import zlib

import kit
from kit import PATIENCE, UPGRADE, connect, dial, frame, is_sanitized, main, prerequisites, request, run_async, same, test, true, upgrade

with prerequisites():
    import websockets  # for connect()

MIB = 1 << 20


class Server(kit.Server):
    """Knows what it has open, and what it takes."""

    def connect(self):
        return dial(self.port)

    def upgraded(self, path, **fields):
        c = self.connect()
        upgrade(c, request(path, {**UPGRADE, **fields}))
        return c

    def descriptors(self):
        return len(os.listdir("/proc/%d/fd" % self.process.pid))

    def memory(self):
        """What it has for itself, in bytes."""
        with open("/proc/%d/smaps_rollup" % self.process.pid) as rollup:
            return int(re.search(r"Anonymous:\s+(\d+)", rollup.read()).group(1)) * 1024

    def at_rest(self):
        """How many it has when the last connection is gone."""
        least = self.descriptors()
        for _ in range(10):
            time.sleep(0.05)
            least = min(least, self.descriptors())
        return least

    def is_back_to(self, descriptors):
        end = time.monotonic() + PATIENCE
        while self.descriptors() > descriptors and time.monotonic() < end:
            time.sleep(0.05)
        true("%d descriptors, %d before" % (self.descriptors(), descriptors), self.descriptors() <= descriptors)

    def is_well(self):
        same("it runs", self.process.poll(), None)
        with self.upgraded("/echo") as c:
            c.sendall(frame(0x81, b"well?"))
            same("an echo", receive(c, 7), b"\x81\x05well?")


def receive(c, n):
    data = b""
    while len(data) < n:
        piece = c.recv(n - len(data))
        true("more than %r comes" % data[:100], piece)
        data += piece
    return data


def receive_all(c):
    """Everything until the end, which may be a reset."""
    data = b""
    try:
        while piece := c.recv(65536):
            data += piece
    except ConnectionResetError:
        pass
    return data


def reset(c):
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    c.close()


# ------------------------------------------------------------------------------------------------ breaking off


@test
def breaking_off_at_every_byte_leaves_nothing():
    whole = request("/rooms?room=red") + frame(0x81, b"hello") + frame(0x88, b"\x03\xe8")
    with Server("--workers", "2") as s:
        s.is_well()
        before = s.at_rest()
        for size in range(len(whole) + 1):
            for end in (reset, socket.socket.close):
                c = s.connect()
                c.sendall(whole[:size])
                end(c)
        s.is_back_to(before)
        s.is_well()


@test
def a_refusal_of_any_kind_gives_its_descriptor_back():
    bad = [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", b"\0" * 100,
           request("/nowhere"), request("/rooms?room=%00"), request("/rooms?room=" + "r" * 129),
           request("/echo").replace(b"13", b"12"), request("/echo").replace(b"GET", b"POST"),
           request("/echo").replace(b"ZQ==", b"ZQ=A"), b"GET /" + b"a" * 100000, b"POST /health HTTP/1.1\r\nHost: x\r\n"
           b"Content-Length: 99999999999999999999\r\n\r\n", request("/echo", {**UPGRADE, "Origin": "https://evil.example"}),
           b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 10000 + b"\r\n"]
    with Server("--workers", "2") as s:
        s.is_well()
        before = s.at_rest()
        for data in bad * 3:
            with s.connect() as c:
                try:
                    c.sendall(data)
                    c.shutdown(socket.SHUT_WR)
                except OSError:
                    pass  # it has been refused already
                answer = receive_all(c)
                true("nothing is upgraded: %r" % answer[:100], b" 101 " not in answer)
        s.is_back_to(before)
        s.is_well()


# ------------------------------------------------------------------------------------------------ smuggling


@test
def nothing_behind_a_refused_upgrade_is_a_request():
    hidden = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    refused = [request("/echo").replace(b"Version: 13", b"Version: 77"), request("/echo").replace(b"GET", b"POST"),
               request("/echo").replace(b"ZQ==", b"=="), request("/echo", {**UPGRADE, "Content-Length": "44"}),
               request("/echo", {**UPGRADE, "Transfer-Encoding": "chunked"}), request("/echo", {**UPGRADE, "Origin": "https://evil.example"}),
               request("/rooms?room=%20")]
    with Server() as s:
        for data in refused:
            with s.connect() as c:
                c.sendall(data + hidden * 3)
                answer = receive_all(c)
                true("refused: %r" % answer[:60], re.match(rb"HTTP/1\.1 4\d\d ", answer))
                same("answers to %r" % data[:20], answer.count(b"HTTP/1.1 "), 1)
        with s.upgraded("/echo") as c:  # and behind a 101 there are no requests any more
            c.sendall(hidden)
            same("a close frame", receive_all(c)[:1], b"\x88")


# ------------------------------------------------------------------------------------------------ memory


@test
def announced_lengths_take_no_memory():
    with Server("--workers", "1") as s:
        s.is_well()
        before = s.memory()
        peers = [s.upgraded("/echo") for _ in range(300)]
        for c in peers:  # 64 MiB are allowed there
            c.sendall(b"\x82\xff" + struct.pack("!Q", 64 * MIB) + bytes(4) + bytes(1024))
        s.is_well()
        grown = s.memory() - before
        for c in peers:
            c.close()
        true("300 peers who announce 64 MiB take %d KiB" % (grown // 1024), grown < (64 if is_sanitized() else 8) * MIB)


@test
def a_compression_bomb_ends_its_sender():
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = packer.compress(bytes(200 * MIB)) + packer.flush(zlib.Z_SYNC_FLUSH)
    with Server("--workers", "1") as s:
        s.is_well()
        for _ in range(3):
            with s.upgraded("/echo", **{"Sec-WebSocket-Extensions": "permessage-deflate"}) as c:
                c.sendall(frame(0xc2, bomb[:-4]))
                first, length = receive(c, 2)
                same("close frame and code", (first, receive(c, length)[:2]), (0x88, struct.pack("!H", 1009)))
        s.is_well()
        with open("/proc/%d/status" % s.process.pid) as status:
            peak = int(re.search(r"VmHWM:\s+(\d+)", status.read()).group(1)) // 1024
        true("the peak of %d MiB is that of the limit" % peak, peak < 600 if is_sanitized() else peak < 160)


@test
def compressed_connections_that_come_and_go_leave_no_memory():
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    message = frame(0xc1, (packer.compress(b"hello " * 100) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4])

    def come_and_go(s, times):
        for _ in range(times):
            with s.upgraded("/echo", **{"Sec-WebSocket-Extensions": "permessage-deflate"}) as c:
                c.sendall(message)
                receive(c, 2)

    with Server("--workers", "1") as s:
        come_and_go(s, 300)
        before = s.memory()
        come_and_go(s, 1500)
        grown = s.memory() - before
        # a sanitizer keeps what was freed for a while
        true("1,500 more take %d KiB" % (grown // 1024), grown < (300 if is_sanitized() else 2) * MIB)


# ------------------------------------------------------------------------------------------------ others


@test
def compressed_messages_of_many_never_mix():
    async def talk(s, number):
        mark = b"%d:" % number + os.urandom(8)
        async with connect(s.url("/echo"), compression="deflate") as ws:
            for i in range(20):
                message = mark * (50 + 97 * i * (number + 1) % 3000)
                await ws.send(message)
                true("what comes back to %d is its own" % number, await ws.recv() == message)

    async def all_at_once(s):
        await asyncio.gather(*(talk(s, number) for number in range(40)))

    with Server("--workers", "2") as s:
        run_async(all_at_once(s))


@test
def floods_of_frames_hold_up_nobody():
    floods = [frame(0x82) * 5000, frame(0x8a) * 5000, (frame(0x02) + frame(0x80)) * 2500, frame(0x89, b"x" * 125) * 500]
    with Server("--workers", "1") as s:
        stop = threading.Event()

        def flood(data):
            while not stop.is_set():
                try:
                    with s.upgraded("/echo") as c:
                        c.settimeout(0.5)
                        while not stop.is_set():
                            c.sendall(data)
                except OSError:
                    pass  # sent away, or not read: it comes again

        threads = [threading.Thread(target=flood, args=(data,)) for data in floods]
        for thread in threads:
            thread.start()
        try:
            longest = 0
            with s.upgraded("/rooms?room=red") as c:
                for _ in range(100):
                    began = time.monotonic()
                    c.sendall(frame(0x81, b"x"))
                    same("an answer", receive(c, 3), b"\x81\x01x")
                    longest = max(longest, time.monotonic() - began)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        true("the longest wait was %.2f s" % longest, longest < 5)
        s.is_well()


# ------------------------------------------------------------------------------------------------ files


def spellings():
    """Ways to write "..", and to join them."""
    dots = ["..", "%2e%2e", ".%2e", "%2E.", "%252e%252e", "..%00", "..;", ". .", "%c0%ae%c0%ae", "..%20", "..."]
    slashes = ["/", "%2f", "\\", "%5c", "//", "/./", "%252f", "%c0%af"]
    for up, slash, times in itertools.product(dots, slashes, (1, 2, 5)):
        for begin in ("/", "/sub/", "//", "/sub" + slash):
            yield begin + (up + slash) * times + "secret"
            yield begin + (up + slash) * times + "etc/passwd"


@test
def no_spelling_of_a_path_leaves_the_folder():
    with tempfile.TemporaryDirectory() as top:
        folder = os.path.join(top, "files")
        os.makedirs(os.path.join(folder, "sub"))
        for name in (os.path.join(top, "secret"), os.path.join(folder, ".secret")):
            with open(name, "w") as file:
                file.write("root:SECRET")
        os.symlink(os.path.join(top, "secret"), os.path.join(folder, "link"))
        os.symlink(top, os.path.join(folder, "sub", "up"))
        asked = set(spellings()) | {"/link", "/sub/up/secret", "/.secret", "/sub/../.secret", "/%2esecret"}
        with Server("--workers", "1", "--static", folder) as s:
            for path in sorted(asked):
                with s.connect() as c:
                    c.sendall(("GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % path).encode())
                    answer = receive_all(c)
                    true("%s is refused: %r" % (path, answer[:40]), re.match(rb"HTTP/1\.1 (400|403|404) ", answer))
                    true("%s tells nothing" % path, b"root:" not in answer)
            s.is_well()


# ------------------------------------------------------------------------------------------------ narrow quarters


@test
def a_small_stack_is_enough():
    if is_sanitized():
        return  # what it adds to every frame needs more

    def narrow():
        resource.setrlimit(resource.RLIMIT_STACK, (65536, 65536))

    async def talk(s):
        async with connect(s.url("/echo"), compression="deflate") as ws:
            for message in ("a" * MIB, os.urandom(MIB), "{}", b""):
                await ws.send(message)
                true("it comes back", await ws.recv() == message)
        async with connect(s.url("/rooms?room=red&presence=1")) as ws:
            await ws.recv()
        async with connect(s.url("/ws")) as ws:
            await ws.send(b"\xff\xff\xff\xff" + b"[" * 100000)
            await ws.send(b"\xff\xff\xff\xff" + b'{"a":' * 100000)
            await ws.ping()

    with Server("--workers", "2", preexec_fn=narrow) as s:
        run_async(talk(s))
        with s.upgraded("/echo") as c:
            pings = frame(0x89) * (MIB // 6)
            threading.Thread(target=c.sendall, args=(pings,), daemon=True).start()
            receive(c, 2)
        s.is_well()


if __name__ == "__main__":
    sys.exit(main(title=str))
