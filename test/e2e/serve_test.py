#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""`linnet serve`: its paths, options and signals, seen by independent clients (python3-websockets, http.client).

How it is run is said in kit.py.
"""
import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

import kit
from kit import LINNET, PATIENCE, connect, holds, is_sanitized, main, prerequisites, request, run_async, same, soon, test, true

with prerequisites("openssl"):
    import websockets


class Server(kit.Server):
    """Read line by line; .announced are the first ones, which say where it serves."""

    def __init__(self, *args, listeners=1):
        super().__init__(*args, listeners=listeners)
        self.announced = [self.line() for _ in range(listeners)]

    def line(self):
        """The next line of what it says."""
        self.said("\n")
        line, self.log = self.log.split("\n", 1)
        return line

    def wait(self):
        return self.process.wait(PATIENCE)

    def signal(self, number):
        self.process.send_signal(number)

    def get(self, path, method="GET"):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.request(method, path)
        answer = connection.getresponse()
        answer.body = answer.read()
        connection.close()
        return answer


# ------------------------------------------------------------------------------------------------ usage


def refused(*args):
    return subprocess.run([LINNET, "serve", *args], capture_output=True, timeout=PATIENCE, text=True)


@test
def wrong_words_exit_with_2_and_a_hint():
    for args in (["--port", "80"], ["--listen"], ["--workers", "0"], ["--workers", "many"], ["--io", "kqueue"],
                 ["--drain", "soon"], ["--max-message", "1X"], ["operand"], ["--listen-tls", ":0"], ["--tls-cert", "x"],
                 ["--tls-key", "x"], ["--log-level", "loud"]):
        done = refused(*args)
        same("exit code of %s" % args, done.returncode, 2)
        holds("the message", done.stderr, "Try: linnet serve --help")
        same("standard output", done.stdout, "")


@test
def what_cannot_be_listened_on_exits_with_1():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        for bad in (address, "127.0.0.1:99999", "192.0.2.1:8080", "nonsense"):
            done = refused("--listen", bad)
            same("exit code of " + bad, done.returncode, 1)
            holds("the message", done.stderr, "cannot listen on " + bad)


@test
def a_folder_that_is_not_there_exits_with_1():
    done = refused("--listen", "127.0.0.1:0", "--static", "/nonexistent")
    same("exit code", done.returncode, 1)
    holds("the message", done.stderr, "/nonexistent")


@test
def the_program_explains_itself():
    def said(*args):
        done = subprocess.run([LINNET, *args], capture_output=True, text=True, timeout=PATIENCE)
        return done.returncode, done.stdout, done.stderr

    for args in (["--help"], ["help"], ["-h"]):
        code, out, _ = said(*args)
        same("exit code", code, 0)
        for verb in ("serve", "connect", "version"):
            holds("the list", out, "  " + verb)
    for args in (["serve", "--help"], ["help", "serve"], ["--help", "serve"]):
        code, out, _ = said(*args)
        same("exit code", code, 0)
        holds("the help", out, "Usage: linnet serve")
    for args in (["version"], ["--version"], ["-V"]):
        code, out, _ = said(*args)
        same("exit code", code, 0)
        true("version first", re.match(r"linnet \d+\.\d+\.\d+\n", out))
        holds("back ends", out, "epoll")
    same("without a command", said()[0], 2)
    code, out, err = said("swerve")
    same("exit code", code, 2)
    holds("the message", err, '"swerve"')
    same("help for nothing", said("help", "swerve")[0], 2)


# ------------------------------------------------------------------------------------------------ paths


@test
def it_announces_where_it_serves():
    with Server("--workers", "2", "--io", "epoll") as s:
        true(s.announced[0], re.fullmatch(r"linnet \S+ serving http://127\.0\.0\.1:\d+/ \(2 workers, epoll\)",
                                          s.announced[0]))
    with Server("--workers", "1", "--listen", "127.0.0.1:0", "--listen=[::1]:0", listeners=2) as s:
        holds("the second listener", s.announced[1], "http://[::1]:")
        holds("one worker", s.announced[1], "(1 worker, ")


@test
def health_and_ready_answer():
    with Server() as s:
        for path, status in (("/health", "ok"), ("/ready", "ready")):
            answer = s.get(path)
            same("status", answer.status, 200)
            same("type", answer.getheader("Content-Type"), "application/json")
            same("body", json.loads(answer.body), {"status": status})
            same("HEAD", (s.get(path, "HEAD").status, s.get(path, "HEAD").body), (200, b""))
            refusal = s.get(path, "POST")
            same("POST", refusal.status, 405)
            same("Allow", refusal.getheader("Allow"), "GET, HEAD")
        same("another path", s.get("/nothing").status, 404)


@test
def files_are_served_below_the_folder_only():
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (("index.html", "<h1>hello</h1>"), ("app.js", "1"), (".hidden", "no")):
            with open(os.path.join(folder, name), "w") as file:
                file.write(text)
        with Server("--static", folder) as s:
            same("index", s.get("/").body, b"<h1>hello</h1>")
            holds("type", s.get("/app.js").getheader("Content-Type"), "javascript")
            same("hidden", s.get("/.hidden").status, 404)
            true("outside", s.get("/../../../etc/passwd").status in (400, 404))
            same("the server's own paths stay", s.get("/health").status, 200)


@test
def echo_sends_back_what_comes():
    async def talk(s):
        async with connect(s.url("/echo"), subprotocols=["chat"]) as ws:
            same("no subprotocol", ws.subprotocol, None)
            true("compressed", any("PerMessageDeflate" in type(e).__name__ for e in ws.extensions))
            for message in ("", "text", "z" * 100000, "Grüße 🐦", b"", b"\0\xff", os.urandom(200000)):
                await ws.send(message)
                same("echo", await soon(ws.recv()), message)

    with Server() as s:
        run_async(talk(s))


@test
def echo_takes_64_mib_and_70000_fragments():
    async def talk(s):
        async with connect(s.url("/echo"), compression=None) as ws:
            big = os.urandom(64 << 20)
            await ws.send(big)
            true("64 MiB came back", await soon(ws.recv()) == big)
            await ws.send(b"x" for _ in range(69999))  # and an empty one with FIN
            same("70,000 fragments", await soon(ws.recv()), b"x" * 69999)
            await ws.send(b"y" * ((64 << 20) + 1))
            try:
                await soon(ws.recv())
                raise AssertionError("a byte more than 64 MiB came back")
            except websockets.ConnectionClosed as closed:
                same("code", closed.code, 1009)

    with Server("--workers", "1") as s:
        run_async(talk(s))


@test
def echo_does_not_count_pings():
    async def talk(s):
        async with connect(s.url("/echo")) as ws:
            for _ in range(2000):
                await ws.ping()
            await soon(await ws.ping())

    with Server() as s:
        run_async(talk(s))


@test
def a_client_that_does_not_read_its_echoes_is_not_read():
    with Server("--workers", "1") as s, socket.create_connection(("127.0.0.1", s.port)) as c:
        c.sendall(request("/echo"))
        holds("the answer", c.recv(4096), b" 101 ")
        frame = b"\x82\xfe\xff\xff\0\0\0\0" + bytes(65535)
        c.settimeout(1.5)
        sent = 0
        try:
            while sent < 256 << 20:
                sent += c.send(frame[sent % len(frame):])
        except socket.timeout:
            pass
        with open("/proc/%d/status" % s.process.pid) as status:
            resident = int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1)) // 1024
        true("held back after %d MiB" % (sent >> 20), sent < 64 << 20)
        true("memory stayed small: %d MiB" % resident, resident < (256 if is_sanitized() else 64))
        c.settimeout(PATIENCE)
        received, feeder = 0, threading.Thread(target=c.sendall, args=(frame[sent % len(frame):],))
        feeder.start()
        complete = (sent // len(frame) + 1) * (65535 + 4)
        while received < complete:
            data = c.recv(1 << 20)
            true("the connection lives", data)
            received += len(data)
        feeder.join()
        same("all echoes came", received, complete)


@test
def rooms_fan_out_to_all_in_the_room():
    async def talk(s):
        async with connect(s.url("/rooms?room=red")) as ann, connect(s.url("/rooms?room=red")) as bob, \
                connect(s.url("/rooms")) as cat, connect(s.url("/rooms?room=default")) as dan:
            await ann.send("hello")
            await ann.send(b"\x01\x02")
            for who in (ann, bob):
                same("text", await soon(who.recv()), "hello")
                same("binary", await soon(who.recv()), b"\x01\x02")
            await dan.send("meow")
            for who in (cat, dan):
                same("the default room", await soon(who.recv()), "meow")
            await bob.send("end")
            same("nothing from another room", (await soon(ann.recv()), await soon(bob.recv())), ("end", "end"))

    with Server("--workers", "2") as s:
        run_async(talk(s))


@test
def rooms_tell_who_is_there_to_who_asks():
    async def presence(ws, people):
        """Follows the changes until so many are there: their names."""
        while True:
            message = json.loads(await soon(ws.recv()))
            same("type", (message["type"], message["room"]), ("presence", "red"))
            for member in message.get("members", []) + message.get("joined", []):
                people[member["id"]] = member["name"]
            for gone in message.get("left", []):
                del people[gone]
            same("count", message["count"], len(people))
            yield sorted(people.values())

    async def talk(s):
        async with connect(s.url("/rooms?room=red&presence=1&name=ann")) as ann:
            names = presence(ann, {})
            while await names.__anext__() != ["ann"]:
                pass
            async with connect(s.url("/rooms?room=red&name=bob")) as bob:
                same("two", await names.__anext__(), ["ann", "bob"])
                await bob.send("hi")
                same("who did not ask gets messages only", await soon(bob.recv()), "hi")
                same("the other, too", await soon(ann.recv()), "hi")
            same("alone again", await names.__anext__(), ["ann"])

    with Server("--workers", "2") as s:
        run_async(talk(s))


# ------------------------------------------------------------------------------------------------ options


def upgrade_status(s, path, origin):
    async def talk():
        try:
            async with connect(s.url(path), origin=origin):
                return 101
        except websockets.InvalidStatusCode as refusal:
            return refusal.status_code

    return run_async(talk())


@test
def other_origins_are_refused_unless_listed():
    with Server() as s:
        own = "http://127.0.0.1:%d" % s.port
        for path in ("/echo", "/rooms"):
            same("own", upgrade_status(s, path, own), 101)
            same("none", upgrade_status(s, path, None), 101)
            same("other", upgrade_status(s, path, "https://evil.example"), 403)
    with Server("--origins", "https://a.example,https://b.example") as s:
        for path in ("/echo", "/rooms"):
            same("listed", upgrade_status(s, path, "https://b.example"), 101)
            same("other", upgrade_status(s, path, "https://c.example"), 403)
    with Server("--origins", "*") as s:
        same("any", upgrade_status(s, "/rooms", "https://c.example"), 101)


@test
def max_message_limits_rooms():
    async def talk(s):
        async with connect(s.url("/rooms")) as ws:
            await ws.send("x" * 1000)
            same("at the limit", len(await soon(ws.recv())), 1000)
            await ws.send("x" * 1001)
            try:
                await soon(ws.recv())
                raise AssertionError("a message over the limit came back")
            except websockets.ConnectionClosed as closed:
                same("code", closed.code, 1009)

    with Server("--max-message", "1000B") as s:
        run_async(talk(s))


@test
def max_message_holds_as_it_was_said():
    mib = 1 << 20

    async def takes(s, path, size):
        """Is a message of that size let in? Where it means nothing it is answered, or a pong comes."""
        async with connect(s.url(path), max_size=None) as ws:
            try:
                await ws.send(b"\0\0\0\0" + b"x" * (size - 4) if path == "/ws" else '{"x":"' + "x" * (size - 8) + '"}')
                await soon(await ws.ping())
                return True
            except websockets.ConnectionClosed as closed:
                same("code of %s" % path, closed.code, 1009)
                return False

    async def limits(s, **wanted):
        for name, limit in wanted.items():
            same("/%s takes %d" % (name, limit), await takes(s, "/" + name, limit), True)
            same("/%s takes one byte more" % name, await takes(s, "/" + name, limit + 1), False)

    with Server() as s:
        run_async(limits(s, rooms=mib, wsmq=mib, ws=10 * mib + 4))
    with Server("--max-message", "1MiB") as s:
        run_async(limits(s, rooms=mib, wsmq=mib, ws=mib))
    with Server("--max-message", "12MiB") as s:
        run_async(limits(s, rooms=12 * mib, wsmq=12 * mib, ws=10 * mib + 4))


@test
def max_connections_answers_503():
    async def talk(s):
        async with connect(s.url("/echo")), connect(s.url("/echo")):
            try:
                async with connect(s.url("/echo")):
                    raise AssertionError("a third connection was accepted")
            except websockets.InvalidStatusCode as refusal:
                same("status", refusal.status_code, 503)

    with Server("--workers", "1", "--max-connections", "2") as s:
        run_async(talk(s))


@test
def small_queues_are_possible():
    with Server("--max-queue", "1K") as s:
        same("it serves", s.get("/health").status, 200)


@test
def silent_clients_are_pinged_or_not():
    def pings(*args):
        with Server(*args) as s, socket.create_connection(("127.0.0.1", s.port)) as c:
            c.sendall(request("/rooms"))
            holds("the answer", c.recv(4096), b" 101 ")
            c.settimeout(1.5)
            try:
                return c.recv(4096)[:1] == b"\x89"
            except socket.timeout:
                return False

    true("pinged", pings("--ping-interval", "300ms"))
    true("not pinged", not pings("--ping-interval", "off"))


@test
def idle_clients_are_sent_away():
    async def talk(s):
        async with connect(s.url("/rooms")) as ws:
            try:
                await soon(ws.recv())
            except websockets.ConnectionClosed as closed:
                same("code", (closed.code, closed.reason), (1000, "idle"))

    with Server("--idle", "300ms") as s:
        run_async(talk(s))


@test
def unix_sockets_are_served():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "linnet.sock")
        with Server("--listen", "unix:" + path) as s:
            holds("the announcement", s.announced[0], "unix:" + path)
            with socket.socket(socket.AF_UNIX) as c:
                c.connect(path)
                c.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                holds("the answer", c.recv(4096), b"200")


# ------------------------------------------------------------------------------------------------ TLS


def make_certificate(folder, name):
    key, cert = os.path.join(folder, "server.key"), os.path.join(folder, "server.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-passout", "pass:open sesame", "-keyout", key,
                    "-out", cert, "-days", "2", "-subj", "/CN=" + name, "-addext", "subjectAltName=DNS:localhost"],
                   check=True, capture_output=True)
    with open(os.path.join(folder, "passphrase"), "w") as file:
        file.write("open sesame\n")
    return cert, key


def served_name(port):
    """The common name in the certificate that the server shows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port)) as c, context.wrap_socket(c) as tls:
        der = tls.getpeercert(True)
    shown = subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-subject"], input=der, capture_output=True)
    return shown.stdout.decode().split("CN = ")[1].strip()


