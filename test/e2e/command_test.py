#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The command dialect, seen by independent clients (python3-websockets, bare sockets, Python's json): the chat of
`linnet serve` and of examples/chat, commands and JSON-RPC of examples/rpc, to the byte.

How it is run is said in kit.py.
"""
import asyncio
import contextlib
import json
import os
import random
import re
import resource
import select
import socket
import struct
import sys
import time

import kit
from kit import (EXAMPLES, PATIENCE, Program, Server, UPGRADE, case, example, frame, free_port, main, prerequisites, request, same,
                 stopping, test, true, wait_for_port)

with prerequisites():
    import websockets

PAYLOAD_MAX = 10485760
RPC = 0xFFFFFFFF


def serve(*args):
    return stopping(Server(*args))


def rpc_example(*args):
    return example("rpc", *args)


@contextlib.contextmanager
def chat_example():
    """It says nothing; the port is chosen for it."""
    port = free_port()
    with stopping(Program(os.path.join(EXAMPLES, "chat-server"), "127.0.0.1:%d" % port)) as program:
        program.port = port
        wait_for_port(port)
        yield program


# ------------------------------------------------------------------------------------------------ bare sockets


class Raw(kit.Raw):
    """Speaks commands."""

    def __init__(self, port, path="/ws", fields=UPGRADE, method="GET", early=b"", version="1.1"):
        super().__init__(port, request(path, {"Host": "127.0.0.1:%d" % port, **fields}, method, version) + early)

    def command(self, number, payload=b""):
        self.send(0x82, struct.pack(">I", number) + payload)

    def ask(self, text):
        self.command(RPC, text if isinstance(text, bytes) else text.encode())
        first, payload = self.receive()
        same("the frame", first, 0x82)
        same("the id", payload[:4], b"\xff\xff\xff\xff")
        return payload[4:].decode()


# ------------------------------------------------------------------------------------------------ row by row
#
# What the system that the dialect comes from does, to the byte, beside what is done here. Each row is a test, named "as
# upstream" or "differs: " and why (doc/decisions/0007).


def row(name, upstream, here, why, run):
    """A test: run() gives what is done here; that it is what upstream does, or why not."""
    def check():
        same("what is done here", run(), here)
        same("that it differs", here != upstream, why is not None)

    case(name + (", as upstream" if why is None else ", differs: " + why), check)


PLAIN_GET = "a client sends it always, and to whoever does not 426 says what is wanted"


def handshake(path="/ws", method="GET", version="1.1", want=lambda c: c.status, **changes):
    with rpc_example() as p:
        told = {name.replace("_", "-"): value.replace("PORT", str(p.port)) for name, value in changes.items()}
        with Raw(p.port, path, {**UPGRADE, **told}, method, version=version) as c:
            true("nothing is agreed upon", "Sec-WebSocket-Pro" not in c.head and "Extensions" not in c.head)
            return want(c)


def bare(c):
    """A refusal without what changes from time to time."""
    return re.sub(rb"(Date|Server): [^\r]*\r\n", b"", c.head.encode()) + c.all()


for what, upstream, here, why, asked in (
        ("upgrade, answered with three fields", None, None, None, dict(want=lambda c: c.head == (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n") or c.head)),
        ("a query", 101, 101, None, dict(path="/ws?x=1")),
        ("another path", 404, 404, None, dict(path="/ws/")),
        ("no path", 404, 404, None, dict(path="/")),
        ("two slashes", 301, 404, "a path is exact, and no page leads there", dict(path="//ws")),
        ("Connection among others", 101, 101, None, dict(Connection="keep-alive, Upgrade")),
        ("tokens in other letters", 101, 101, None, dict(Connection="upGRADE", Upgrade="WebSocket")),
        ("no Connection: upgrade", 400, 426, PLAIN_GET, dict(Connection="keep-alive")),
        ("no Upgrade: websocket", 400, 426, PLAIN_GET, dict(Upgrade="h2c")),
        ("POST", 405, 405, None, dict(method="POST")),
        ("another version", 400, 426, "RFC 6455 4.2.2 names it", dict(Sec_WebSocket_Version="12")),
        ("HTTP/1.0", 101, 400, "RFC 6455 4.2.1 wants 1.1", dict(version="1.0")),
        ("an origin that is another", 403, 403, None, dict(Origin="http://elsewhere.example")),
        ("an origin that is none", 403, 403, None, dict(Origin="nonsense")),
        ("the same origin", 101, 101, None, dict(Origin="http://127.0.0.1:PORT")),
        ("the same origin but for https", 101, 403, "an origin has a scheme, RFC 6454 4",
         dict(Origin="https://127.0.0.1:PORT")),
        ("no origin", 101, 101, None, {}),
        ("a key that is none", 400, 400, None, dict(Sec_WebSocket_Key="short")),
        ("a key of 15 bytes", 400, 400, None, dict(Sec_WebSocket_Key="AAAAAAAAAAAAAAAAAAAA")),
        ("subprotocols and extensions", 101, 101, None,
         dict(Sec_WebSocket_Protocol="mqtt", Sec_WebSocket_Extensions="permessage-deflate")),
        ("the words of a refusal",
         b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain; charset=utf-8\r\nSec-Websocket-Version: 13\r\n"
         b"X-Content-Type-Options: nosniff\r\nContent-Length: 39\r\n\r\nForbidden\nFailed to upgrade connection\n",
         b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: 22\r\n"
         b"X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\norigin is not allowed\n",
         "it says what is wrong", dict(Origin="http://elsewhere.example", want=bare))):
    if upstream is None:
        upstream = here = True
    row("handshake: " + what, upstream, here, why, lambda asked=asked: handshake(**asked))


@test
def what_comes_right_behind_the_handshake_is_read():
    with rpc_example() as p:
        with Raw(p.port, early=frame(0x82, b"\0\0\0\1early")) as c:
            same("the echo", c.receive(), (0x82, b"\0\0\0\1early"))


def end_after(first, payload, masked=True, arguments=()):
    """The bytes of the close frame that a frame is answered with, and that nothing but a FIN follows."""
    with rpc_example(*arguments) as p, Raw(p.port) as c:
        c.send(first, payload, masked)
        answer, payload = c.receive()
        while answer == 0x82:
            answer, payload = c.receive()
        if first != 0x88:
            c.send(0x88, payload[:2])
        same("what follows it", c.all(), b"")
        return bytes([answer, len(payload)]) + payload


def close_frame(code, text=""):
    return bytes([0x88, 2 + len(text)]) + struct.pack(">H", code) + text.encode()


OWN_WORDS = "the code is the same, the words are ours: a reason is for people, RFC 6455 7.1.6"
MALFORMED = close_frame(1002, "Invalid message format")
for what, upstream, here, why, sent in (
        ("1000 and a reason", close_frame(1000), close_frame(1000), None, (0x88, b"\x03\xe8reason")),
        ("1001", close_frame(1001), close_frame(1001), None, (0x88, b"\x03\xe9")),
        ("4000 and a reason", close_frame(4000), close_frame(4000), None, (0x88, b"\x0f\xa0x")),
        ("nothing", b"\x88\x00", b"\x88\x00", None, (0x88, b"")),
        ("one byte", b"\x88\x00", close_frame(1002, "close frame with one byte"), "RFC 6455 5.5.1 wants two or none",
         (0x88, b"\x03")),
        ("999", close_frame(1002, "bad close code 999"), close_frame(1002, "close code is not allowed"), OWN_WORDS,
         (0x88, b"\x03\xe7")),
        ("1005", close_frame(1002, "bad close code 1005"), close_frame(1002, "close code is not allowed"), OWN_WORDS,
         (0x88, b"\x03\xed")),
        ("1000 and a reason that is no UTF-8", close_frame(1002, "invalid utf8 payload in close frame"),
         close_frame(1007, "close reason is not UTF-8"), "1007 is for that, RFC 6455 7.4.1", (0x88, b"\x03\xe8\xff"))):
    row("a close with " + what, upstream, here, why, lambda sent=sent: end_after(*sent))
for what, upstream, here, why, sent in (
        ("a frame without a mask", close_frame(1002, "bad MASK"), close_frame(1002, "frame from a client is not masked"),
         OWN_WORDS, (0x82, b"\0\0\0\1x", False)),
        ("opcode 3", close_frame(1002, "bad opcode 3"), close_frame(1002, "reserved opcode"), OWN_WORDS, (0x83, b"")),
        ("RSV1", close_frame(1002, "RSV1 set"), close_frame(1002, "reserved bits are set"), OWN_WORDS,
         (0xC2, b"\0\0\0\1x")),
        ("a continuation of nothing", close_frame(1002, "continuation after FIN"),
         close_frame(1002, "continuation without a message"), OWN_WORDS, (0x80, b"x")),
        ("a ping of 126 bytes", close_frame(1002, "len > 125 for control"),
         close_frame(1002, "control frame is longer than 125 bytes"), OWN_WORDS, (0x89, bytes(126))),
        ("a message of three bytes", MALFORMED, MALFORMED, None, (0x82, b"abc")),
        ("a text of three bytes", MALFORMED, MALFORMED, None, (0x81, b"abc")),
        ("an empty message", MALFORMED, MALFORMED, None, (0x82, b"")),
        ("text that is none", b"\x82\x05\0\0\0\1\xff", close_frame(1007, "text is not UTF-8"), "RFC 6455 8.1",
         (0x81, b"\0\0\0\1\xff")),
        ("a payload that is too long", MALFORMED, close_frame(1009, "message is too big"),
         "1009 is for that, and it is said before megabytes have come", None),
        ("a close by the application", close_frame(1000), close_frame(1000), None, (0x82, b"\0\0\0\3")),
        ("a close with code and reason by the application", close_frame(4001, "bye"), close_frame(4001, "bye"), None,
         (0x82, b"\0\0\0\2"))):
    row("the end after " + what, upstream, here, why,
        lambda sent=sent: end_after(*sent) if sent else end_of_what_is_announced())


def end_of_what_is_announced():
    with rpc_example() as p, Raw(p.port) as c:
        c.socket.sendall(b"\x82\xff" + struct.pack(">Q", 4 + PAYLOAD_MAX + 1) + bytes(4))  # nothing behind it
        answer, payload = c.receive()
        return bytes([answer, len(payload)]) + payload


def end_of_a_flood():
    with rpc_example() as p, Raw(p.port) as c:
        c.socket.sendall(b"".join(frame(0x82, b"\0\0\0\1x") for _ in range(230)))
        answer, payload = c.receive()
        while answer == 0x82:
            answer, payload = c.receive()
        return bytes([answer, len(payload)]) + payload


def end_of_silence():
    with serve("--ping-interval", "100ms", "--pong-wait", "200ms") as p, Raw(p.port) as c:
        began = time.monotonic()
        answer, payload = c.receive()
        while answer == 0x89:
            answer, payload = c.receive()
        true("after interval and wait: %.3f s" % (time.monotonic() - began), 0.25 < time.monotonic() - began < 5)
        return bytes([answer, len(payload)]) + payload


row("the end after too many messages", close_frame(1008, "Rate limit exceeded"), close_frame(1008, "Rate limit exceeded"),
    None, end_of_a_flood)
row("the end after silence", close_frame(1000), close_frame(1011, "ping timeout"),
    "1000 says that all is done, RFC 6455 7.4.1; it is not", end_of_silence)


@test
def who_goes_without_a_word_is_gone():
    """A FIN, an RST: no frame can be sent, and the others are told at once."""
    with serve() as p, Raw(p.port) as other:
        for how in ("FIN", "RST"):
            c = Raw(p.port)
            c.command(8, b'{"username":"%s"}' % how.encode())
            same("who comes", json.loads(other.receive()[1][4:])["username"], how)
            if how == "RST":
                c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            c.socket.close()
            first, payload = other.receive()
            same("who goes", (payload[3], json.loads(payload[4:])["username"]), (4, how))


@test
def commands_come_back_whatever_their_shape():
    with rpc_example() as p, Raw(p.port) as c:
        for payload in (b"", b"hello", bytes(range(256)), os.urandom(70000)):
            c.command(1, payload)
            same("the echo", c.receive(), (0x82, b"\0\0\0\1" + payload))
        c.send(0x81, b"\0\0\0\1text")
        same("the echo of text", c.receive(), (0x82, b"\0\0\0\1text"))
        c.send(0x02, b"\0\0")
        c.send(0x89, b"ping")
        c.send(0x00, b"")
        c.send(0x80, b"\0\1pieces")
        same("the pong", c.receive(), (0x8A, b"ping"))
        same("the whole", c.receive(), (0x82, b"\0\0\0\1pieces"))
        large = os.urandom(PAYLOAD_MAX)
        c.command(1, large)
        first, payload = c.receive()
        true("10 MiB in one frame", (first, payload) == (0x82, b"\0\0\0\1" + large))
        c.socket.sendall(b"\x82\xff" + struct.pack(">Q", 4 + PAYLOAD_MAX + 1) + bytes(4))  # nothing behind it
        first, payload = c.receive()
        same("one byte more", (first, payload[:2]), (0x88, struct.pack(">H", 1009)))


@test
def the_message_too_many_is_refused_and_the_reason_is_read():
    with rpc_example() as p, Raw(p.port) as c:
        c.socket.sendall(b"".join(frame(0x89, b"") for _ in range(150)))  # pings are free
        same("a pong", c.receive()[0], 0x8A)
        c.socket.sendall(b"".join(frame(0x82, b"\0\0\0\1x") for _ in range(230)))
        frames = []
        while not frames or frames[-1][0] != 0x88:
            frames.append(c.receive())
        echoes = [f for f in frames if f[0] == 0x82]
        true("200 at once and little more: %d" % len(echoes), 200 <= len(echoes) < 230)
        same("the end", frames[-1], (0x88, b"\x03\xf0Rate limit exceeded"))


@test
def five_hundred_farewells_lose_nothing():
    with rpc_example() as p:
        wanted = b"".join(b"\x82" + bytes([4 + len(str(i))]) + b"\0\0\0\2" + str(i).encode() for i in range(200))
        wanted += b"\x88\x05\x0f\xa1bye"
        for i in range(500):
            with Raw(p.port) as c:
                c.command(2)
                true("200 commands, then the code, the %dth time" % i, c.take(len(wanted)) == wanted)


def failed(code, message, ident="null"):
    return '{"jsonrpc":"2.0","error":{"code":%d,"message":"%s"},"id":%s}' % (code, message, ident)


def ask_once(text):
    with rpc_example() as p, Raw(p.port) as c:
        return c.ask(text)


PARSE = failed(-32700, "Parse error")
KEPT_ID = "the JSON is in order, the request is not: the id can be told, JSON-RPC 2.0 section 5"
for what, upstream, here, why, text in (
        ("no JSON", PARSE, PARSE, None, "nonsense"), ("nothing", PARSE, PARSE, None, ""),
        ("junk behind it", PARSE, PARSE, None, '{"jsonrpc":"2.0","method":"echo","id":1} x'),
        ("1e400", PARSE, PARSE, None, '{"jsonrpc":"2.0","method":"echo","params":{"x":1e400},"id":1}'),
        ("no UTF-8", PARSE, PARSE, None, b'{"jsonrpc":"2.0","method":"\xff","id":1'),
        ("a string", PARSE, PARSE, None, '"text"'), ("a number", PARSE, PARSE, None, "1"),
        ("true", PARSE, PARSE, None, "true"),
        ("a batch", PARSE, '[{"jsonrpc":"2.0","result":[1],"id":1}]', "JSON-RPC 2.0 section 6",
         '[{"jsonrpc":"2.0","method":"echo","params":[1],"id":1}]'),
        ("an empty batch", PARSE, failed(-32600, "Invalid Request"), "JSON-RPC 2.0 section 6", "[]"),
        ("params in an array", PARSE, '{"jsonrpc":"2.0","result":[1],"id":5}', "JSON-RPC 2.0 section 4.2",
         '{"jsonrpc":"2.0","method":"echo","params":[1],"id":5}'),
        ("params that are a number", PARSE, failed(-32600, "Invalid Request", 5), KEPT_ID,
         '{"jsonrpc":"2.0","method":"echo","params":1,"id":5}'),
        ("a version that is a number", PARSE, failed(-32600, "Invalid Request", 5), KEPT_ID,
         '{"jsonrpc":2.0,"method":"echo","id":5}'),
        ("a method that is a number", PARSE, failed(-32600, "Invalid Request", 5), KEPT_ID,
         '{"jsonrpc":"2.0","method":1,"id":5}'),
        ("null", failed(-32600, "Invalid Request"), failed(-32600, "Invalid Request"), None, "null"),
        ("no version", failed(-32600, "Invalid Request", 5), failed(-32600, "Invalid Request", 5), None,
         '{"method":"echo","id":5}'),
        ("another version", failed(-32600, "Invalid Request", '"x"'), failed(-32600, "Invalid Request", '"x"'), None,
         '{"jsonrpc":"1.0","method":"echo","id":"x"}'),
        ("an unknown method", failed(-32601, "Method not found", '"a"'), failed(-32601, "Method not found", '"a"'), None,
         '{"jsonrpc":"2.0","method":"nobody","id":"a"}'),
        ("a method that fails", failed(-32603, "boom", 1), failed(-32603, "boom", 1), None,
         '{"jsonrpc":"2.0","method":"boom","id":1}'),
        ("params that the method cannot use", failed(-32603, "Invalid params", 1), failed(-32602, "Invalid params", 1),
         "-32602 is for that", '{"jsonrpc":"2.0","method":"subtract","params":["x"],"id":1}'),
        ("a result that is no JSON", failed(-32603, "Internal error", 1), failed(-32603, "Internal error", 1), None,
         '{"jsonrpc":"2.0","method":"subtract","params":[1e308,-1e308],"id":1}'),
        ("a result", '{"jsonrpc":"2.0","result":{"a":1},"id":"x"}', '{"jsonrpc":"2.0","result":{"a":1},"id":"x"}', None,
         '{"jsonrpc":"2.0","method":"echo","params":{"a":1},"id":"x"}'),
        ("no result", '{"jsonrpc":"2.0","id":2}', '{"jsonrpc":"2.0","result":null,"id":2}', "JSON-RPC 2.0 section 5",
         '{"jsonrpc":"2.0","method":"echo","id":2}'),
        ("a large id", '{"jsonrpc":"2.0","result":{},"id":9007199254740992}',
         '{"jsonrpc":"2.0","result":{},"id":9007199254740993}', "it comes back as it was",
         '{"jsonrpc":"2.0","method":"echo","params":{},"id":9007199254740993}'),
        ("an id that is an object", '{"jsonrpc":"2.0","result":{},"id":{"a":1}}', failed(-32600, "Invalid Request"),
         "JSON-RPC 2.0 section 4", '{"jsonrpc":"2.0","method":"echo","params":{},"id":{"a":1}}'),
        ("a name that occurs twice", '{"jsonrpc":"2.0","result":{},"id":2}', failed(-32600, "Invalid Request"),
         "two parsers may read it differently, RFC 8259 4", '{"jsonrpc":"2.0","method":"echo","params":{},"id":1,"id":2}'),
        ("names in other letters", '{"jsonrpc":"2.0","result":{},"id":1}', failed(-32600, "Invalid Request"),
         "names are what they are", '{"JSONRPC":"2.0","Method":"echo","params":{},"ID":1}'),
        ("markup", '{"jsonrpc":"2.0","result":{"a":"\\u003cb\\u003e"},"id":1}',
         '{"jsonrpc":"2.0","result":{"a":"<b>"},"id":1}', "the same string",
         '{"jsonrpc":"2.0","method":"echo","params":{"a":"<b>"},"id":1}')):
    row("JSON-RPC: " + what, upstream, here, why, lambda text=text: ask_once(text))


@test
def a_notification_is_not_answered_whatever_becomes_of_it():
    """Differs: upstream answers with the id null, JSON-RPC 2.0 section 4.1 with nothing."""
    with rpc_example() as p, Raw(p.port) as c:
        for text in (b'{"jsonrpc":"2.0","method":"echo","params":{}}', b'{"jsonrpc":"2.0","method":"boom"}',
                     b'{"jsonrpc":"2.0","method":"nobody"}', b'[{"jsonrpc":"2.0","method":"echo"}]',
                     b'{"jsonrpc":"2.0","result":1,"id":77}', b'{"jsonrpc":"2.0","error":{"code":1,"message":""},"id":null}'):
            c.command(RPC, text)
        same("the next answer", c.ask('{"jsonrpc":"2.0","method":"echo","id":9}'), '{"jsonrpc":"2.0","result":null,"id":9}')


@test
def answers_later_and_questions_back():
    with rpc_example() as p, Raw(p.port) as c:
        c.command(RPC, b'{"jsonrpc":"2.0","method":"later","params":[7],"id":1}')
        same("what is asked behind it", c.ask('{"jsonrpc":"2.0","method":"echo","id":2}'),
             '{"jsonrpc":"2.0","result":null,"id":2}')
        same("what comes later", c.receive(), (0x82, b'\xff\xff\xff\xff{"jsonrpc":"2.0","result":[7],"id":1}'))
        question = json.loads(c.ask('{"jsonrpc":"2.0","method":"ask","id":3}'))
        same("the question", (question["method"], question["params"]), ("add", [1, 2]))
        same("the end of it", c.ask('{"jsonrpc":"2.0","result":3,"id":%d}' % question["id"]),
             '{"jsonrpc":"2.0","result":3,"id":3}')
        question = json.loads(c.ask('{"jsonrpc":"2.0","method":"ask","id":4}'))
        nothing = '{"jsonrpc":"2.0","id":%d}' % question["id"]  # as upstream answers when there is no result
        same("an answer without a result", c.ask(nothing), '{"jsonrpc":"2.0","result":null,"id":4}')
        same("the same to no question", c.ask(nothing), failed(-32600, "Invalid Request", question["id"]))


def random_value(rng, depth):
    kind = rng.randrange(9 if depth < 6 else 7)
    if kind == 0:
        return rng.choice([None, True, False])
    if kind == 1:
        return rng.randrange(-10**rng.randrange(1, 20), 10**rng.randrange(1, 20))
    if kind == 2:
        return rng.uniform(-1, 1) * 10.0**rng.randrange(-300, 300)
    if kind < 7:
        return "".join(chr(rng.choice([rng.randrange(32, 127), rng.randrange(0xD800), rng.randrange(0xE000, 0x110000),
                                       34, 92, 10])) for _ in range(rng.randrange(12)))
    if kind == 7:
        return [random_value(rng, depth + 1) for _ in range(rng.randrange(5))]
    return {"k%d" % rng.randrange(99): random_value(rng, depth + 1) for _ in range(rng.randrange(5))}


def python_accepts(text):
    """Python's verdict, without what it takes beyond RFC 8259, and with what we do not: see proto/json.h."""
    def refuse(word):
        raise ValueError(word)

    def check(value):
        if isinstance(value, str):
            value.encode()  # no half of a surrogate pair
        elif isinstance(value, list):
            for item in value:
                check(item)
        elif isinstance(value, float):
            true_number = value not in (float("inf"), float("-inf"))
            if not true_number:
                raise ValueError("too large")
        elif isinstance(value, dict):
            for key, item in value.items():
                check(key)
                check(item)

    try:
        check(json.loads(text.decode(), parse_constant=refuse))
        return True
    except (ValueError, RecursionError):
        return False


