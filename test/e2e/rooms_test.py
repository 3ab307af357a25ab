#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The rooms dialect of `linnet serve`, seen by independent clients: python3-websockets, bare sockets, PyJWT.

Handshakes row by row, limits, messages, rates, close codes, the administrators' requests, reloading. Who comes in with what
is rooms_identity_test.py's, what becomes of slow ones rooms_queue_test.py's. How it is run is said in kit.py.
"""
import asyncio
import contextlib
import json
import signal
import struct
import sys
import threading
import time

import kit
from kit import PATIENCE, UPGRADE, dial, holds, main, patient, prerequisites, request, run_async, same, soon, test, true

with prerequisites():
    import jwt
    import websockets
    from roomskit import (ADMIN, ALL_FULL, AUTH, BAD_PASSWORD, BAD_ROOM, BAD_TOKEN, DENIED, DENIED_ALL, ENTERED, FORBIDDEN,
                          INVALID, PASSWORD, ROOM_FULL, SECRET, Raw, Server, administered, bearer, connect, ended, engine_refuses, error,
                          folder, handshake, linnet, path, pbkdf2, silent, strict, token, with_tokens)


# ------------------------------------------------------------------------------------------------ handshake, legacy


def raw_head(method, version, *fields):
    """A request with just these fields, in this order; its Host is its own affair."""
    return ("%s /rooms HTTP/%s\r\n%s\r\n" % (method, version, "".join(field + "\r\n" for field in fields))).encode()


KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
GOOD = ("Host: x", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", KEY)


def but(number, *instead):
    """A good head's fields, with other ones in the place of one of them."""
    return (*GOOD[:number], *instead, *GOOD[number + 1:])


# What is wrong, the status, the code, and the head: in the order of the checks.
MALFORMED = [
    *(("the method " + method, 405, "METHOD_NOT_ALLOWED", raw_head(method, "1.1", *GOOD)) for method in ("POST", "PUT", "DELETE", "OPTIONS")),
    ("a plain POST", 405, "METHOD_NOT_ALLOWED", raw_head("POST", "1.1", "Host: x", "Content-Length: 0", "Connection: close")),
    ("HTTP/1.0", 400, "WEBSOCKET_BAD_UPGRADE", raw_head("GET", "1.0", *GOOD)),
    ("a plain GET", 426, "WEBSOCKET_BAD_UPGRADE", raw_head("GET", "1.1", "Host: x", "Connection: close")),
    ("no Upgrade", 426, "WEBSOCKET_BAD_UPGRADE", raw_head("GET", "1.1", *but(1))),
    ("another Upgrade", 426, "WEBSOCKET_BAD_UPGRADE", raw_head("GET", "1.1", *but(1, "Upgrade: h2c"))),
    ("two Upgrade fields", 400, "WEBSOCKET_BAD_UPGRADE", raw_head("GET", "1.1", *but(1, "Upgrade: websocket", "Upgrade: websocket"))),
    ("no Connection", 426, "WEBSOCKET_BAD_UPGRADE", raw_head("GET", "1.1", *but(2))),
    ("another Connection", 426, "WEBSOCKET_BAD_UPGRADE", raw_head("GET", "1.1", *but(2, "Connection: keep-alive"))),
    ("a part of a word", 426, "WEBSOCKET_BAD_UPGRADE", raw_head("GET", "1.1", *but(2, "Connection: upgraded"))),
    ("a body", 400, "WEBSOCKET_BAD_UPGRADE", raw_head("GET", "1.1", *GOOD, "Content-Length: 1") + b"x"),
    ("no version", 426, "WEBSOCKET_BAD_VERSION", raw_head("GET", "1.1", *but(3))),
    *(("version " + version, 426, "WEBSOCKET_BAD_VERSION", raw_head("GET", "1.1", *but(3, "Sec-WebSocket-Version: " + version)))
      for version in ("12", "14", "8", "013", "13, 8", "")),
    ("two versions", 400, "WEBSOCKET_BAD_VERSION", raw_head("GET", "1.1", *GOOD, "Sec-WebSocket-Version: 13")),
    ("no key", 400, "WEBSOCKET_KEY_MISSING", raw_head("GET", "1.1", *but(4))),
    ("an empty key", 400, "WEBSOCKET_KEY_MISSING", raw_head("GET", "1.1", *but(4, "Sec-WebSocket-Key: "))),
    *(("the key " + key, 400, "WEBSOCKET_KEY_INVALID", raw_head("GET", "1.1", *but(4, "Sec-WebSocket-Key: " + key)))
      for key in ("c2hvcnQ=", "x", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZR==", "dGhlIHNhbXBsZSBub25jZS4=", "dGhlIHNhbXBsZSBub25j_Q==",
                  "MTIzNDU2Nzg5MDEyMzQ1Njc=", "=" * 24)),
    ("two keys", 400, "WEBSOCKET_KEY_INVALID", raw_head("GET", "1.1", *GOOD, KEY)),
]
WORDS = {  # message by mode, category and type
    "METHOD_NOT_ALLOWED": ("method not allowed", "method not allowed", "client_error", "method_not_allowed"),
    "WEBSOCKET_BAD_UPGRADE": ("bad request", "websocket upgrade required", *INVALID),
    "WEBSOCKET_BAD_VERSION": ("bad request", "websocket version 13 required", *INVALID),
    "WEBSOCKET_KEY_MISSING": ("bad request", "websocket key required", *INVALID),
    "WEBSOCKET_KEY_INVALID": ("bad request", "invalid websocket key", *INVALID)}


def refuses_malformed(s, is_strict):
    for what, wanted, code, head in MALFORMED:
        with kit.Raw(s.port, head) as c:
            body = c.all()
            message, *kind = WORDS[code][is_strict], *WORDS[code][2:]
            same("the status for " + what, c.status, wanted)
            same("the body for " + what, json.loads(body), error(code, message, *kind))
            holds("its head", c.head, "Content-Type: application/json\r\n")
            holds("its head", c.head, "Content-Length: %d\r\n" % len(body))
            if wanted == 405:
                holds("its head", c.head, "Allow: GET")
            if wanted == 426:
                holds("its head", c.head, "Upgrade: websocket\r\n")
                holds("its head", c.head, "Sec-WebSocket-Version: 13\r\n")
    plain = sum(" plain " in what for what, *_ in MALFORMED)
    found = s.metrics("?form=strict")
    same("they are counted", (found["invalid_ws_keys"], found["rejected_total"]), (len(MALFORMED) - plain, 0))