async def echo_over_tls(port, cert):
    context = ssl.create_default_context(cafile=cert)
    async with connect("wss://localhost:%d/echo" % port, ssl=context) as ws:
        await ws.send("secret")
        same("echo", await soon(ws.recv()), "secret")


@test
def tls_serves_beside_plain_and_reloads():
    with tempfile.TemporaryDirectory() as folder:
        cert, key = make_certificate(folder, "first")
        with Server("--listen", "127.0.0.1:0", "--listen-tls", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key,
                    "--tls-passphrase-file", os.path.join(folder, "passphrase"), listeners=2) as s:
            holds("the announcement", s.announced[1], "https://127.0.0.1:")
            run_async(echo_over_tls(s.ports[1], cert))
            same("plain", s.get("/health").status, 200)
            same("before", served_name(s.ports[1]), "first")
            make_certificate(folder, "second")
            s.signal(signal.SIGHUP)
            holds("the log", s.line(), "certificates reloaded")
            end = time.monotonic() + PATIENCE  # each worker changes over in its next turn
            while served_name(s.ports[1]) != "second" and time.monotonic() < end:
                time.sleep(0.05)
            same("after", served_name(s.ports[1]), "second")
            with open(cert, "w") as file:
                file.write("rubbish")
            s.signal(signal.SIGHUP)
            while "stay as they were" not in s.line():
                pass
            same("after a bad one", served_name(s.ports[1]), "second")