@test
def python_and_we_agree_on_what_is_json():
    rng = random.Random(8259)
    verdicts = [0, 0]
    with rpc_example("0") as p, Raw(p.port) as c:
        for _ in range(1500):
            value = [random_value(rng, 0)]
            text = json.dumps(value, ensure_ascii=rng.random() < 0.5, indent=rng.choice([None, 1])).encode()
            if rng.random() < 0.6:  # break it, perhaps
                at = rng.randrange(len(text))
                text = text[:at] + rng.choice([b"", b",", b'"', b"\\", b"0", b"e", b"-", b"]", b"[", b"\x01", b"\xff", b"u"]) \
                    + text[at + rng.randrange(2):]
            if not text[:1] == b"[" or not text.strip()[-1:] == b"]":
                continue
            is_good = python_accepts(text)
            answer = json.loads(c.ask(b'{"jsonrpc":"2.0","method":"echo","params":' + text + b',"id":1}'))
            same("our verdict on %r" % text, "result" in answer, is_good)
            if is_good:
                same("what came back of %r" % text, answer["result"], json.loads(text.decode()))
            verdicts[is_good] += 1
    true("there were both: %s" % verdicts, min(verdicts) > 200)


# ------------------------------------------------------------------------------------------------ the chat


def run_async(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 3 * PATIENCE))