def accepts_what_is_only_spelled_otherwise(s, *more):
    for what, fields in (("as it is", GOOD), ("other cases", ("hOST: x", "uPGRADE: WebSocket", "CONNECTION: uPGRADE", *GOOD[3:])),
                         ("a list", but(2, "Connection: keep-alive, Upgrade")), ("two fields", but(2, "Connection: keep-alive", "Connection: Upgrade")),
                         ("offers", (*GOOD, "Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Extensions: permessage-deflate"))):
        with kit.Raw(s.port, raw_head("GET", "1.1", *fields, *more)) as c:
            same("the head for " + what, c.head, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                                 "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")


@test
def legacy_rows_1_to_3_method_upgrade_and_key():
    with administered() as s:
        refuses_malformed(s, False)
        accepts_what_is_only_spelled_otherwise(s)


@test
def legacy_rows_4_to_6_come_in_this_order():
    """A password before a place, a place before a token, a token before the rules."""
    path("passwords", "locked:" + pbkdf2(PASSWORD, 10000, 32) + "\n")
    path("order-rules", "deny all forbidden anyone\nallow all > anyone\n")
    with with_tokens("--room-passwords", path("passwords"), "--rules", path("order-rules"), "--max-registrations", "1") as s:
        bad, right = {"Authorization": "Bearer x"}, "?room=locked&room_password=" + PASSWORD.replace(" ", "+")
        same("a token, with a place", handshake(s, right, **bad), BAD_TOKEN)
        same("a token before the rules", handshake(s, "?room=forbidden", **bad), BAD_TOKEN)
        same("the rules", handshake(s, "?room=forbidden"), FORBIDDEN)
        with Raw(s):
            same("a password", handshake(s, "?room=locked&room_password=x", **bad), BAD_PASSWORD)
            same("a place", handshake(s, right, **bad), ALL_FULL)
            same("a name before all that", handshake(s, "?room=*&room_password=x", **bad), BAD_ROOM)


@test
def legacy_row_5_full_rooms_and_a_full_house():
    with administered("--max-room-members", "2", "--max-registrations", "3") as s:
        with Raw(s, target="/rooms?room=a"), Raw(s, target="/rooms?room=a"):
            same("a third one", handshake(s, "?room=a"), ROOM_FULL)
            with Raw(s, target="/rooms?room=b"):
                same("a fourth one", handshake(s, "?room=c"), ALL_FULL)
                same("all are looked at first", handshake(s, "?room=a"), ALL_FULL)
        s.settle(members=0, rooms=0)
        same("all are gone", handshake(s, "?room=a"), ENTERED)
    with administered() as s, Raw(s), Raw(s), Raw(s):
        found = s.metrics("?form=legacy")
        same("without limits", {name: found[name] for name in found if "max" in name}, {"max_connections": 0, "max_room_connections": 0})
        same("there may be more", s.settle(members=3)["rooms"], 1)


@test
def legacy_row_6_a_token_is_optional_and_must_be_good():
    with with_tokens("--query-token") as s:
        same("none", handshake(s), ENTERED)
        for scheme in ("Bearer ", "bearer ", "BEARER  "):
            same(scheme, handshake(s, Authorization=scheme + token() + " "), ENTERED)
        same("in the address", handshake(s, "?token=" + token()), ENTERED)
        same("bad in the address", handshake(s, "?token=x"), BAD_TOKEN)
        same("bad", handshake(s, Authorization="Bearer x.y.z"), BAD_TOKEN)
        same("expired", handshake(s, Authorization="Bearer " + token(lifetime=-10)), BAD_TOKEN)
        same("of another secret", handshake(s, Authorization="Bearer " + token("x" * 32)), BAD_TOKEN)
        same("an empty one is none, and hides the other", handshake(s, "?token=x", Authorization="Bearer "), ENTERED)
        same("a bearer goes before the address", handshake(s, "?token=" + token(), Authorization="Bearer x"), BAD_TOKEN)
        same("another scheme is none", handshake(s, Authorization="Basic eDp5"), ENTERED)
        same("too long", handshake(s, "?token=" + "x" * 8000 + "&a=1"), BAD_TOKEN)
        found = s.settle(members=0)
        same("tokens of who came in", found["tokens_total"], 4)
    with with_tokens() as s:
        same("the address is not looked at unless wanted", handshake(s, "?token=x"), ENTERED)
    with administered() as s:
        same("nobody could verify it", handshake(s, Authorization="Bearer " + token()), BAD_TOKEN)
    with with_tokens("--token-required") as s:
        same("one is required", handshake(s), (401, error("WEBSOCKET_TOKEN_REQUIRED", "websocket token required", "auth_error",
                                                          "unauthorized_request")))


@test
def legacy_row_8_nothing_comes_before_the_101():
    """Members talk and an administrator shouts, while others come and go: first the whole 101, then whole frames."""
    with administered("--workers", "2") as s:
        stop = threading.Event()
        with Raw(s) as talker:
            def talk():
                while not stop.is_set():
                    talker.send(0x81, b"storm")
                    talker.receive()

            def shout():
                while not stop.is_set():
                    s.broadcast("storm")

            threads = [threading.Thread(target=work) for work in (talk, shout)]
            for t in threads:
                t.start()
            try:
                got = 0
                for _ in range(200):
                    with Raw(s) as c:
                        same("the head", c.head.split("\r\n")[0], "HTTP/1.1 101 Switching Protocols")
                        same("then a frame", c.receive(), (0x81, b"storm"))
                        got += 1
            finally:
                stop.set()
                for t in threads:
                    t.join(PATIENCE)
            same("all of them", got, 200)


# ------------------------------------------------------------------------------------------------ handshake, strict


@test
def strict_row_2_origins():
    with strict("--origins", "https://a.example,http://b.example:8080") as s:
        refused = (403, error("WEBSOCKET_FORBIDDEN_ORIGIN", "forbidden origin", *AUTH))
        good = "Bearer " + token()
        for origin, wanted in (("https://a.example", ENTERED), ("https://a.example:443", ENTERED), ("http://b.example:8080", ENTERED),
                               ("http://a.example", refused), ("https://a.example:444", refused), ("http://b.example", refused),
                               ("https://x.a.example", refused), ("https://a.example.evil", refused), ("null", refused),
                               ("http://127.0.0.1:%d" % s.port, refused)):
            same("origin " + origin, handshake(s, Origin=origin, Authorization=good), wanted)
        same("it is looked at before the token", handshake(s, Origin="null"), refused)
        same("no origin", handshake(s, Authorization=good), ENTERED)


@test
def strict_rows_3_to_7_method_upgrade_version_and_key():
    with strict() as s:
        refuses_malformed(s, True)
        same("before origin, room and token", handshake(s, "?room=*", Origin="null", Sec_WebSocket_Version="12")[0], 426)
        accepts_what_is_only_spelled_otherwise(s, "Authorization: Bearer " + token())