@test
def pkcs12_is_served():
    with tempfile.TemporaryDirectory() as folder:
        cert, key = make_certificate(folder, "bag")
        bag = os.path.join(folder, "server.p12")
        subprocess.run(["openssl", "pkcs12", "-export", "-in", cert, "-inkey", key, "-passin", "pass:open sesame",
                        "-passout", "pass:open sesame", "-out", bag], check=True, capture_output=True)
        with Server("--listen-tls", "127.0.0.1:0", "--tls-pkcs12", bag, "--tls-passphrase-file",
                    os.path.join(folder, "passphrase")) as s:
            run_async(echo_over_tls(s.port, cert))


@test
def a_certificate_that_cannot_be_used_exits_with_1():
    with tempfile.TemporaryDirectory() as folder:
        cert, key = make_certificate(folder, "locked")
        done = refused("--listen-tls", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key)
        same("exit code", done.returncode, 1)
        holds("the message", done.stderr, "cannot listen with TLS on 127.0.0.1:0")
        done = refused("--listen-tls", "127.0.0.1:0", "--tls-cert", cert, "--tls-passphrase-file", "/nonexistent")
        same("exit code", done.returncode, 1)
        holds("the message", done.stderr, "/nonexistent")


# ------------------------------------------------------------------------------------------------ signals


