#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Faults that servers of rooms have had, each as a test against `linnet serve` that fails where the fault is.

Frames are made by hand here and sent over bare sockets; witnesses are python3-websockets. What concerns tokens, roles
and limits of rooms stands elsewhere. How it is run is said in kit.py.
"""
import asyncio
import signal
import socket
import struct
import sys
import time

from kit import PATIENCE, Raw, Server, connect, main, prerequisites, request, run_async, same, soon, test, true

with prerequisites():
    import websockets

AT_ONCE = 5  # less than a peer gets to answer a goodbye
MASK = b"\x37\xfa\x21\x3d"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
FIN = 0x80
PATHS = ("/echo", "/rooms?room=red", "/ws")


def masked(payload):
    return bytes(b ^ MASK[i % 4] for i, b in enumerate(payload))


def frame(first, payload=b"", announced=None, is_masked=True):
    """`first`: the first byte whole; `announced`: the bytes of another length than the payload's own."""
    n = len(payload)
    if announced is None:
        announced = bytes([n]) if n < 126 else b"\x7e" + struct.pack("!H", n) if n < 65536 else b"\x7f" + struct.pack("!Q", n)
    bit = 0x80 if is_masked else 0
    head = bytes([first, announced[0] | bit]) + announced[1:]
    return head + MASK + masked(payload) if is_masked else head + payload


def code(number, reason=b""):
    return struct.pack("!H", number) + reason


class Peer(Raw):
    """A client that hears the end, too."""

    def __init__(self, server, path, more=b"", cut=None):
        whole = request(path) + more
        super().__init__(server.port, *[whole] if cut is None else (whole[:cut], whole[cut:]))
        same("the status", self.status, 101)

    def say(self, data):
        self.socket.sendall(data)

    def take(self, n):
        """n bytes, or what came before the end."""
        while len(self.rest) < n and self.more():
            pass
        return self.cut(n)

    def next(self):
        """First byte and payload of the next frame; (None, b"") at the end."""
        head = self.take(2)
        if len(head) < 2:
            return None, b""
        same("no mask from a server", head[1] & 0x80, 0)
        n = head[1]
        if n >= 126:
            n = int.from_bytes(self.take(2 if n == 126 else 8), "big")
        return head[0], self.take(n)

    def ended_with(self):
        """The close code, which must be the next thing that comes, with nothing behind it."""
        first, payload = self.next()
        same("a close frame", first, FIN | CLOSE)
        same("the end behind it", self.next(), (None, b""))
        return struct.unpack("!H", payload[:2])[0] if payload else None


def only_the_next_comes(witness, sender):
    """What `sender` says now is the first that `witness` hears."""
    sender.say(frame(FIN | TEXT, b"the next"))
    same("what the witness hears", witness.next(), (FIN | TEXT, b"the next"))


# ------------------------------------------------------------------------------------------------ frames


@test
def a_length_with_the_top_bit_ends_one_connection_and_not_the_server():
    with Server("--workers", "2") as s:
        for path in PATHS:
            for length in (1 << 63, (1 << 64) - 1, (1 << 63) + 5):
                for opcode in (TEXT, BINARY):
                    with Peer(s, path, b"") as p:
                        p.say(bytes([FIN | opcode, 0xff]) + struct.pack("!Q", length) + MASK)
                        same("code for 0x%x on %s" % (length, path), p.ended_with(), 1002)
        same("the server", s.process.poll(), None)
        same("its end", s.stop(), 0)


@test
def an_announced_length_beyond_the_limit_is_refused_before_it_comes():
    with Server("--max-message", "1000B") as s, Peer(s, "/rooms?room=red") as p:
        p.say(bytes([FIN | BINARY, 0xff]) + struct.pack("!Q", 1 << 40) + MASK)
        same("code", p.ended_with(), 1009)


@test
def a_message_that_a_close_cuts_short_is_not_delivered():
    with Server("--workers", "2") as s, Peer(s, "/rooms?room=red") as witness, Peer(s, "/rooms?room=red") as other:
        with Peer(s, "/rooms?room=red") as p:
            p.say(frame(TEXT, b"half of") + frame(CONTINUATION, b" a message") + frame(FIN | CLOSE, code(1000)))
            same("code", p.ended_with(), 1000)
        with Peer(s, "/rooms?room=red") as p:
            p.say(frame(TEXT, b"half of a message"))
            p.socket.shutdown(socket.SHUT_WR)
            while p.next()[0] not in (None, FIN | CLOSE):
                pass
        only_the_next_comes(witness, other)
    with Server() as s, Peer(s, "/echo") as p:
        p.say(frame(BINARY, b"half") + frame(FIN | CLOSE, code(1000)))
        same("code", p.ended_with(), 1000)