@test
def strict_row_8_room_names():
    with strict("--anonymous") as s:
        for name in ("a%20b", "a/b", "%00", "x" * 129, "%zz", "a,b", "%C3%A4", "$linnet.presence.a", "*", "a.>"):
            same("room " + name, handshake(s, "?room=" + name), BAD_ROOM)
        for name in ("x" * 128, "AZaz09._:-", "", "a..b"):
            same("room " + name, handshake(s, "?room=" + name), ENTERED)
        bad = (400, error("WEBSOCKET_INVALID_NAME", "invalid name", *INVALID))
        for name, wanted in (("%C3%A4" * 32, ENTERED), ("x" * 64, ENTERED), ("x" * 65, bad), ("%ff", bad), ("%zz", bad), ("a%00b", bad), ("%0A", bad)):
            same("the name " + name, handshake(s, "?name=" + name), wanted)


@test
def strict_rows_9_and_10_tokens():
    required = (401, error("WEBSOCKET_TOKEN_REQUIRED", "websocket token required", "auth_error", "unauthorized_request"))
    invalid = (403, error("WEBSOCKET_INVALID_TOKEN", "invalid websocket token", *AUTH))
    with strict() as s:
        same("none", handshake(s), required)
        same("an empty one", handshake(s, Authorization="Bearer"), required)
        same("in the address", handshake(s, "?token=" + token()), required)
        same("a bad one", handshake(s, Authorization="Bearer x"), invalid)
        same("an expired one", handshake(s, Authorization="Bearer " + token(lifetime=-10)), invalid)
        same("a good one", handshake(s, Authorization="Bearer " + token()), ENTERED)
        same("the room goes before", handshake(s, "?room=*"), BAD_ROOM)
    with strict("--query-token") as s:
        same("in the address, where that is wanted", handshake(s, "?token=" + token()), ENTERED)
        same("a bad one there", handshake(s, "?token=x"), invalid)
        same("a bearer hides it", handshake(s, "?token=" + token(), Authorization="Bearer x"), invalid)
        same("even an empty one", handshake(s, "?token=" + token(), Authorization="Bearer "), required)
    with administered("--rooms", "strict", "--anonymous") as s:
        same("nobody could verify it", handshake(s, Authorization="Bearer " + token()), invalid)
    with strict("--anonymous") as s:
        same("none, where that is allowed", handshake(s), ENTERED)
        same("one that is shown is verified", handshake(s, Authorization="Bearer x"), invalid)
    linnet("serve", "--rooms", "strict", code=2)
    linnet("serve", "--token-required", code=2)
    linnet("serve", "--query-token", code=2)


@test
def strict_row_11_passwords_and_rules():
    path("passwords", "locked:" + pbkdf2(PASSWORD, 10000, 32) + "\n")
    path("rules", "allow subscribe,publish chat.> role:member\nallow all locked anyone\nallow all inbox.{user} authenticated\n")
    with strict("--room-passwords", path("passwords"), "--rules", path("rules")) as s:
        member, other = "Bearer " + token(roles=["x", "member"]), "Bearer " + token(roles=["x"])
        same("a member", handshake(s, "?room=chat.a", Authorization=member), ENTERED)
        same("who is none", handshake(s, "?room=chat.a", Authorization=other), FORBIDDEN)
        same("of no rule", handshake(s, "?room=elsewhere", Authorization=member), FORBIDDEN)
        same("one's own", handshake(s, "?room=inbox.u-1", Authorization=other), ENTERED)
        same("another's", handshake(s, "?room=inbox.u-2", Authorization=other), FORBIDDEN)
        same("with the password", handshake(s, "?room=locked", Authorization=other, X_WebSocket_Room_Password=PASSWORD), ENTERED)
        same("a wrong one", handshake(s, "?room=locked", Authorization=other, X_WebSocket_Room_Password="x"), FORBIDDEN)
        same("the address does not count", handshake(s, "?room=locked&room_password=" + PASSWORD.replace(" ", "+"),
                                                     Authorization=other), FORBIDDEN)


@test
def strict_row_12_capacity():
    with strict("--anonymous", "--max-room-members", "1", "--max-registrations", "2") as s:
        with Raw(s, target="/rooms?room=a"):
            same("a full room", handshake(s, "?room=a"), (429, DENIED))
            with Raw(s, target="/rooms?room=b"):
                same("a full house", handshake(s, "?room=c"), (503, DENIED_ALL))
            same("a bad token goes before", handshake(s, "?room=a", Authorization="Bearer x")[0], 403)
    path("passwords", "locked:" + pbkdf2(PASSWORD, 10000, 32) + "\n")
    with strict("--anonymous", "--max-registrations", "1", "--room-passwords", path("passwords")) as s, Raw(s):
        same("so does a bad password", handshake(s, "?room=locked", X_WebSocket_Room_Password="x"), FORBIDDEN)
        same("then there is no place", handshake(s, "?room=locked", X_WebSocket_Room_Password=PASSWORD), (503, DENIED_ALL))
    with strict("--anonymous", "--max-rooms", "1") as s, Raw(s):
        same("rooms count, too", handshake(s, "?room=a"), (503, DENIED_ALL))


# ------------------------------------------------------------------------------------------------ limits


@test
def the_number_of_rooms_is_limited():
    with administered("--max-rooms", "2") as s:
        with Raw(s, target="/rooms?room=a"), Raw(s, target="/rooms?room=b"):
            same("a third room", handshake(s, "?room=c"), ALL_FULL)
            same("one that is there", handshake(s, "?room=a"), ENTERED)
        s.settle(rooms=0)


@patient
def joins_are_limited_in_time():
    for mode, message in (("legacy", "websocket rate limit exceeded"), ("strict", "websocket room join denied")):
        refused = (503, error("WEBSOCKET_JOIN_DENIED", message, "server_error", "service_unavailable"))
        with administered("--rooms", mode, *["--anonymous"] * (mode == "strict"), "--join-rate", "5") as s:
            results = [handshake(s) for _ in range(30)]
            true("ten at once: %s" % results, results[:10] == [ENTERED] * 10)
            true("then they are refused: %s" % results, refused in results and all(r in (ENTERED, refused) for r in results))
            with Raw(s) as c:
                if c.status == 503:
                    true("it says when", "Retry-After: 1\r\n" in c.head)
            time.sleep(0.5)
            same("and later again", handshake(s), ENTERED)


@test
def connections_are_limited_over_all_endpoints():
    for mode, refused in (("legacy", ALL_FULL), ("strict", (503, DENIED_ALL))):
        with administered("--rooms", mode, *["--anonymous"] * (mode == "strict"), "--max-connections", "1", "--workers", "1") as s, Raw(s):
            same("a second one", handshake(s), refused)


