#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# back end: any
"""Who comes into rooms of `linnet serve`, and with what: passwords in every form, tokens of every algorithm, tricks with both.

The independent side is hashlib, PyJWT over cryptography, and bare sockets. How it is run is said in kit.py.
"""
import base64
import collections
import contextlib
import functools
import hashlib
import hmac
import itertools
import json
import os
import re
import select
import subprocess
import sys
import time

from kit import PATIENCE, UPGRADE, dial, main, prerequisites, request, same, test, true

with prerequisites("openssl"):
    import jwt
    from cryptography.hazmat.primitives import serialization
    from roomskit import (ADMIN, AUTH, BAD_PASSWORD, BAD_TOKEN, ENTERED, PASSWORD, SECRET, Raw, Server, administered, error,
                          handshake, linnet, path, pbkdf2, token, with_tokens)


# ------------------------------------------------------------------------------------------------ passwords


@test
def legacy_row_4_passwords_in_every_form_from_every_place():
    hashes = {"ours": linnet("token", "hash-password", stdin=PASSWORD + "\n").strip(), "seed": pbkdf2(PASSWORD, 10000, 32),
              "head": pbkdf2(PASSWORD, 210000, 64), "a:b": pbkdf2(PASSWORD, 10000, 64)}
    path("passwords", "# rooms\n\n" + "".join(" %s:%s\r\n" % entry for entry in hashes.items()))
    with administered("--room-passwords", path("passwords")) as s:
        right = PASSWORD.replace(" ", "+")
        for number, room in enumerate(hashes):
            source = "127.0.1.%d" % (number + 1)
            same("right, in the address", handshake(s, "?room=%s&room_password=%s" % (room, right), source), ENTERED)
            same("right, in a header", handshake(s, "?room=" + room, source, X_WebSocket_Room_Password=PASSWORD), ENTERED)
            same("wrong", handshake(s, "?room=%s&room_password=correct" % room, source), BAD_PASSWORD)
            same("none", handshake(s, "?room=" + room, source), BAD_PASSWORD)
            same("empty", handshake(s, "?room=%s&room_password=" % room, source), BAD_PASSWORD)
            same("too long", handshake(s, "?room=%s&room_password=%s" % (room, "x" * 4097), source), BAD_PASSWORD)
            same("the header counts", handshake(s, "?room=%s&room_password=%s" % (room, right), source,
                                                X_WebSocket_Room_Password="no"), BAD_PASSWORD)
        same("wrong for an open room", handshake(s, "?room=open&room_password=x"), ENTERED)
        found = s.settle(members=0)
        same("hashes worked out", (found["password_checks_total"], found["passwords_wrong_total"]), (16, 8))
        same("refusals", (found["refused_total"], found["security_refused_total"]), (20, 20))


def running_threads(pid):
    """How many of its threads work, or would if there were processors."""
    states = []
    for thread in os.listdir("/proc/%d/task" % pid):
        with contextlib.suppress(OSError), open("/proc/%d/task/%s/stat" % (pid, thread)) as file:
            states.append(file.read().rsplit(")", 1)[1].split()[0])
    time.sleep(0.01)
    return states.count("R")


def slow_hash():
    """Of a password that nobody knows, a second's work."""
    return "2000000$%s$%s" % tuple(base64.b64encode(os.urandom(size)).decode() for size in (16, 64))


def answered(clients, count):
    """The heads of those who have an answer: so many at least, and until no more come for a while."""
    heads, end = {}, time.monotonic() + PATIENCE
    while time.monotonic() < end:
        ready = select.select([c for c in clients if c not in heads], [], [], 0.3)[0]
        heads.update((c, c.recv(4096).decode()) for c in ready)
        if not ready and len(heads) >= count:
            break
    return list(heads.values())