class Chatter:
    """A client of the chat, as its page is one."""

    def __init__(self, socket_):
        self.socket = socket_

    async def say(self, number, value=None):
        await self.socket.send(struct.pack(">I", number) + (b"" if value is None else json.dumps(value).encode()))

    async def hear(self, number):
        message = await asyncio.wait_for(self.socket.recv(), PATIENCE)
        true("it is binary", isinstance(message, bytes))
        same("the command", struct.unpack(">I", message[:4])[0], number)
        return json.loads(message[4:].decode())


UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{9})?Z$")


async def chat(port, people, wrong):
    url = "ws://127.0.0.1:%d/ws" % port

    def connect():
        return websockets.connect(url, max_size=None, ping_interval=None, origin="http://127.0.0.1:%d" % port)

    async with connect() as one, connect() as two:
        alice, bob = Chatter(one), Chatter(two)
        await alice.say(8, {"username": 'alice "<&>\n'})
        joined = await alice.hear(3)
        same("what bob hears of it", await bob.hear(3), joined)
        same("its members", list(joined), ["id", "username", "joinedAt"])
        same("the name", joined["username"], 'alice "<&>\n')
        true("a UUID and a time: %s" % joined, UUID.match(joined["id"]) and RFC3339.match(joined["joinedAt"]))
        await alice.say(5)
        listed = await alice.hear(6)
        same("how many are there", len(listed), 2)
        true("alice is listed", joined in listed)
        guest = next(p for p in listed if p != joined)
        same("the other's name", guest["username"], "Guest_" + guest["id"][:8])
        await bob.say(2, {"x": 1})
        await bob.say(7)
        for bad in ([], 7, {"username": 5, "message": "x"}, *wrong):
            await bob.say(1, bad)
        await two.send(b"\0\0\0\1{")
        await bob.say(1, {"username": "bob", "message": "gr\u00fc\u00df dich \U0001f600", "timestamp": "0001-01-01T00:00:00Z"})
        said = await bob.hear(1)
        same("what alice hears", await alice.hear(1), said)
        same("its members", list(said), ["username", "message", "timestamp"])
        same("the message", said["message"], "gr\u00fc\u00df dich \U0001f600")
        true("the server's time: %s" % said, RFC3339.match(said["timestamp"]) and said["timestamp"] > "2020")
        await two.send(b"\0\0\0\1 {}")
        same("what is missing", {k: v for k, v in (await alice.hear(1)).items() if k != "timestamp"},
             {"username": "", "message": ""})
        await two.close(1000, "Client disconnect")
        same("who left", await alice.hear(4), guest)
        await alice.say(5)
        same("who is left", await alice.hear(6), [joined])
        for _ in range(people):
            async with connect():
                pass
        for _ in range(people):
            await alice.hear(4)