@test
def who_names_no_room_is_in_the_default_one():
    with Server() as s, Raw(s, target="/rooms") as a, Raw(s, target="/rooms?room=") as b, Raw(s, target="/rooms?room=default") as c, \
            Raw(s, target="/rooms?room=Default") as other:
        a.send(0x81, b"x")
        same("all of them are there", (a.receive(), b.receive(), c.receive()), 3 * ((0x81, b"x"),))
        other.send(0x81, b"y")
        same("and not here", other.receive(), (0x81, b"y"))


@test
def who_comes_again_takes_no_second_place():
    """And whoever is refused in whatever way gives its place back."""
    path("rules", "allow all > authenticated\n")
    with with_tokens("--max-room-members", "1", "--rules", path("rules"), "--workers", "2") as s:
        good = "Bearer " + token()
        for _ in range(20):
            same("refused by the rules, after a place was taken", handshake(s), FORBIDDEN)
            same("refused for the token", handshake(s, Authorization="Bearer x"), BAD_TOKEN)
            with Raw(s, fields={**UPGRADE, "Authorization": good, "Sec-WebSocket-Protocol": "a, a"}) as c:
                same("refused by the engine, after all that", c.status, 400)
            with Raw(s, fields={**UPGRADE, "Authorization": good}) as c:
                same("let in", c.status, 101)
            s.settle(members=0)
        same("every place was given back", s.settle(members=0)["rooms"], 0)


@test
def an_offer_that_is_malformed_is_refused_once_and_leaves_nothing():
    """It is looked at last: after the password was worked out, when the request has been waiting."""
    path("passwords", "locked:" + pbkdf2(PASSWORD, 10000, 32) + "\n")
    wanted = (400, error("WEBSOCKET_BAD_UPGRADE", "bad request", *INVALID))
    with administered("--room-passwords", path("passwords")) as s:
        for _ in range(5):
            same("the answer", handshake(s, "?room=locked", X_WebSocket_Room_Password=PASSWORD, Sec_WebSocket_Protocol="a, a"), wanted)
        s.settle(members=0, rooms=0, joined_total=0)
        same("it goes on", handshake(s, "?room=locked", X_WebSocket_Room_Password=PASSWORD), ENTERED)
        same("its end", s.stop(), 0)


# ------------------------------------------------------------------------------------------------ messages


@test
def every_message_goes_to_the_room_with_its_opcode():
    async def talk(s):
        async with connect(s.url("?room=r")) as ann, connect(s.url("?room=r")) as bob, connect(s.url("?room=other")) as eve:
            for message in ("text", b"\x00\xff", "", "a" * 70000, b"b" * 200000):
                await ann.send(message)
                same("for who sent it", await soon(ann.recv()), message)
                same("for the other", await soon(bob.recv()), message)
            await silent(eve, 0.1)

    with Server("--workers", "2") as s:
        run_async(talk(s))


@test
def the_sender_may_be_left_out():
    async def talk(s):
        async with connect(s.url()) as ann, connect(s.url()) as bob:
            await ann.send("x")
            same("for the other", await soon(bob.recv()), "x")
            await bob.send("y")
            same("the first for who sent x", await soon(ann.recv()), "y")

    with Server("--exclude-sender") as s:
        run_async(talk(s))


@test
def order_holds_over_workers():
    """Upstream reorders with several workers: 2,000 messages of each of two senders, seen by six members."""
    async def talk(s):
        members = [await connect(s.url(), max_queue=None) for _ in range(6)]
        for sender in members[:2]:
            for number in range(2000):
                await sender.send("%d:%d" % (members.index(sender), number))
        for member in members:
            got = [(await soon(member.recv())).split(":") for _ in range(4000)]
            for sender in "01":
                same("what %s sent" % sender, [int(n) for who, n in got if who == sender], list(range(2000)))
        for member in members:
            await member.close()

    with Server("--workers", "2") as s:
        run_async(talk(s))


@test
def a_message_cut_short_by_a_close_is_not_delivered():
    with Server() as s, Raw(s) as listener, Raw(s) as c:
        c.send(0x01, b"half of ")
        c.send(0x88, struct.pack(">H", 1000))
        same("the answer", c.receive(), (0x88, struct.pack(">H", 1000)))
        listener.send(0x81, b"whole")
        same("what the room got", listener.receive(), (0x81, b"whole"))


@test
def frames_that_break_the_protocol_have_their_codes():
    with administered() as legacy, administered("--rooms", "strict", "--anonymous") as strict_one:
        for what, bytes_, wanted in (
                ("a length with the top bit", b"\x82\xff\x80\0\0\0\0\0\0\1\0\0\0\0", (1002, "frame length has its highest bit set")),
                ("no mask", b"\x81\x01x", (1002, "frame from a client is not masked")),
                ("RSV1", b"\xc1\x80\0\0\0\0", (1002, "reserved bits are set")),
                ("a reserved opcode", b"\x83\x80\0\0\0\0", (1002, None)),
                ("a long length for a short frame", b"\x81\xfe\0\1\0\0\0\0x", (1002, None)),
                ("a fragmented ping", b"\x09\x80\0\0\0\0", (1002, None)),
                ("a large ping", b"\x89\xfe\0\x7e\0\0\0\0" + bytes(126), (1002, None)),
                ("a close of one byte", b"\x88\x81\0\0\0\0\3", (1002, None)),
                ("a bad close code", b"\x88\x82\0\0\0\0\x03\xe7", (1002, None)),
                ("a stray continuation", b"\x80\x81\0\0\0\0x", (1002, "continuation without a message")),
                ("text in text", b"\x01\x81\0\0\0\0a\x81\x81\0\0\0\0b", (1002, None)),
                ("bad UTF-8", b"\x81\x81\0\0\0\0\xff", (1007, "text is not UTF-8")),
                ("too much", b"\x82\xff\0\0\0\0\0\x10\0\1\0\0\0\0", (1009, "message is too big")),
                ("too much in fragments", (b"\x02" + b"\xff\0\0\0\0\0\x10\0\0\0\0\0\0" + bytes(1 << 20)) + b"\x80\x81\0\0\0\0x",
                 (1009, "message is too big"))):
            for s in (legacy, strict_one):
                with Raw(s) as c:
                    c.socket.sendall(bytes_)
                    code, reason = c.closed()
                    same("the code for " + what, code, wanted[0])
                    same("its reason", reason, wanted[1] or reason)
                    true("it says what is wrong with " + what, reason)
                    same("the server goes on", handshake(s), ENTERED)


