#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What a refusal tells: nothing that who is refused did not know. Who may not come in learns neither what is there nor why not.

Answers are compared to the byte. How it is run is said in kit.py.
"""
import base64
import hashlib
import json
import os
import re
import sys
import time

from kit import UPGRADE, Folder, Raw, Server, main, prerequisites, request, same, test, true

with prerequisites():
    import jwt

SECRET, ANOTHER = "rooms-" + "0123456789abcdef" * 4, "other-" + "0123456789abcdef" * 4
ADMIN = "admin-" + "0123456789abcdef" * 2
FOLDER = Folder(prefix="linnet-refusals-")
path = FOLDER.path
path("secret", SECRET + "\n")
path("admin", ADMIN + "\n")
path("rules", "allow all open.> anyone\nallow all mine.{user}.> authenticated\nallow all locked.> anyone\ndeny all > anyone\n")


def hashed(password):
    salt = os.urandom(16)
    key = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, 10000, 32)
    return "10000$%s$%s" % (base64.b64encode(salt).decode(), base64.b64encode(key).decode())


def token(secret=SECRET, **claims):
    return jwt.encode({"sub": "ann", "exp": int(time.time()) + 600, **claims}, secret, algorithm="HS256")


def bearer(text):
    return {"Authorization": "Bearer " + text}


def answer(server, target, method="GET", websocket=True, **more):
    """All of it but the date."""
    fields = {**(UPGRADE if websocket else {"Connection": "close"}), **{name.replace("_", "-"): value for name, value in more.items()}}
    with Raw(server.port, request(target, fields, method)) as c:
        whole = c.head + ("" if c.status == 101 else c.all().decode("latin-1"))
    return re.sub(r"\r\nDate: [^\r]*", "", whole)


def all_the_same(what, answers, status):
    for given, got in answers.items():
        true("%s of %s is %d: %r" % (what, given, status, got[:80]), got.startswith("HTTP/1.1 %d " % status))
    same("different answers: " + what, len(set(answers.values())), 1)


def served(*more):
    return Server("--workers", "1", "--auth-secret-file", path("secret"), "--rules", path("rules"), "--admin-secret-file", path("admin"), *more)


@test
def a_forbidden_room_does_not_say_whether_it_is_there():
    # in the legacy handshake a full room comes before the token, and so before the rules
    for mode, places in (("legacy", "2"), ("strict", "1")):
        with served("--rooms", mode, "--anonymous", "--max-room-members", places) as s:
            mine = bearer(token())
            with Raw(s.port, request("/rooms?room=mine.ann.full", {**UPGRADE, **mine})) as inside:
                same("status inside", inside.status, 101)
                other = bearer(token(sub="eve"))
                all_the_same("a room of others", {room: answer(s, "/rooms?room=" + room, **other) for room in
                                                  ("mine.ann.full", "mine.ann.none", "mine.bob.none", "nowhere", "secret.full")}, 403)
                all_the_same("to nobody", {room: answer(s, "/rooms?room=" + room) for room in ("mine.ann.full", "mine.ann.none", "nowhere")}, 403)


@test
def a_bad_token_does_not_say_what_is_bad_about_it():
    header = base64.urlsafe_b64encode(json.dumps({"alg": "none"}).encode()).rstrip(b"=").decode()
    bad = {"forged": token(ANOTHER), "expired": token(exp=1), "too early": token(nbf=1 << 33), "unsigned": header + "." + token().split(".")[1] + ".",
           "cut": token()[:-1], "no token": "x", "of another kind": jwt.encode({"sub": "ann"}, ANOTHER * 2, algorithm="HS512"),
           "with a name": jwt.encode({"sub": "ann"}, ANOTHER, algorithm="HS256", headers={"kid": "../../etc/passwd"}),
           "of the administrator": ADMIN, "large": "a" * 3000, "a date that is none": token(exp=1 << 60)}
    for mode in ("legacy", "strict"):
        with served("--rooms", mode) as s:
            for room in ("open.a", "nowhere"):
                all_the_same("a token", {what: answer(s, "/rooms?room=" + room, **bearer(text)) for what, text in bad.items()},
                             403)


@test
def a_bad_password_does_not_say_whether_anybody_is_there():
    path("passwords", "locked.a:%s\nlocked.b:%s\n" % (hashed("right"), hashed("right")))
    with served("--room-passwords", path("passwords")) as s:
        right = {"X_WebSocket_Room_Password": "right"}
        with Raw(s.port, request("/rooms?room=locked.a", {**UPGRADE, "X-WebSocket-Room-Password": "right"})) as inside:
            same("status inside", inside.status, 101)
            answers = {}
            for room in ("locked.a", "locked.b"):
                for password in ("wrong", "righ", "rightx", "r" * 1000):
                    answers[room, password[:9]] = answer(s, "/rooms?room=" + room, **{**right, "X_WebSocket_Room_Password": password})
                answers[room, None] = answer(s, "/rooms?room=" + room)
            all_the_same("a password", answers, 403)


@test
def who_is_no_administrator_learns_nothing():
    with served() as s:
        for target, method in (("/_admin/metrics", "GET"), ("/_admin/broadcast", "POST")):
            all_the_same("a secret", {what: answer(s, target, method, websocket=False, **fields) for what, fields in {
                "none": {}, "wrong": bearer("x" * len(ADMIN)), "short": bearer("x"), "almost": bearer(ADMIN[:-1]), "more": bearer(ADMIN + "x"),
                "a token": bearer(token()), "empty": {"Authorization": ""}, "basic": {"Authorization": "Basic " + ADMIN}}.items()}, 401)


@test
def a_name_is_no_pattern():
    """Of a user, where {user} stands in a rule: whatever tokens may be joined with, or stands for any of them, opens nothing else."""
    with served() as s:
        same("her own room", answer(s, "/rooms?room=mine.ann.x", **bearer(token()))[:12], "HTTP/1.1 101")
        for name in ("*", ">", "+", "#", "**", "ann.*", "ann.>", "*.x", ".", "..", "ann.", ".ann", "{user}", "%61nn", "ann\0", "ann/x", "ANN", "",
                     "\uff41nn", "an", "ann ", " ann", "ann\n", "a*", "mine.ann"):
            got = answer(s, "/rooms?room=mine.ann.x", **bearer(token(sub=name)))
            true("%r is not ann: %r" % (name, got[:40]), got.startswith("HTTP/1.1 403 "))


if __name__ == "__main__":
    sys.exit(main())