@test
def the_chat_of_linnet_serve():
    with serve("--workers", "2") as p:
        run_async(chat(p.port, 20, [{"username": "x", "message": "y", "timestamp": when} for when in (
            "yesterday", 7, "2026-11-21", "2026-11-21T00:18:21", "2026-11-21 00:18:21Z", "2026-11-21T00:18:21Zx")]))


@test
def the_chat_of_the_example():
    with chat_example() as p:
        run_async(chat(p.port, 5, []))


@test
def names_and_lists_of_the_chat_are_bounded():
    with serve("--workers", "1") as p, contextlib.ExitStack() as crowd:
        one = crowd.enter_context(Raw(p.port))
        for name in ("x" * 254, "y" * 255):
            one.command(8, json.dumps({"username": name}).encode())
        same("who has a name", json.loads(one.receive()[1][4:])["username"], "x" * 254)
        for more, wanted in ((998, 999), (1, 1000), (1, 1000)):
            for _ in range(more):
                crowd.enter_context(Raw(p.port))
            one.command(5)
            same("how many are listed", len(json.loads(one.receive()[1][4:])), wanted)


@test
def who_does_not_read_holds_up_nobody():
    async def crowd(port):
        url = "ws://127.0.0.1:%d/ws" % port
        async with websockets.connect(url, max_size=None, ping_interval=None) as one:
            alice = Chatter(one)
            await alice.say(8, {"username": "alice"})
            await alice.hear(3)
            text = "x" * 200000
            for i in range(1000):
                await alice.say(1, {"username": "alice", "message": text})
                message = await asyncio.wait_for(one.recv(), PATIENCE)
                if message[3] == 4:  # the deaf one is out, and hears it last
                    same("who is out", json.loads(message[4:].decode())["username"][:6], "Guest_")
                    await alice.hear(1)
                    break
                same("the echo", message[3], 1)
                await asyncio.sleep(0.011)  # within the rate
            else:
                raise AssertionError("nobody was closed")
            await alice.say(5)
            same("who is left", len(await alice.hear(6)), 1)

    with serve("--workers", "1") as p, Raw(p.port) as deaf:
        same("status", deaf.status, 101)
        run_async(crowd(p.port))