@test
def passwords_are_limited_for_an_address_and_for_all():
    path("passwords", "locked:" + slow_hash() + "\n")
    with administered("--room-passwords", path("passwords"), "--workers", "1") as s, contextlib.ExitStack() as stack:
        def try_one(source):
            c = stack.enter_context(dial(s.port, source))
            c.sendall(request("/rooms?room=locked&room_password=w"))
            return c

        heads = answered([try_one("127.0.2.1") for _ in range(15)], 5)
        same("over ten of one address", len([h for h in heads if " 429 " in h]), 5)
        for head in (h for h in heads if " 429 " in h):
            true("it says why and when: " + head, "WEBSOCKET_RATE_LIMITED" in head and "Retry-After: 1\r\n" in head)
        heads = answered([try_one("127.0.3.%d" % (number // 8 + 1)) for number in range(80)], 58)
        refused = [h for h in heads if " 503 " in h]
        true("more than 32 at a time: %d" % len(refused), 52 <= len(refused) <= 62)
        for head in refused:
            true("it says why and when: " + head, "WEBSOCKET_BUSY" in head and "Retry-After: 1\r\n" in head)
        hashing = max(running_threads(s.process.pid) for _ in range(50))
        true("of the server's threads %d work" % hashing, 1 <= hashing <= 2)  # one hashes; and its worker
        begin = time.monotonic()
        same("others come in meanwhile", handshake(s, "?room=open"), ENTERED)
        true("at once", time.monotonic() - begin < 1)
        found = s.metrics()
        true("they are counted", found["attempts_limited_total"] == 5 and found["busy_total"] == len(refused))
        begin = time.monotonic()
        # there is no room for most, but each is an attempt
        statuses = [h.split()[1] for h in answered([try_one("127.0.2.2") for _ in range(11)], 9)]
        took = time.monotonic() - begin
        true("ten at once, two a second: %s" % statuses, 1 - 2 * took <= statuses.count("429") <= 1)
        time.sleep(max(0, begin + 1 - time.monotonic()))
        statuses = [h.split()[1] for h in answered([try_one("127.0.2.2") for _ in range(20)], 16)]
        took = time.monotonic() - begin
        true("two a second: %s after %.2f s" % (statuses, took), 20 - 2 * took - 1 <= statuses.count("429") <= 18)


@test
def hashing_takes_eight_threads_at_most():
    path("passwords", "locked:" + slow_hash() + "\n")
    with administered("--room-passwords", path("passwords"), "--workers", "32") as s, contextlib.ExitStack() as stack:
        for number in range(24):
            c = stack.enter_context(dial(s.port, "127.0.4.%d" % (number + 1)))
            c.sendall(request("/rooms?room=locked&room_password=w"))
        working = []
        end = time.monotonic() + PATIENCE
        while len(working) < 4 or (max(working) < 6 and time.monotonic() < end):  # on a busy machine it takes a while
            working.append(sorted(running_threads(s.process.pid) for _ in range(9))[4])
        true("of the server's threads %s work" % working, 6 <= max(working) <= 10)


@test
def passwords_are_hashed_from_standard_input():
    one, two = (linnet("token", "hash-password", stdin=PASSWORD + "\n").strip() for _ in range(2))
    true("scrypt, with a salt: " + one, re.fullmatch(r"\$scrypt\$ln=15,r=8,p=1\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+", one) and one != two)
    salt, key = (base64.b64decode(part + "=" * (-len(part) % 4)) for part in one.split("$")[3:])
    same("the key", hashlib.scrypt(PASSWORD.encode(), salt=salt, n=1 << 15, r=8, p=1, maxmem=1 << 26, dklen=len(key)), key)
    for text in ("", "\n"):
        true("nothing is no password", "no password" in linnet("token", "hash-password", stdin=text, code=1))


# ------------------------------------------------------------------------------------------------ tokens


ALGORITHMS = ["%s%d" % (family, bits) for family in ("HS", "RS", "PS", "ES") for bits in (256, 384, 512)]
CURVES = {"256": "prime256v1", "384": "secp384r1", "512": "secp521r1"}
STRICTLY_BAD = (403, error("WEBSOCKET_INVALID_TOKEN", "invalid websocket token", *AUTH))


def openssl(*words):
    subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=60)


def key_pair(name, *how):
    """A key made by openssl: where the private half is, with the public one beside it, in .pub."""
    openssl("genpkey", "-out", path(name), *how)
    openssl("pkey", "-in", path(name), "-pubout", "-out", path(name + ".pub"))
    return path(name)


def content(file):
    with open(file, "rb") as it:
        return it.read()


@functools.lru_cache(None)
class Keys:
    """For each algorithm the key that our servers know, and another one of its kind."""

    def __init__(self, name):
        rsa = key_pair(name + "-rsa", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
        curves = {bits: key_pair(name + "-ec" + bits, "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:" + curve)
                  for bits, curve in CURVES.items()}
        self.files = {alg: rsa if alg[0] in "RP" else curves[alg[2:]] for alg in ALGORITHMS if alg[0] != "H"}
        private = {file: serialization.load_pem_private_key(content(file), None) for file in {rsa, *curves.values()}}
        secret = SECRET if name == "ours" else SECRET[::-1]
        self.signing = {alg: secret if alg[0] == "H" else private[self.files[alg]] for alg in ALGORITHMS}

    def sign(self, alg, **header):
        return jwt.encode({"sub": "u-1"}, self.signing[alg], algorithm=alg, headers=header)

    def words(self):
        return [word for file in sorted(set(self.files.values())) for word in ("--auth-key", file + ".pub")]


def encoded(part):
    data = part if isinstance(part, bytes) else (part if isinstance(part, str) else json.dumps(part)).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def raw_token(header, claims, secret=SECRET, digest="sha256"):
    """Signed as HS would, over whatever header and claims say."""
    text = encoded(header) + "." + encoded(claims)
    key = secret if isinstance(secret, bytes) else secret.encode()
    return text + "." + encoded(hmac.new(key, text.encode(), digest).digest())


def token_of_size(size):
    """A good one, of exactly so many bytes."""
    for more in range(4):  # of a group of four characters all but one can be the rest
        for fill in range(size * 3 // 4 - 100, size * 3 // 4):
            text = raw_token({"alg": "HS256", "x": "y" * more}, {"sub": "u-1", "x": "z" * fill})
            if len(text) == size:
                return text
    raise AssertionError("no token has %d bytes" % size)


@contextlib.contextmanager
def judges(*args):
    """A legacy and a strict server, which judge in turn, and have counted well at the end."""
    with administered(*args) as legacy, administered("--rooms", "strict", *args) as strict_one:
        turns = itertools.cycle(((legacy, BAD_TOKEN), (strict_one, STRICTLY_BAD)))
        seen = collections.Counter()

        def judge(what, text, wanted):
            server, refusal = next(turns)
            answer = handshake(server, Authorization="Bearer " + text)
            seen[server, answer[0]] += 1
            same("the answer to " + what, answer, ENTERED if wanted == 101 else refusal)

        yield judge
        for server in (legacy, strict_one):
            found = server.settle(members=0)
            same("good and bad ones", (found["tokens_total"], found["security_refused_total"]), (seen[server, 101], seen[server, 403]))


def with_bit_changed(text, part):
    parts = text.split(".")
    data = bytearray(base64.urlsafe_b64decode(parts[part] + "=="))
    data[len(data) // 2] ^= 1
    parts[part] = encoded(bytes(data))
    return ".".join(parts)


@test
def every_algorithm_has_its_own_key():
    ours, others = Keys("ours"), Keys("others")
    with judges("--auth-secret-file", path("secret"), *ours.words()) as judge:
        for alg in ALGORITHMS:
            good = ours.sign(alg)
            judge(alg, good, 101)
            judge(alg + " by another key", others.sign(alg), 403)
            judge(alg + ", another signature", with_bit_changed(good, 2), 403)
            judge(alg + ", other claims", with_bit_changed(good, 1), 403)
            judge(alg + " without a signature", good[:good.rindex(".") + 1], 403)
            for other in ALGORITHMS:
                if other != alg:
                    judge(alg + " called " + other, encoded({"alg": other, "typ": "JWT"}) + good[good.index("."):], 403)
    for alg in ("RS256", "ES256"):
        with judges("--auth-key", ours.files[alg] + ".pub") as judge:
            for other in ALGORITHMS:
                fits = ours.files.get(other) == ours.files[alg]
                judge("%s where there is only %s" % (other, alg), ours.sign(other), 101 if fits else 403)


@test
def a_public_key_is_no_secret():
    ours = Keys("ours")
    for words in ([], ["--auth-secret-file", path("secret")]):
        with judges(*ours.words(), *words) as judge:
            for alg in ("RS256", "ES256", "ES512"):
                file = ours.files[alg] + ".pub"
                openssl("pkey", "-pubin", "-in", file, "-outform", "DER", "-out", path("confused.der"))
                for what, secret in (("the text", content(file)), ("it without its last newline", content(file).rstrip()),
                                     ("its bytes", content(path("confused.der"))), ("its name", file.encode())):
                    for bits in ("256", "384", "512"):
                        judge("HS%s by %s of a key for %s" % (bits, what, alg),
                              raw_token({"alg": "HS" + bits}, {"sub": "u-1"}, secret, "sha" + bits), 403)
                judge(alg + " by a secret", raw_token({"alg": alg}, {"sub": "u-1"}), 403)


def number(value, size=None):
    return encoded(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


def jwk(file, **more):
    numbers = serialization.load_pem_public_key(content(file + ".pub")).public_numbers()
    if hasattr(numbers, "n"):
        return {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e), **more}
    bits = numbers.curve.key_size
    return {"kty": "EC", "crv": "P-%d" % bits, "x": number(numbers.x, (bits + 7) // 8), "y": number(numbers.y, (bits + 7) // 8), **more}


@test
def a_key_set_chooses_by_its_names():
    ours, others = Keys("ours"), Keys("others")
    keys = [jwk(ours.files["RS256"], kid="r", use="sig"), jwk(others.files["RS256"], kid="r2", alg="PS512"),
            *(jwk(ours.files["ES" + bits], kid="e" + bits) for bits in CURVES), {"kty": "oct", "kid": "s", "k": encoded(SECRET)},
            jwk(others.files["ES256"], kid="no", use="enc")]
    kids = {**{alg: "r" for alg in ALGORITHMS if alg[0] in "RP"}, **{"ES" + bits: "e" + bits for bits in CURVES}}
    with judges("--auth-jwks", path("set.json", json.dumps({"keys": keys}))) as judge:
        for alg in ALGORITHMS:
            kid = kids.get(alg, "s")
            judge(alg + " with its key's name", ours.sign(alg, kid=kid), 101)
            judge(alg + " without a name", ours.sign(alg), 101)
            for wrong in ("r2", "e256" if kid == "s" else "s", "x", "", kid.upper(), kid + "\0"):
                judge("%s called %r" % (alg, wrong), ours.sign(alg, kid=wrong), 403)
        judge("a key for another algorithm", others.sign("PS512", kid="r2"), 101)
        judge("a key for one algorithm", others.sign("RS256", kid="r2"), 403)
        judge("a key for encrypting", others.sign("ES256"), 403)
        for kid in (1, None, ["s"], {"s": "s"}):
            judge("a name that is %r" % kid, raw_token({"alg": "HS256", "kid": kid}, {"sub": "u-1"}), 403)


@test
def rules_of_tokens():
    hs256, claims = {"alg": "HS256"}, {"sub": "u"}
    good = raw_token(hs256, claims)
    head, body, signature = good.split(".")
    with judges("--auth-secret-file", path("secret")) as judge:
        judge("a good one", good, 101)
        judge("typ and kid", raw_token({"alg": "HS256", "typ": "x", "kid": "y"}, claims), 101)
        for alg in ("none", "None", "NONE", "nOnE", "", "hs256", "HS256 ", "HS1", "HS2048", "RS256", "ES256K", "EdDSA", "A128KW", "dir",
                    None, 0, True, ["HS256"], {"HS256": 1}):
            judge("alg %r" % (alg,), raw_token({"alg": alg}, claims), 403)
            judge("alg %r without a signature" % (alg,), encoded({"alg": alg}) + "." + body + ".", 403)
        for what, header in (("no alg", {}), ("crit of exp", {"alg": "HS256", "crit": ["exp"]}), ("crit of nothing", {"alg": "HS256", "crit": []}),
                             ("b64", {"alg": "HS256", "b64": False}), ("b64 with crit", {"alg": "HS256", "b64": False, "crit": ["b64"]}),
                             ("alg twice", '{"alg":"HS256","alg":"HS256"}'), ("none and HS256", '{"alg":"none","alg":"HS256"}'),
                             ("kid twice", '{"alg":"HS256","kid":"a","kid":"a"}'), ("a header that is a list", '["HS256"]'),
                             ("a header that is a text", '"HS256"'), ("a header of nothing", ""), ("more behind the header", '{"alg":"HS256"}{}'),
                             ("a header that is no UTF-8", b'{"alg":"HS256","x":"\xff"}')):
            judge(what, raw_token(header, claims), 403)
        for what, said in (("a member twice", '{"sub":"a","sub":"b"}'), ("exp twice", '{"exp":9999999999,"exp":9999999999}'),
                           ("a member twice further down", '{"sub":"a","x":{"y":1,"y":1}}'), ("an escaped one twice", '{"sub":"a","s\\u0075b":"a"}'),
                           ("claims of a list", "[]"), ("a text", '"x"'), ("null", "null"), ("no JSON", "x"), ("nothing", ""),
                           ("more behind them", '{"sub":"a"}x'), ("no UTF-8", b'{"sub":"\xff"}'), ("a NUL", b'{"sub":"a"}\0'),
                           ("40 levels", '{"x":' + "[" * 40 + "]" * 40 + "}")):
            judge("claims: " + what, raw_token(hs256, said), 403)
        for what, secret in (("another secret", "x" * 64), ("an empty secret", ""), ("a NUL", "\0"), ("half of ours", SECRET[:32]),
                             ("the file with its newline", SECRET + "\n"), ("ours, encoded", encoded(SECRET)), ("the administrators'", ADMIN)):
            judge(what, raw_token(hs256, claims, secret), 403)
        judge("HS384 over SHA-256", raw_token({"alg": "HS384"}, claims), 403)
        for what, text in (("no signature", head + "." + body + "."), ("two parts", head + "." + body), ("four parts", good + ".x"),
                           ("an empty fourth", good + "."), ("no claims", head + ".." + signature), ("no header", "." + body + "." + signature),
                           ("dots", ".."), ("padding", good + "="), ("half a signature", good[:-22]), ("a byte more", good + "AA"),
                           ("another alphabet", good[:-1] + "+"), ("a blank within", head + ". " + body + "." + signature),
                           ("parts of another", raw_token(hs256, {"sub": "v"}).rsplit(".", 1)[0] + "." + signature)):
            judge(what, text, 403)
        stray = signature[:-1] + chr(ord(signature[-1]) + 1)  # two bits of its last character are nothing
        judge("stray bits at the end", head + "." + body + "." + stray, 403)


@test
def dates_are_whole_seconds():
    now = int(time.time())
    with judges("--auth-secret-file", path("secret")) as judge:
        for name, good in (("exp", (now + 60, 4102444800, 253402300799)), ("nbf", (now - 60, 0)), ("iat", (now - 60, now + 3600, 0))):
            for date in good:
                judge("%s of %r" % (name, date), raw_token({"alg": "HS256"}, {name: date}), 101)
            for date in ('"%d"' % (now + 60), '""', "%d.5" % (now + 60), "%d.0" % (now + 60), "1e10", "1e400", "-1", "-0.0", "253402300800",
                         "9223372036854775807", "9223372036854775808", "18446744073709551616", "9" * 400, "true", "null", "[]", "{}",
                         "[%d]" % (now + 60), "NaN", "Infinity", "0x7fffffff", "0%d" % (now + 60)):
                judge("%s of %s" % (name, date[:30]), raw_token({"alg": "HS256"}, '{"sub":"u","%s":%s}' % (name, date)), 403)
        for what, claims in (("exp past", {"exp": now - 3}), ("exp long past", {"exp": 0}), ("nbf to come", {"nbf": now + 60}),
                             ("nbf in ten years", {"nbf": now + 315360000}), ("expired before it began", {"exp": now - 60, "nbf": now + 60})):
            judge(what, raw_token({"alg": "HS256"}, claims), 403)


@test
def the_leeway_is_a_second():
    """A check counts only if all of it fell into one second of the clock."""
    with judges("--auth-secret-file", path("secret")) as judge:
        for claim, by, wanted in (("exp", 0, 101), ("exp", -1, 403), ("nbf", 1, 101), ("nbf", 2, 403)):
            end = time.monotonic() + PATIENCE
            while True:
                now = int(time.time())
                try:
                    judge("%s %+d" % (claim, by), raw_token({"alg": "HS256"}, {claim: now + by}), wanted)
                    break
                except AssertionError:
                    if int(time.time()) == now or time.monotonic() > end:
                        raise


@test
def tokens_are_from_whom_and_for_whom_they_must_be():
    with judges("--auth-secret-file", path("secret"), "--auth-issuer", "me", "--auth-audience", "us") as judge:
        for aud, wanted in (("us", 101), (["us"], 101), (["them", "us"], 101), ([1, None, "us"], 101), ("them", 403), ([], 403), (["them"], 403),
                            ("", 403), ("US", 403), ("us ", 403), ("usa", 403), ([["us"]], 403), ({"us": "us"}, 403), (None, 403), (1, 403)):
            judge("aud %r" % (aud,), raw_token({"alg": "HS256"}, {"iss": "me", "aud": aud}), wanted)
        for iss in ("you", "", "ME", "me ", ["me"], None, 1, {"me": 1}):
            judge("iss %r" % (iss,), raw_token({"alg": "HS256"}, {"iss": iss, "aud": "us"}), 403)
        judge("no aud", raw_token({"alg": "HS256"}, {"iss": "me"}), 403)
        judge("no iss", raw_token({"alg": "HS256"}, {"aud": "us"}), 403)


@test
def tokens_have_8_kib_at_most():
    """A head has no more either, so that only a message can bring one that is just too long."""
    with with_tokens("--refresh-tokens", "--query-token") as s:
        same("one that the head has room for", handshake(s, Authorization="Bearer " + token_of_size(7900)), ENTERED)
        for size in (8192, 8193, 100000):
            for target, fields in (("/rooms", {"Authorization": "Bearer " + "x" * size}), ("/rooms?token=" + "x" * size, {})):
                with Raw(s, target=target, fields={**UPGRADE, **fields}) as c:
                    same("the status for %d in %s" % (size, target[:13]), c.status, 431 if fields else 414)
        with Raw(s, fields={**UPGRADE, "Authorization": "Bearer " + token()}) as c:
            for size, wanted in ((8191, "refreshed"), (8192, "refreshed"), (8193, "error"), (8900, "error")):
                c.send(0x81, json.dumps({"type": "refresh", "token": token_of_size(size)}).encode())
                answer = json.loads(c.receive()[1])
                same("the answer to %d bytes (%s)" % (size, answer), answer["type"], wanted)
            same("its code", answer["error"]["code"], "WEBSOCKET_INVALID_TOKEN")


# ------------------------------------------------------------------------------------------------ secrets, rules and files


@test
def the_secrets_must_differ_and_be_long_enough():
    same_file = path("same", ADMIN + "\n")
    said = linnet("serve", "--listen", "127.0.0.1:0", "--auth-secret-file", same_file, "--admin-secret-file", same_file, code=1)
    true("it says so: " + said, "administrators' secret" in said)
    said = linnet("serve", "--listen", "127.0.0.1:0", "--admin-secret-file", path("short", "x" * 31 + "\n"), code=1)
    true("it says so: " + said, "32 bytes" in said)
    said = linnet("serve", "--listen", "127.0.0.1:0", "--auth-secret-file", path("short"), code=1)
    true("it says so: " + said, "32" in said)
    with Server(env={"LINNET_AUTH_SECRET": SECRET, "LINNET_ADMIN_SECRET": ADMIN}) as s:
        same("from the environment", handshake(s, Authorization="Bearer " + token()), ENTERED)
        same("both", s.broadcast("x"), 204)


@test
def rules_are_explained():
    path("rules", "# who\ndeny publish news.> anyone\nallow all > role:member\nallow subscribe inbox.{user} authenticated\n")
    for words, code, wanted in (
            (("--user", "u", "--role", "member", "publish", "news.a"), 1, "denied: line 2: deny publish news.> anyone\n"),
            (("--user", "u", "--role", "member", "publish", "chat"), 0, "allowed: line 3: allow all > role:member\n"),
            (("--user", "u", "subscribe", "inbox.u"), 0, "allowed: line 4: allow subscribe inbox.{user} authenticated\n"),
            (("subscribe", "inbox.u"), 1, "denied: no rule matches\n"),
            (("--token", token(roles=["member"]), "--auth-secret-file", path("secret"), "subscribe", "x"), 0,
             "allowed: line 3: allow all > role:member\n")):
        same("the answer to %s" % (words,), linnet("rules", "explain", "--rules", path("rules"), *words, code=code), wanted)
    same("by standard input", linnet("rules", "explain", "--rules", path("rules"), "--token", "-", "presence", "x", stdin=token(roles=["member"]) + "\n",
                                     env={"LINNET_AUTH_SECRET": SECRET}), "allowed: line 3: allow all > role:member\n")
    for words, code, reason in ((("explain", "--rules", path("rules"), "shout", "x"), 2, "subscribe, publish or presence"),
                                (("explain", "subscribe", "x"), 2, "--rules"), (("explain", "--rules", path("nothing"), "publish", "x"), 1, "nothing"),
                                (("explain", "--rules", path("bad-rules", "allow\n"), "publish", "x"), 1, "line 1"),
                                (("explain", "--rules", path("rules"), "--token", "x", "publish", "x"), 2, "--token needs"),
                                (("explain", "--rules", path("rules"), "--token", "x", "--auth-secret-file", path("secret"), "publish", "x"), 1, "malformed"),
                                (("frobnicate",), 2, "one word too many"), ((), 2, "explain")):
        true("%s says %s" % (words, reason), reason in linnet("rules", *words, code=code))


@test
def files_of_the_program_are_bounded():
    line = "r%05d:" + pbkdf2(PASSWORD, 10000, 32) + "\n"
    fits = path("many", "".join(line % number for number in range(65536)))
    with Server("--room-passwords", fits) as s:
        same("the last of them", handshake(s, "?room=r65535"), BAD_PASSWORD)
    for name, text, reason in (("more", line % 70000, "too many passwords"), ("nul", "a\0b", "no text")):
        with open(fits) as file:
            path(name, (file.read() if name == "more" else "") + text)
        said = linnet("serve", "--listen", "127.0.0.1:0", "--room-passwords", path(name), code=1)
        true("it says so: " + said, reason in said)
    with open(path("large"), "w") as file:
        file.truncate((32 << 20) + 1)
    said = linnet("serve", "--listen", "127.0.0.1:0", "--room-passwords", path("large"), code=1)
    true("it says so: " + said, "limit" in said)


if __name__ == "__main__":
    sys.exit(main())