@test
def fragments_together_are_bounded_as_one_message_is():
    with Server("--max-message", "1000B") as s, Peer(s, "/rooms?room=red") as witness:
        with Peer(s, "/rooms?room=red") as p:  # exactly the limit, in ten fragments
            p.say(frame(TEXT, b"x" * 100) + frame(CONTINUATION, b"x" * 100) * 8 + frame(FIN | CONTINUATION, b"x" * 100))
            same("at the limit", p.next(), (FIN | TEXT, b"x" * 1000))
            same("the witness, too", witness.next(), (FIN | TEXT, b"x" * 1000))
            p.say(frame(TEXT, b"x" * 100) + frame(CONTINUATION, b"x" * 100) * 9 + frame(CONTINUATION, b"x"))
            same("code above it", p.ended_with(), 1009)
        with Peer(s, "/rooms?room=red") as p:  # and in number
            try:
                p.say(frame(TEXT, b"") + frame(CONTINUATION, b"") * 100000)
            except OSError:
                pass  # it has been cut off
            same("code for a flood of empty ones", p.ended_with(), 1008)
        with Peer(s, "/rooms?room=red") as p:
            only_the_next_comes(witness, p)


# What was not looked at: name, bytes, the code that it has to end with.
VIOLATIONS = [
    ("text that is no UTF-8", frame(FIN | TEXT, b"\xc3\x28"), 1007),
    ("a surrogate", frame(FIN | TEXT, b"\xed\xa0\x80"), 1007),
    ("a code point cut off at the end", frame(FIN | TEXT, b"\xe2\x82"), 1007),
    ("bad UTF-8 across fragments", frame(TEXT, b"\xe2") + frame(FIN | CONTINUATION, b"\x28\xa1"), 1007),
    ("RSV1 where nothing was agreed", frame(FIN | 0x40 | TEXT, b"a"), 1002),
    ("RSV2", frame(FIN | 0x20 | TEXT, b"a"), 1002),
    ("RSV3 on a ping", frame(FIN | 0x10 | PING), 1002),
    ("opcode 3", frame(FIN | 3, b"a"), 1002),
    ("opcode 7", frame(FIN | 7), 1002),
    ("opcode 11", frame(FIN | 11), 1002),
    ("opcode 15", frame(FIN | 15), 1002),
    ("a continuation of nothing", frame(CONTINUATION, b"a"), 1002),
    ("a last continuation of nothing", frame(FIN | CONTINUATION, b"a"), 1002),
    ("a message inside another", frame(TEXT, b"a") + frame(FIN | TEXT, b"b"), 1002),
    ("a binary one inside a text", frame(TEXT, b"a") + frame(BINARY, b"b"), 1002),
    ("a length of two bytes where one does", frame(FIN | TEXT, b"abc", b"\x7e\x00\x03"), 1002),
    ("a length of eight where two do", frame(FIN | TEXT, b"abc", b"\x7f" + b"\x00" * 7 + b"\x03"), 1002),
    ("no mask", frame(FIN | TEXT, b"abc", is_masked=False), 1002),
    ("a ping in fragments", frame(PING, b"a"), 1002),
    ("a ping of 126 bytes", frame(FIN | PING, b"a" * 126), 1002),
    ("a close of one byte", frame(FIN | CLOSE, b"\x03"), 1002),
    ("close 999", frame(FIN | CLOSE, code(999)), 1002),
    ("close 1004", frame(FIN | CLOSE, code(1004)), 1002),
    ("close 1005", frame(FIN | CLOSE, code(1005)), 1002),
    ("close 1006", frame(FIN | CLOSE, code(1006)), 1002),
    ("close 1015", frame(FIN | CLOSE, code(1015)), 1002),
    ("close 2999", frame(FIN | CLOSE, code(2999)), 1002),
    ("close 5000", frame(FIN | CLOSE, code(5000)), 1002),
    ("a reason that is no UTF-8", frame(FIN | CLOSE, code(1000, b"\xff")), 1007),
]


@test
def every_violation_has_its_code_and_delivers_nothing():
    with Server("--workers", "2") as s, Peer(s, "/rooms?room=red") as witness:
        for path in ("/echo", "/rooms?room=red"):
            for name, data, wanted in VIOLATIONS:
                with Peer(s, path) as p:
                    # what is behind it must not come through either
                    p.say(data + frame(FIN | TEXT, b"behind it"))
                    same("code of %s on %s" % (name, path), p.ended_with(), wanted)
        with Peer(s, "/rooms?room=red") as p:
            only_the_next_comes(witness, p)


@test
def every_close_code_that_may_be_sent_is_answered():
    with Server() as s:
        for number in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999):
            with Peer(s, "/rooms?room=red") as p:
                p.say(frame(FIN | CLOSE, code(number, b"bye")))
                same("code", p.ended_with(), number)
        with Peer(s, "/rooms?room=red") as p:
            p.say(frame(FIN | CLOSE))
            true("none is answered by none or 1000", p.ended_with() in (None, 1000))