@test
def silence_is_the_end_and_pongs_are_life():
    with serve("--ping-interval", "200ms", "--pong-wait", "300ms") as p:
        with Raw(p.port) as silent, Raw(p.port) as alive:
            end = time.monotonic() + 1.5
            began = time.monotonic()
            gone = None
            while time.monotonic() < end:
                for ready in select.select([s for s in (silent.socket, alive.socket) if s], [], [], 0.05)[0]:
                    if ready is alive.socket:
                        first, payload = alive.receive()
                        if first == 0x89:
                            alive.send(0x8A, payload)
                        else:
                            same("what else the other gets", (first, payload[:4]), (0x82, b"\0\0\0\4"))
                    elif gone is None:
                        first, _ = silent.receive()
                        if first == 0x88:
                            gone = time.monotonic() - began
            true("the silent one is told: %s" % gone, gone is not None and 0.3 < gone < 1)
            alive.command(5)
            first, payload = alive.receive()
            while first == 0x89 or payload[3:4] == b"\4":
                first, payload = alive.receive()
            same("the other is answered", payload[:4], b"\0\0\0\6")


@test
def structs_are_checked_at_the_border():
    """examples/typed: what does not fit is answered with where and why, and changes nothing."""
    calls = (({"player": "ann", "by": {"x": 1.5, "y": -2}, "speed": 2}, {"at": {"x": 3, "y": -4}, "moves": 1}),
             ({"player": "ann", "by": {"x": 1}}, "by.y: missing"),
             ({"player": "a" * 32, "by": {"x": 1, "y": 1}}, "player: longer than 31 bytes"),
             ({"player": "ann", "by": {"x": 1, "y": 1}, "speed": 256}, "speed: above 255"),
             ([1, 2], "not an object"),
             ({"player": "ann", "by": {"x": 0, "y": 1}}, {"at": {"x": 3, "y": -3}, "moves": 2}))

    async def talk(port):
        async with websockets.connect("ws://127.0.0.1:%d/ws" % port) as peer:
            for number, (params, wanted) in enumerate(calls):
                await peer.send(struct.pack(">I", RPC) + json.dumps(
                    {"jsonrpc": "2.0", "id": number, "method": "move", "params": params}).encode())
                answer = json.loads((await peer.recv())[4:])
                if isinstance(wanted, str):
                    same("the error", answer["error"], {"code": -32602, "message": wanted})
                else:
                    same("the result", answer["result"], wanted)

    with example("typed") as server:
        asyncio.run(talk(server.port))


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    sys.exit(main())