@test
def strict_text_is_checked():
    with strict("--anonymous", "--max-message", "4MiB") as s:
        for what, text, wanted in (("a newline", b"a\nb", (1008, "message rejected")), ("a return", b"\r", (1008, "message rejected")),
                                   ("a tab", b"a\tb", (1008, "message rejected")), ("nothing", b"", (1008, "message rejected")),
                                   ("NUL", b"\0", (1008, "message rejected")), ("DEL", b"x\x7f", (1008, "message rejected")),
                                   ("too much", b"x" * ((1 << 20) + 1), (1009, "message too large")),
                                   ("no UTF-8", b"\xc3", (1007, None))):
            with Raw(s, target="/rooms?room=r") as listener, Raw(s, target="/rooms?room=r") as c:
                c.send(0x81, text)
                code, reason = c.closed()
                same("the code for " + what, code, wanted[0])
                if wanted[1]:
                    same("the reason for " + what, reason, wanted[1])
                listener.send(0x81, b"end")
                same("what the room got of " + what, listener.receive(), (0x81, b"end"))
        with Raw(s) as c:
            for first, good in ((0x81, b"plain"), (0x81, "\u00e4\u20ac".encode()), (0x81, b"x" * (1 << 20)), (0x82, b"a\n\0"), (0x82, b"")):
                c.send(first, good)
                same("it comes", c.receive(), (first, good))
        same("they are counted", s.metrics()["rejected_text_total"], 7)
    with Server() as s, Raw(s) as c:
        c.send(0x81, b"a\n\t\0")
        same("legacy takes any text", c.receive(), (0x81, b"a\n\t\0"))


@test
def publishing_and_presence_need_permission():
    async def talk(s):
        writer, reader = bearer(token(roles=["writer"])), bearer(token(roles=["reader"]))
        async with connect(s.url("?room=news&presence=1"), **writer) as w, connect(s.url("?room=news&presence=1"), **reader) as r:
            await w.send("headline")
            while True:
                text = await soon(w.recv())
                if text == "headline":
                    break
                same("else presence", json.loads(text)["type"], "presence")
            same("for the reader", await soon(r.recv()), "headline")
            await silent(r)  # presence is not for it, though it asked
            await r.send("graffiti")
            same("the reader's end", await ended(r), (1008, "not permitted to publish"))
        async with connect(s.url("?room=news")) as nobody:
            await nobody.send("x")
            same("nobody's end", await ended(nobody), (1008, "not permitted to publish"))

    path("rules", "allow all news role:writer\nallow subscribe news anyone\n")
    with with_tokens("--rules", path("rules")) as s:
        run_async(talk(s))
        same("they are counted", s.metrics()["forbidden_total"], 2)


# ------------------------------------------------------------------------------------------------ tokens


@test
def the_broker_is_no_way_round_the_doors():
    """A room is a topic, and /wsmq asks nobody who he is."""
    def broker(s):
        return connect("ws://127.0.0.1:%d/wsmq" % s.port)

    async def may(ws, act, topic):
        await ws.send(json.dumps({"id": "x", "type": act + "_request", "topic": topic}))
        return json.loads(await soon(ws.recv()))["type"] == "subscription_ack"

    async def subscribes(s, **wanted):
        async with broker(s) as ws:
            for topic, yes in wanted["topics"].items():
                same("may it subscribe to %s" % topic, await may(ws, "subscribe", topic), yes)

    async def published(s, room, query, reaches, **more):
        async with connect(s.url("?room=" + room + query), **more) as member, broker(s) as ws:
            await ws.send(json.dumps({"id": "x", "type": "publish", "topic": room, "payload": "from outside"}))
            await may(ws, "subscribe", "no/room")  # it has been looked at
            same("status", s.broadcast("the end", "?room=" + room), 204)
            same("what comes first", await soon(member.recv()), '"from outside"' if reaches else "the end")

    path("door-passwords", "locked.a:" + pbkdf2(PASSWORD, 10000, 32) + "\n")
    path("door-rules", "deny all secret.> anonymous\nallow subscribe read.* anyone\nallow all open.> anyone\nallow all secret.> anyone\n")
    with administered("--workers", "1") as s:
        run_async(subscribes(s, topics={"a": True, ">": True}))
        run_async(published(s, "a", "", True))
    with administered("--workers", "1", "--room-passwords", path("door-passwords")) as s:
        run_async(subscribes(s, topics={"locked.a": False, "locked.*": False, ">": False, "locked.b": True, "*": True, "no/room": True}))
        run_async(published(s, "locked.a", "&room_password=" + PASSWORD.replace(" ", "+"), False))
        run_async(published(s, "locked.b", "", True))
    with with_tokens("--workers", "1", "--rules", path("door-rules")) as s:
        run_async(subscribes(s, topics={"secret.a": False, "secret.>": False, ">": False, "other": False, "open.>": True, "read.a": True}))
        run_async(published(s, "secret.a", "", False, **bearer(token())))
        run_async(published(s, "read.a", "", False, **bearer(token())))
        run_async(published(s, "open.a", "", True))
    with strict("--workers", "1") as s:
        run_async(subscribes(s, topics={"a": False, ">": False, "no/room": True}))
        run_async(published(s, "a", "", False, **bearer(token())))
    with with_tokens("--token-required", "--watch", folder.name) as s:
        run_async(subscribes(s, topics={"a": False, "system:hot_reload": True}))


@patient
def the_last_second_of_a_token_and_the_end_of_a_connection():
    async def wait(s):
        end = int(time.time()) + 2
        async with connect(s.url(), **bearer(token(exp=end))) as ws, connect(s.url()) as other:
            stop = asyncio.Event()

            async def talk():
                while not stop.is_set():
                    await other.send(str(time.time()))
                    await other.recv()

            talker = asyncio.ensure_future(talk())
            last = 0
            try:
                while time.time() < end + 5:
                    last = float(await soon(ws.recv()))
                closed = time.time()
            except websockets.ConnectionClosed:
                closed = time.time()
            stop.set()
            await talker
            same("how it ended", (ws.close_code, ws.close_reason), (4001, "token expired"))
            # good in the very second that it names, and 1 s later at the latest it is over
            true("not too early: %.3f" % (closed - end), closed > end + 0.5)
            true("not too late: %.3f" % (closed - end - 1), closed < end + 1 + 1 + 0.5)
            true("nothing of after it: %.3f" % (last - end - 1), last < end + 1 + 0.5)

    with with_tokens() as s:
        run_async(wait(s))
        found = s.settle(members=0)
        same("it is counted", found["expired_total"], 1)