@test
def text_may_hold_newlines_and_tabs_and_may_be_empty():
    with Server() as s, Peer(s, "/rooms?room=red") as p:
        for text in (b'{\n\t"a": 1\r\n}', b"", b"\x00\x01\x7f"):
            p.say(frame(FIN | TEXT, text))
            same("it comes back", p.next(), (FIN | TEXT, text))


# ------------------------------------------------------------------------------------------------ the handshake's end


@test
def what_comes_right_behind_the_handshake_is_read():
    frames = b"".join(frame(FIN | TEXT, b"%d" % i) for i in range(200))
    with Server("--workers", "2") as s:
        for path in ("/echo", "/rooms?room=red"):
            with Peer(s, path, frames) as p:
                for i in range(200):
                    same("message %d on %s" % (i, path), p.next(), (FIN | TEXT, b"%d" % i))
        few = b"".join(frame(FIN | TEXT, b"%d" % i) for i in range(3))
        for cut in range(len(request("/echo")) - 6, len(request("/echo") + few)):
            with Peer(s, "/echo", few, cut) as p:
                for i in range(3):
                    same("message %d, cut at %d" % (i, cut), p.next(), (FIN | TEXT, b"%d" % i))


# ------------------------------------------------------------------------------------------------ fan-out


async def talk_all_at_once(s, members, each):
    """Everybody says `each` things, all at once; what each one heard."""
    connections = [await connect(s.url("/rooms?room=red"), max_queue=None) for _ in range(members)]
    for number, ws in enumerate(connections):  # each is surely in when it has heard itself
        await ws.send("hello %d" % number)
        while await soon(ws.recv()) != "hello %d" % number:
            pass

    async def next_word(ws):
        word = await soon(ws.recv())
        while word.startswith("hello "):
            word = await soon(ws.recv())
        return word

    async def speak(number, ws):
        for i in range(each):
            await ws.send("%d %d" % (number, i))

    async def listen(ws):
        return [await next_word(ws) for _ in range(members * each)]

    _, *heard = await asyncio.gather(asyncio.gather(*(speak(n, ws) for n, ws in enumerate(connections))),
                                     *(listen(ws) for ws in connections))
    await connections[0].send("last")
    for ws in connections:
        same("nothing came twice", await next_word(ws), "last")
    await asyncio.gather(*(ws.close() for ws in connections))
    return heard


@test
def several_workers_keep_the_order_of_each_publisher():
    with Server("--workers", "4") as s:
        for heard in run_async(talk_all_at_once(s, 12, 100)):
            for publisher in range(12):
                own = [int(line.split()[1]) for line in heard if line.split()[0] == str(publisher)]
                same("what publisher %d said" % publisher, own, list(range(100)))


@test
def nobody_hears_anything_twice():
    with Server("--workers", "4") as s:
        everything = sorted("%d %d" % (who, i) for who in range(20) for i in range(30))
        for heard in run_async(talk_all_at_once(s, 20, 30)):
            same("what one heard", sorted(heard), everything)


@test
def joining_during_a_broadcast_breaks_nothing():
    async def storm(s):
        async with connect(s.url("/rooms?room=red"), max_queue=None) as speaker:
            async def come_and_go():
                for _ in range(40):
                    async with connect(s.url("/rooms?room=red")):
                        pass

            task = asyncio.gather(*(come_and_go() for _ in range(10)))
            sent = 0
            while not task.done():
                await speaker.send(str(sent))
                same("what the speaker hears", await soon(speaker.recv()), str(sent))
                sent += 1
            await task

    with Server("--workers", "2") as s:
        run_async(storm(s))
        same("its end", s.stop(), 0)


# ------------------------------------------------------------------------------------------------ the end


@test
def stopping_twice_is_no_crash():
    for pause in (0, 0.05, 0.3) * 3:  # the peer is with worker 0, or worker 0 has ended long before
        with Server("--workers", "2", "--drain", "60s") as s, Peer(s, "/rooms?room=red") as p:
            s.process.send_signal(signal.SIGTERM)
            same("it says goodbye with 1001", (p.next()[1])[:2], code(1001))
            time.sleep(pause)
            s.process.send_signal(signal.SIGTERM)
            same("exit code", s.process.wait(AT_ONCE), 0)


@test
def what_is_published_during_the_stop_breaks_nothing():
    async def talk(s):
        connections = [await connect(s.url("/rooms?room=red"), max_queue=None) for _ in range(20)]

        async def speak(ws):
            try:
                while True:
                    await ws.send("x" * 1000)
                    await soon(ws.recv())
            except websockets.ConnectionClosed:
                return ws.close_code

        tasks = [asyncio.create_task(speak(ws)) for ws in connections]
        for ws in connections[:3]:
            await soon(ws.ping())
        s.process.send_signal(signal.SIGTERM)
        same("everybody is told", set(await asyncio.gather(*tasks)), {1001})

    with Server("--workers", "2") as s:
        run_async(talk(s))
        same("exit code", s.process.wait(PATIENCE), 0)


if __name__ == "__main__":
    sys.exit(main(title=str))