@test
def term_and_int_say_goodbye_with_1001():
    async def talk(s, number):
        async with connect(s.url("/echo")) as ws:
            await ws.send("before")
            same("echo", await soon(ws.recv()), "before")
            s.signal(number)
            try:
                await soon(ws.recv())
                raise AssertionError("a message came")
            except websockets.ConnectionClosed as closed:
                same("code", closed.code, 1001)

    for number in (signal.SIGTERM, signal.SIGINT):
        with Server("--workers", "2") as s:
            run_async(talk(s, number))
            same("exit code", s.wait(), 0)


@test
def while_it_drains_it_takes_nobody_in():
    with Server("--workers", "1", "--drain", "5s") as s:
        stubborn = socket.create_connection(("127.0.0.1", s.port))
        stubborn.sendall(request("/echo"))
        holds("the answer", stubborn.recv(4096), b" 101 ")
        same("ready before", s.get("/ready").status, 200)
        s.signal(signal.SIGTERM)
        holds("the announcement", s.line(), "draining")
        time.sleep(0.2)
        try:
            same("ready meanwhile", s.get("/ready").status, 503)
        except OSError:
            pass  # nobody listens any more, which says the same
        same("still there", s.process.poll(), None)
        stubborn.close()
        same("exit code", s.wait(), 0)