@patient
def a_token_may_be_exchanged_where_that_is_wanted():
    def refresh(text):
        return json.dumps({"type": "refresh", "token": text})

    async def answer(ws):
        return json.loads(await soon(ws.recv()))

    async def talk(s):
        begin = time.time()
        bad = {"type": "error", "error": {"code": "WEBSOCKET_INVALID_TOKEN", "message": "invalid websocket token"}}
        old = token(lifetime=2, roles=["member"])  # worth something for 3 s at most
        async with connect(s.url("?room=a"), **bearer(old)) as ws, connect(s.url("?room=a")) as other:
            for what, text in (("another's", token(sub="u-2")), ("an expired one", token(lifetime=-10))):
                await ws.send(refresh(text))
                same("the answer to " + what, await answer(ws), bad)
            later = int(time.time()) + 600
            await ws.send(refresh(jwt.encode({"sub": "u-1", "exp": later, "roles": ["member"]}, SECRET, algorithm="HS256")))
            same("the answer to a new one", await answer(ws), {"type": "refreshed", "expires": later + 1})
            await other.send(refresh(token()))
            same("nobody cannot become somebody", await answer(other), bad)
            await ws.send('{"type":"refreshing","token":"x"}')
            same("what only looks like it is a message", await soon(other.recv()), '{"type":"refreshing","token":"x"}')
            await soon(ws.recv())
            for _ in range(8):
                await ws.send(refresh(token(roles=["member"])))
            answers = [(await answer(ws)) for _ in range(8)]
            same("too many are not looked at", answers[-1]["error"]["code"], "WEBSOCKET_RATE_LIMITED")
            await silent(other, max(1.1, begin + 3.1 - time.time()))  # no token went to the room, and nobody was closed
            await ws.send("still here")
            same("it outlived the old token", await soon(ws.recv()), "still here")
            await ws.send(refresh(token(roles=[])))
            same("the answer to one without its role", (await answer(ws))["type"], "refreshed")
            same("which it was here by", await ended(ws), (1008, "not permitted to be here"))

    path("member-rules", "allow all a role:member\nallow all a anonymous\n")
    with with_tokens("--refresh-tokens", "--rules", path("member-rules")) as s:
        run_async(talk(s))
        found = s.metrics()
        true("they are counted: %s" % found, found["refreshed_total"] >= 2 and found["refresh_refused_total"] >= 4)
    with with_tokens() as s, Raw(s) as c:
        c.send(0x81, refresh("x").encode())
        same("elsewhere it is a message", c.receive(), (0x81, refresh("x").encode()))


# ------------------------------------------------------------------------------------------------ life


@patient
def who_does_not_answer_pings_is_given_up():
    with administered("--ping-interval", "200ms", "--pong-wait", "2s") as s, Raw(s) as silent_one, Raw(s) as other:
        same("a ping", silent_one.receive(), (0x89, b""))
        end = time.monotonic() + 2.5
        while time.monotonic() < end:  # who answers stays
            first, payload = other.receive()
            same("a ping", first, 0x89)
            other.send(0x8A, payload)
        same("the end of who does not", silent_one.closed(), (1011, "ping timeout"))
        silent_one.socket.close()
        s.settle(members=1)


# ------------------------------------------------------------------------------------------------ rates


@patient
def who_sends_too_much_is_read_later_and_loses_nothing():
    with administered("--rate", "50") as s, Raw(s) as c:
        begin = time.monotonic()
        for number in range(150):
            c.send(0x81, b"%d" % number)
        for number in range(150):
            same("in order", c.receive(), (0x81, b"%d" % number))
        took = time.monotonic() - begin
        true("100 at once, the others at 50 a second: %.2f s" % took, 0.9 < took < 20)
        true("it is counted", s.metrics()["paused_total"] > 0)  # on a busy machine one pause makes up for many


@test
def or_is_closed_where_that_is_wanted():
    with administered("--rate", "10", "--rate-excess", "close") as s, Raw(s) as c:
        for number in range(40):
            c.send(0x81, b"x")
        same("the end", c.closed(), (1008, "rate limit exceeded"))
        same("it is counted", s.metrics()["rate_closed_total"], 1)


@test
def every_rate_that_is_taken_can_be_kept():
    for option in ("--rate-bytes", "--address-rate-bytes", "--user-rate-bytes"):
        with Server(option, "1024000000") as s:
            same("a client", handshake(s), ENTERED)
        true("a higher one is a mistake", option in linnet("serve", "--listen", "127.0.0.1:0", option, "1GiB", code=2))


@patient
def a_rate_may_count_bytes():
    with with_tokens("--rate-bytes", "64KiB", "--workers", "1") as s, Raw(s) as c:
        begin = time.monotonic()
        for _ in range(6):
            c.send(0x82, bytes(32 << 10))  # 192 KiB: 128 at once, the rest takes a second
        for _ in range(6):
            c.receive()
        took = time.monotonic() - begin
        true("bytes: %.2f s" % took, 0.9 < took < 15)


def held_up_together(flag, fields):
    """Two connections with what they have in common, which is no more than 20 a second; and another one's."""
    with with_tokens(flag, "20", "--workers", "1") as s:
        with Raw(s, target="/rooms?room=a", fields={**UPGRADE, **fields}) as a, \
                Raw(s, target="/rooms?room=b", fields={**UPGRADE, **fields}) as b, \
                Raw(s, target="/rooms?room=c", source="127.0.0.9") as other:
            begin = time.monotonic()
            for number in range(30):
                for c in (a, b):
                    c.send(0x81, b"x")
            other.send(0x81, b"x")
            other.receive()
            free = time.monotonic() - begin
            for number in range(30):
                for c in (a, b):
                    c.receive()
            took = time.monotonic() - begin
            true("%s of two connections together: %.2f s" % (flag, took), 0.9 < took < 15)
            true("nobody else is held up: %.2f s" % free, free < 0.8)


@patient
def a_rate_may_be_a_users():
    held_up_together("--user-rate", {"Authorization": "Bearer " + token()})


@patient
def or_an_addresses():
    held_up_together("--address-rate", {})


# ------------------------------------------------------------------------------------------------ administration


@test
def broadcasts_are_for_administrators():
    with administered("--max-room-members", "9") as s:
        good = {"Authorization": "Bearer " + ADMIN}
        unauthorized = error("UNAUTHORIZED", "unauthorized", "auth_error", "unauthorized_request")
        for what, fields in (("none", {}), ("another", {"Authorization": "Bearer " + ADMIN[:-1] + "x"}), ("a part", {"Authorization": "Bearer " + ADMIN[:32]}),
                             ("more", {"Authorization": "Bearer " + ADMIN * 2}), ("an empty one", {"Authorization": "Bearer "}),
                             ("another scheme", {"Authorization": "Basic " + ADMIN})):
            status, head, body = s.ask("POST", "/_admin/broadcast?secret=" + ADMIN, fields, b"x")
            same("with " + what, (status, json.loads(body)), (401, unauthorized))
            true("it says how", "WWW-Authenticate: Bearer\r\n" in head)
        status, head, body = s.ask("GET", "/_admin/broadcast", good)
        same("GET", (status, json.loads(body)["error"]["code"]), (405, "METHOD_NOT_ALLOWED"))
        true("it says what instead", "Allow: POST\r\n" in head)
        status, _, body = s.ask("POST", "/_admin/broadcast", good, bytes((1 << 20) + 1))
        same("too much", (status, json.loads(body)["error"]["code"]), (413, "WEBSOCKET_REQUEST_TOO_LARGE"))
        status, _, body = s.ask("POST", "/_admin/broadcast?room=*", good, b"x")
        same("no room", (status, json.loads(body)), BAD_ROOM)
        status, _, body = s.ask("POST", "/_admin/broadcast", good, b"\xff")
        same("no text", (status, json.loads(body)["error"]["code"]), (400, "WEBSOCKET_INVALID_TEXT"))
        same("with nobody there", s.ask("POST", "/_admin/broadcast", good, b"x")[0], 204)
        same("in any case", s.ask("POST", "/_admin/broadcast", {"Authorization": "bEARER " + ADMIN}, b"x")[0], 204)
    with Server() as s:
        same("without a secret there is none", s.ask("POST", "/_admin/broadcast", {"Authorization": "Bearer "}, b"x")[0], 404)


@test
def strangers_are_refused_before_their_body_is_read():
    def said_to(s, method, path, secret, more=b""):
        """All that is answered to a head that promises a mebibyte, while none of it comes."""
        head = request(path, {"Authorization": "Bearer " + secret, "Content-Length": str(1 << 20)}, method)
        with dial(s.port) as c:
            c.sendall(head + more)
            answer = b""
            while piece := c.recv(4096):
                answer += piece
        return answer.decode()

    with administered() as s:
        for method, path, secret, status in (("POST", "broadcast", "x", 401), ("GET", "metrics", "x", 401), ("GET", "broadcast", ADMIN, 405), ("POST", "metrics", ADMIN, 405)):
            for more in b"", b"x" * 1000:
                answer = said_to(s, method, "/_admin/" + path, secret, more)
                true("%s %s: %r" % (method, path, answer), answer.startswith("HTTP/1.1 %d " % status))
                true("it ends: %r" % answer, "\r\nConnection: close\r\n" in answer)
                same("answers", answer.count("HTTP/1.1 "), 1)
        good = request("/_admin/broadcast", {"Authorization": "Bearer " + ADMIN, "Content-Length": "2"}, "POST")
        with dial(s.port) as c:
            for _ in range(2):
                c.sendall(good)
                time.sleep(0.05)
                c.sendall(b"ok")
                answer = c.recv(4096).decode()
                true("who may, may: %r" % answer, answer.startswith("HTTP/1.1 204 ") and "Connection: close" not in answer)


@test
def a_broadcast_to_a_server_that_ends_is_rejected():
    rejected = error("WEBSOCKET_BROADCAST_REJECTED", "websocket broadcast rejected", "server_error", "service_unavailable")
    head = request("/_admin/broadcast", {"Authorization": "Bearer " + ADMIN, "Content-Length": "1"}, "POST")
    with administered("--drain", "60s") as s, dial(s.port) as c, Raw(s) as member:
        c.sendall(head)
        s.settle(members=1)
        s.process.send_signal(signal.SIGTERM)
        same("the member is told", member.closed(), (1001, "going away"))
        c.sendall(b"x")
        answer = b""
        while piece := c.recv(4096):
            answer += piece
        holds("the answer", answer.decode(), "HTTP/1.1 503 ")
        same("its body", json.loads(answer.partition(b"\r\n\r\n")[2]), rejected)


@test
def a_broadcast_reaches_everybody_once_or_a_room():
    with administered("--workers", "2") as s:
        with contextlib.ExitStack() as stack:
            rooms = ["a", "a", "b", "b", "c"] * 4
            clients = [stack.enter_context(Raw(s, target="/rooms?room=" + room)) for room in rooms]
            same("to all", s.broadcast("all"), 204)
            same("to one", s.broadcast("\u00e4 only", "?room=a"), 204)
            same("the end", s.broadcast("end"), 204)
            for room, c in zip(rooms, clients):
                same("first", c.receive(), (0x81, b"all"))
                if room == "a":
                    same("then", c.receive(), (0x81, "\u00e4 only".encode()))
                same("last", c.receive(), (0x81, b"end"))
            found = s.metrics("?form=strict")
            same("attempted, enqueued", (found["broadcast_attempted"], found["broadcast_enqueued"]), (48, 48))


@test
def metrics_in_both_vocabularies():
    """Each figure has another value than its neighbours, and none is 0."""
    path("passwords", "locked:" + pbkdf2(PASSWORD, 10000, 32) + "\n")
    path("quiet-rules", "deny publish quiet anyone\ndeny all no.> anyone\nallow all > anyone\n")
    with with_tokens("--room-passwords", path("passwords"), "--rules", path("quiet-rules"), "--max-room-members", "2", "--max-registrations", "10",
                     "--overflow", "drop-newest", "--workers", "1") as s, \
            Raw(s, target="/rooms?room=a") as one, Raw(s, target="/rooms?room=a", fields={**UPGRADE, "Authorization": "Bearer " + token()}) as two, \
            Raw(s, target="/rooms?room=b"), Raw(s, target="/rooms?room=slow"), Raw(s, target="/rooms?room=quiet") as closing:
        for status, query, fields in ((429, "?room=a", {}), (400, "?room=*", {}), (403, "", {"Authorization": "Bearer x"}), (400, "?name=%FF", {}),
                                      (403, "?room=locked&room_password=x", {}), (403, "?room=no.way", {}), (403, "", {"Origin": "null"}),
                                      (403, "?room=no.way", {"Authorization": "Bearer " + token()})):
            same("status of %s" % query, handshake(s, query, **fields)[0], status)
        same("a name", handshake(s, "?name=%C3%A4"), ENTERED)
        for status, change in ((400, {"Sec_WebSocket_Key": "x"}), (426, {"Sec_WebSocket_Version": "12"}), (426, {"Upgrade": "h2c"})):
            engine_refuses(s, status, str(change), **change)
        for number in range(3):
            one.send(0x81, b"x")
            same("both have it", (one.receive(), two.receive()), 2 * ((0x81, b"x"),))
        closing.send(0x81, b"not here")
        same("it is closed", closing.closed(), (1008, "not permitted to publish"))  # and says nothing to that
        same("nobody can have this", s.broadcast("x", "?room=quiet"), 503)
        statuses = [s.broadcast(b"x" * 1000000, "?room=slow") for _ in range(20)]
        lost = statuses.count(503)
        true("some have no room: %s" % statuses, 0 < lost < 20)
        same("nobody reads it without the secret", s.ask("GET", "/_admin/metrics")[0], 401)
        found = s.settle(members=5)
        there = [("active_connections", 5), ("rooms", 4), ("accepted_total", 6), ("rejected_total", 8)]
        same("legacy", list(s.metrics("?form=legacy").items()), [*there, ("max_connections", 10), ("max_room_connections", 2)])
        same("strict", list(s.metrics("?form=strict").items()),
             [there[0], ("room_registrations", 5), *there[1:], ("max_room_registrations", 10), ("max_room_connections", 2),
              ("broadcast_attempted", 27), ("broadcast_enqueued", 26 - lost), ("broadcast_skipped", 1), ("broadcast_dropped", lost),
              ("security_rejections", 6), ("invalid_ws_keys", 3), ("successful_auths", 1)])
        ours = {"members": 5, "rooms": 4, "joined_total": 6, "refused_total": 8, "security_refused_total": 6, "tokens_total": 1,
                "password_checks_total": 1, "passwords_wrong_total": 1, "messages_total": 3, "forbidden_total": 1, "broadcasts_total": 21,
                "dropped_total": lost, "closed_total": 1}
        same("ours", {name: found[name] for name in ours}, ours)
        same("delivered, at once or later", found["delivered_total"] + found["queued_total"], 26 - lost)