@test
def draining_ends_after_its_time_or_a_second_signal():
    for again in (False, True):
        with Server("--workers", "1", "--drain", "1m" if again else "700ms") as s:
            stubborn = socket.create_connection(("127.0.0.1", s.port))
            stubborn.sendall(request("/echo"))
            holds("the answer", stubborn.recv(4096), b" 101 ")
            began = time.monotonic()
            s.signal(signal.SIGTERM)
            holds("the announcement", s.line(), "draining")
            if again:
                time.sleep(0.3)
                same("still there", s.process.poll(), None)
                s.signal(signal.SIGINT)
            same("exit code", s.wait(), 0)
            true("in time", (0.25 if again else 0.6) < time.monotonic() - began < 10)
            stubborn.close()


@test
def a_tls_handshake_may_end_while_it_drains():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    heard, said = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(heard, said)
    with tempfile.TemporaryDirectory() as folder:
        cert, key = make_certificate(folder, "late")
        with Server("--workers", "1", "--listen-tls", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key,
                    "--tls-passphrase-file", os.path.join(folder, "passphrase")) as s:
            late = socket.create_connection(("127.0.0.1", s.port), PATIENCE)
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    late.sendall(said.read())
                    heard.write(late.recv(65536))
            s.signal(signal.SIGTERM)
            same("what comes", late.recv(65536), b"")
            late.sendall(said.read())  # our last word of the handshake
            late.close()
            same("exit code", s.wait(), 0)


if __name__ == "__main__":
    sys.exit(main(title=str))