# ------------------------------------------------------------------------------------------------ the program


@test
def keys_rules_and_passwords_are_read_again():
    async def live(s):
        async with connect(s.url("?room=a"), **bearer(token())) as ws, connect(s.url("?room=b"), **bearer(token())) as other:
            await ws.send("x")
            same("before", await soon(ws.recv()), "x")
            path("changing-rules", "allow all b anyone\n")
            s.process.send_signal(signal.SIGHUP)
            same("who may not be there any more", await ended(ws), (1008, "not permitted to be here"))
            await other.send("y")
            same("the other one stays", await soon(other.recv()), "y")

    new_secret = "n" * 64
    path("changing-secret", SECRET + "\n")
    path("changing-rules", "allow all > anyone\n")
    path("changing-passwords", "locked:" + pbkdf2(PASSWORD, 10000, 32) + "\n")
    with Server("--auth-secret-file", path("changing-secret"), "--rules", path("changing-rules"),
                "--room-passwords", path("changing-passwords")) as s:
        run_async(live(s))
        s.log = ""
        for file, text in (("changing-secret", "short\n"), ("changing-rules", "allow everything\n"), ("changing-rules", ""),
                           ("changing-passwords", "locked:nonsense\n"), ("changing-passwords", "nonsense\n"),
                           ("changing-passwords", ""), ("changing-passwords", "# none\n\n"),
                           ("changing-passwords", "x:%s\rlocked:%s\n" % (2 * (pbkdf2(PASSWORD, 10000, 32),)))):
            with open(path(file)) as old:
                before = old.read()
            path(file, text)
            s.log = ""
            s.process.send_signal(signal.SIGHUP)
            s.said(r"stay as they were: (\S*(changing|tokens)|invalid)")
            path(file, before)
            same("the old key", handshake(s, "?room=b", Authorization="Bearer " + token()), ENTERED)
            same("the old rules", handshake(s, "?room=a", Authorization="Bearer " + token()), FORBIDDEN)
            same("the old password", handshake(s, "?room=locked"), BAD_PASSWORD)
        path("changing-secret", new_secret + "\n")
        path("changing-rules", "allow all > anyone\n")
        path("changing-passwords", "c:" + pbkdf2(PASSWORD, 10000, 32) + "\n")
        s.log = ""
        s.process.send_signal(signal.SIGHUP)
        s.said("passwords reloaded")
        same("the old key", handshake(s, Authorization="Bearer " + token()), BAD_TOKEN)
        same("the new key", handshake(s, Authorization="Bearer " + token(new_secret)), ENTERED)
        same("the new rules", handshake(s, "?room=a"), ENTERED)
        same("the new password", handshake(s, "?room=c"), BAD_PASSWORD)
        same("the old one's room", handshake(s, "?room=locked"), ENTERED)


@test
def stopping_twice_amid_a_storm():
    """Upstream panics at the second stop, and at a broadcast during one."""
    with administered("--workers", "2") as s, Raw(s) as c, Raw(s, target="/rooms?room=x") as idle:
        stop = threading.Event()

        def shout():
            with contextlib.suppress(Exception):
                while not stop.is_set():
                    s.broadcast("storm")

        shouters = [threading.Thread(target=shout) for _ in range(3)]
        for t in shouters:
            t.start()
        for _ in range(20):
            c.receive()
        s.process.send_signal(signal.SIGTERM)
        same("how it says goodbye", idle.closed()[0], 1001)
        s.process.send_signal(signal.SIGTERM)
        same("how it ends", s.process.wait(PATIENCE), 0)
        stop.set()
        for t in shouters:
            t.join(PATIENCE)


@test
def no_secret_is_ever_logged():
    marks = {"token": "tokenmark" + "x" * 40, "password": "passwordmark" * 3}
    path("passwords", "locked:" + pbkdf2(PASSWORD, 10000, 32) + "\n")
    with with_tokens("--query-token", "--refresh-tokens", "--room-passwords", path("passwords"), "--log-level", "debug") as s:
        s.said("warning: --query-token")
        good = token()
        for query, fields in (("?token=" + marks["token"], {}), ("?token=" + good, {}), ("?room=locked&room_password=" + marks["password"], {}),
                              ("?room=*&token=" + marks["token"], {}), ("?token=" + marks["token"], {"Origin": "http://x.example"}),
                              ("", {"Authorization": "Bearer " + marks["token"]}),
                              ("?room=locked", {"X_WebSocket_Room_Password": marks["password"]}),
                              ("?token=" + marks["token"] + "%zz", {}), ("?token=" + marks["token"], {"Sec_WebSocket_Extensions": ",,;"})):
            with Raw(s, target="/rooms" + query, fields={**UPGRADE, **{k.replace("_", "-"): v for k, v in fields.items()}}) as c:
                answer = c.head + ("" if c.status == 101 else c.all().decode())
            for mark in (*marks.values(), good):
                true("the answer does not repeat it: " + answer, mark not in answer)
        s.ask("POST", "/_admin/broadcast", {"Authorization": "Bearer " + marks["token"]}, b"x")
        with Raw(s, target="/rooms?token=" + good) as c:
            c.send(0x81, json.dumps({"type": "refresh", "token": marks["token"]}).encode())
            c.receive()
        s.stop()
        for mark in (*marks.values(), good, SECRET, ADMIN, PASSWORD):
            true("the log does not have it: " + s.log, mark not in s.log)


if __name__ == "__main__":
    sys.exit(main())
