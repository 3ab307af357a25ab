#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""`linnet connect` against an independent server (python3-websockets), through pipes and on a pseudo-terminal.

How it is run is said in kit.py.
"""
import asyncio
import base64
import fcntl
import http
import json
import os
import pty
import re
import select
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from urllib.parse import parse_qs, urlsplit

from kit import LINNET, PATIENCE, free_port, holds, main, prerequisites, same, test, true

with prerequisites("openssl"):
    import websockets

# ------------------------------------------------------------------------------------------------ the server


class Record:
    """What the server saw of the connection that asked for ?id=..."""

    def __init__(self):
        self.messages = []
        self.headers = None
        self.close_code = None
        self.close_reason = None
        self.socket = None
        self.opened = threading.Event()
        self.closed = threading.Event()
        self.pongs = 0


RECORDS = {}
GATE = threading.Event()  # /slow reads only while it is set


def record(name):
    return RECORDS.setdefault(name, Record())


async def act_echo(ws, query, seen):
    """Echoes, and closes after ?count= messages; answers to what came just before a close frame are lost, as usual."""
    left = int(query.get("count", ["-1"])[0])
    async for message in ws:
        await ws.send(message)
        left -= 1
        if left == 0:
            return


async def act_keep(ws, query, seen):
    async for message in ws:
        seen.messages.append(message)


async def act_slow(ws, query, seen):
    while not GATE.is_set():
        await asyncio.sleep(0.02)
    async for message in ws:
        seen.messages.append(message)


async def act_headers(ws, query, seen):
    await ws.send(json.dumps([[k.lower(), v] for k, v in ws.request_headers.raw_items()]))
    await ws.wait_closed()


async def act_close(ws, query, seen):
    if "after" in query:
        await ws.recv()
    if query.get("code") == ["none"]:
        # websockets has no way to send a close frame without a code
        ws.transport.write(b"\x88\x00")
        await asyncio.sleep(0.3)
    else:
        await ws.close(int(query["code"][0]), query.get("reason", [""])[0])


async def act_cut(ws, query, seen):
    ws.transport.abort()


def pattern(size):
    return bytes(i * 7 & 255 for i in range(size))


async def act_send(ws, query, seen):
    """Sends ?text=, ?hex=, ?bytes= and ?size= (all repeatable), then closes, or goes on listening with ?stay=1."""
    for text in query.get("text", []):
        await ws.send(text)
    for text in query.get("hex", []):
        await ws.send(bytes.fromhex(text))
    for text in query.get("bytes", []):
        await ws.send(pattern(int(text)))
    for text in query.get("size", []):
        await ws.send("x" * int(text))
    if "stay" in query:
        async for message in ws:
            seen.messages.append(message)


async def act_flood(ws, query, seen):
    for number in range(int(query["count"][0])):
        await ws.send("message %d" % number)


async def act_ping(ws, query, seen):
    pong = await ws.ping(b"are you \x1b there?")
    await asyncio.wait_for(pong, PATIENCE)
    seen.pongs += 1
    await ws.send("thanks")


async def act_deaf(ws, query, seen):
    """Reads nothing any more, so that a close frame is never answered."""
    ws.transport.pause_reading()
    await asyncio.sleep(PATIENCE)


async def act_subprotocol(ws, query, seen):
    await ws.send(ws.subprotocol or "none")


async def act_fickle(ws, query, seen):
    """Cuts off the first connection after its first message; the others get an echo."""
    seen.count = getattr(seen, "count", 0) + 1
    if seen.count == 1:
        seen.messages.append(await ws.recv())
        ws.transport.abort()
        return
    async for message in ws:
        seen.messages.append(message)
        await ws.send(message)


ACTS = {name[4:]: value for name, value in list(globals().items()) if name.startswith("act_")}


async def serve_connection(ws, path):
    parts = urlsplit(path)
    query = parse_qs(parts.query, keep_blank_values=True)
    seen = record(query.get("id", ["-"])[0])
    seen.socket = ws
    seen.headers = ws.request_headers
    seen.opened.set()
    try:
        await ACTS[parts.path.strip("/")](ws, query, seen)
        await ws.close()
    except websockets.ConnectionClosed:
        pass
    await ws.wait_closed()
    seen.close_code, seen.close_reason = ws.close_code, ws.close_reason
    seen.closed.set()


async def answer_plainly(path, headers):
    if path.startswith("/forbidden"):
        return http.HTTPStatus.FORBIDDEN, [], b"not for you\n"
    return None


LOOP = asyncio.new_event_loop()
OPTIONS = dict(process_request=answer_plainly, max_size=None, ping_interval=None, close_timeout=5)


def on_loop(coroutine):
    return asyncio.run_coroutine_threadsafe(coroutine, LOOP).result(PATIENCE)


async def listen(port=0, tls=None, **more):
    server = await websockets.serve(serve_connection, "127.0.0.1", port, ssl=tls, **dict(OPTIONS, **more))
    return server.sockets[0].getsockname()[1]


def start_servers():
    threading.Thread(target=LOOP.run_forever, daemon=True).start()
    return on_loop(listen(subprotocols=["chat.v2", "chat.v1"])), on_loop(listen(read_limit=4096, max_queue=1))


# ------------------------------------------------------------------------------------------------ the program


def run(*args, data=b"", timeout=PATIENCE, env=None):
    """The finished program; .out and .err are its output as text."""
    done = subprocess.run([LINNET, "connect", *args], input=data, capture_output=True, timeout=timeout,
                          env=dict(os.environ, **(env or {})))
    done.out = done.stdout.decode("utf-8", "replace")
    done.err = done.stderr.decode("utf-8", "replace")
    return done


def start(*args, **more):
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return subprocess.Popen([LINNET, "connect", *args], **dict(pipes, **more))


def url(path):
    return "ws://127.0.0.1:%d/%s" % (PORT, path)


def lacks(what, text, part):
    if part in text:
        raise AssertionError("%s has %r: %s" % (what, part, repr(text)[-400:]))


def ended(done, code):
    if done.returncode != code:
        raise AssertionError("exit code %s, not %s; it said %r" % (done.returncode, code, done.stderr[-400:]))


def soon(what, condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("never came true: " + what)
        time.sleep(0.02)


def say(name, text):
    """What the server says on a connection; the program may know of that earlier than the server does."""
    soon("the server has the connection", record(name).opened.is_set)
    on_loop(record(name).socket.send(text))


# ------------------------------------------------------------------------------------------------ usage


@test
def wrong_words_exit_with_2_and_a_hint():
    for args in (["--frobnicate", url("echo")], [], ["--wait"], [url("echo"), "--wait=soon"], [url("echo"), "another"],
                 [url("echo"), "-H", "no colon"], [url("echo"), "-s", "two words"], [url("echo"), "-n", "-E"],
                 [url("echo"), "--max-message", "0"]):
        done = run(*args)
        ended(done, 2)
        holds("the message", done.err, "Try: linnet connect --help")
        same("standard output", done.out, "")


@test
def a_url_that_is_none_exits_with_2():
    for bad in ("ftp://127.0.0.1/", "ws://", "ws://127.0.0.1:99999/", "ws://127.0.0.1/a b"):
        done = run(bad)
        ended(done, 2)
        holds("the message", done.err, "ws://host")


@test
def a_header_of_the_handshake_is_not_overridden():
    ended(run("-H", "Upgrade: telnet", url("echo")), 2)


@test
def help_goes_to_standard_output():
    done = run("--help")
    ended(done, 0)
    for word in ("Usage: linnet connect", "--subprotocol", "--one-message", "wscat"):
        holds("the help", done.out, word)


# ------------------------------------------------------------------------------------------------ pipes


@test
def lines_become_messages_and_messages_lines():
    done = run("-n", url("echo?count=4"), data="one\n\nzwölf\nlast without newline".encode())
    ended(done, 0)
    same("output", done.out, "one\n\nzwölf\nlast without newline\n")
    same("talk", done.err, "")


@test
def a_url_without_scheme_is_ws():
    same("output", run("-n", "127.0.0.1:%d/echo?count=1" % PORT, data=b"hi\n").out, "hi\n")


@test
def empty_input_closes_with_1000():
    ended(run(url("keep?id=empty")), 0)
    soon("the server saw the close", record("empty").closed.is_set)
    same("code", record("empty").close_code, 1000)
    same("messages", record("empty").messages, [])


@test
def a_hundred_thousand_lines_pass_without_loss():
    data = b"".join(b"line %d of a hundred thousand\n" % i for i in range(100000))
    done = run("-n", url("echo?count=100000"), data=data, timeout=120)
    ended(done, 0)
    true("all lines came back in order", done.stdout == data)


@test
def all_lines_arrive_before_the_goodbye():
    lines = ["line %d of a hundred thousand" % i for i in range(100000)]
    ended(run(url("keep?id=many"), data="\n".join(lines).encode(), timeout=120), 0)
    soon("the server saw the close", record("many").closed.is_set)
    same("code", record("many").close_code, 1000)
    true("all lines came in order", record("many").messages == lines)


@test
def a_flood_from_the_server_is_written_whole():
    done = run("-n", url("flood?count=100000"), timeout=120)
    ended(done, 0)
    true("all messages in order", done.stdout == b"".join(b"message %d\n" % i for i in range(100000)))


@test
def a_large_message_passes_both_ways():
    data = b"z" * (8 << 20) + b"\n"
    done = run("-n", url("echo?count=1"), data=data, timeout=60)
    ended(done, 0)
    true("the message came back whole", done.stdout == data)


@test
def a_slow_server_holds_back_the_input():
    GATE.clear()
    lines = [b"%07d " % i + b"y" * 8184 + b"\n" for i in range(7500)]  # 60 MB
    p = start("--no-deflate", "ws://127.0.0.1:%d/slow?id=slow" % SLOW_PORT)
    written = [0]

    def feed():
        for line in lines:
            p.stdin.write(line)
            written[0] += len(line)
        p.stdin.close()

    feeder = threading.Thread(target=feed, daemon=True)
    feeder.start()
    soon("the connection is open", record("slow").opened.is_set)
    before = -1
    while written[0] != before:
        before = written[0]
        time.sleep(0.7)
    with open("/proc/%d/status" % p.pid) as status:
        resident = int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1)) // 1024
    GATE.set()
    true("the writer was held back at %d bytes" % before, before < 30 << 20)
    true("memory stayed small: %d MiB" % resident, resident < 40)
    feeder.join(90)
    same("exit code", p.wait(90), 0)
    seen = record("slow").messages
    same("messages", len(seen), len(lines))
    true("they came in order", all(got.encode() + b"\n" == sent for got, sent in zip(seen, lines)))


@test
def a_reader_that_goes_away_ends_it_quietly():
    p = start("-n", url("flood?count=1000000"))
    p.stdin.close()
    holds("first line", p.stdout.readline().decode(), "message 0")
    p.stdout.close()
    same("exit code", p.wait(PATIENCE), 0)
    same("talk", p.stderr.read(), b"")


@test
def a_line_that_is_not_utf8_is_a_failure_and_the_others_are_sent():
    done = run("-n", url("echo?count=2"), data=b"a\n\xff\xfe\nb\n")
    ended(done, 1)
    same("output", done.out, "a\nb\n")
    holds("talk", done.err, "message 2 was not sent")


@test
def a_line_longer_than_the_limit_is_a_failure():
    done = run("--max-message", "1K", url("echo"), data=b"a\n" + b"x" * 5000 + b"\n")
    ended(done, 1)
    holds("talk", done.err, "--max-message")


@test
def a_message_over_the_limit_closes_with_1009():
    done = run("--max-message", "1K", url("send?id=big&size=1024&size=1025&stay=1"), "-n")
    ended(done, 1)
    same("output", done.out, "x" * 1024 + "\n")
    soon("the server saw the close", record("big").closed.is_set)
    same("code", record("big").close_code, 1009)


@test
def no_close_goes_on_listening_after_the_input():
    p = start("-n", url("send?id=stay&stay=1"))
    p.stdin.write(b"bye\n")
    p.stdin.close()
    soon("the message came", lambda: record("stay").messages == ["bye"])
    time.sleep(0.3)
    same("exit code so far", p.poll(), None)
    say("stay", "later")
    on_loop(record("stay").socket.close(1000))
    same("output", p.stdout.read(), b"later\n")
    same("exit code", p.wait(PATIENCE), 0)


@test
def exit_on_eof_does_not_wait_for_the_answer():
    began = time.monotonic()
    done = run("-E", url("deaf"), data=b"x\n")
    ended(done, 0)
    true("it ended at once", time.monotonic() - began < 2)


@test
def a_goodbye_without_answer_fails_after_close_wait():
    began = time.monotonic()
    done = run("--close-wait", "500ms", url("deaf"), data=b"x\n")
    ended(done, 1)
    true("it waited, but not for long", 0.4 < time.monotonic() - began < 10)


@test
def wait_gives_answers_time_after_the_input():
    began = time.monotonic()
    ended(run("-w", "0.7", url("keep"), data=b"x\n"), 0)
    true("it waited", 0.7 <= time.monotonic() - began < 10)


# ------------------------------------------------------------------------------------------------ closing


@test
def close_codes_decide_the_exit_code():
    for code, exit_code in ((1000, 0), (1001, 0), ("none", 0), (1011, 1), (1008, 1), (3000, 1), (4321, 1)):
        done = run("-n", url("close?code=%s&reason=so+be+it" % code))
        if done.returncode != exit_code:
            raise AssertionError("code %s: exit code %d, %r" % (code, done.returncode, done.err))
        if exit_code != 0:
            holds("talk", done.err, 'Disconnected (code: %s, reason: "so be it")' % code)
        else:
            same("talk", done.err, "")


@test
def a_cut_connection_is_a_failure():
    done = run("-n", url("cut"))
    ended(done, 1)
    holds("talk", done.err, "Disconnected (code: 1006")


@test
def a_reason_cannot_steer_the_terminal():
    done = run("-n", url("close?code=4000&reason=%1B%5B2J%C2%9B31m"))
    lacks("talk", done.stderr.decode(), "\x1b")
    lacks("talk", done.stderr.decode(), "\x9b")
    holds("talk", done.err, "\\x1B[2J")


@test
def interrupt_closes_with_1000():
    for number in (signal.SIGINT, signal.SIGTERM):
        name = "int%d" % number
        p = start(url("keep?id=" + name))
        soon("it is open", record(name).opened.is_set)
        p.send_signal(number)
        same("exit code", p.wait(PATIENCE), 0)
        soon("the server saw the close", record(name).closed.is_set)
        same("code", record(name).close_code, 1000)


@test
def a_second_interrupt_ends_it_at_once():
    p = start(url("deaf?id=twice"))
    soon("it is open", record("twice").opened.is_set)
    p.send_signal(signal.SIGINT)
    time.sleep(0.3)
    same("exit code so far", p.poll(), None)
    p.send_signal(signal.SIGINT)
    same("exit code", p.wait(PATIENCE), 1)


# ------------------------------------------------------------------------------------------------ the handshake


def sent_headers(*args):
    done = run("-1", *args, url("headers"))
    ended(done, 0)
    return json.loads(done.out)


@test
def headers_and_origin_are_sent():
    headers = sent_headers("-H", "X-One: 1", "-H", "X-Two:two: parts", "--header=X-Empty:", "-o", "https://example.org")
    for pair in (["x-one", "1"], ["x-two", "two: parts"], ["x-empty", ""], ["origin", "https://example.org"]):
        true("%s was sent, among %s" % (pair, headers), pair in headers)


@test
def without_origin_none_is_sent():
    true("no Origin", "origin" not in [name for name, value in sent_headers()])


@test
def credentials_come_from_a_file_or_the_command_line():
    wanted = "Basic " + base64.b64encode(b"ann:se:cret").decode()
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"ann:se:cret\nsecond line\n")
        file.flush()
        true("from the file", ["authorization", wanted] in sent_headers("--auth-file", file.name))
    true("from the command line", ["authorization", wanted] in sent_headers("--auth", "ann:se:cret"))
    done = run("--auth-file", "/nonexistent/file", url("echo"))
    ended(done, 1)
    holds("talk", done.err, "/nonexistent/file")
    ended(run("--auth", "nocolon", url("echo")), 2)


@test
def a_password_does_not_stay_in_the_list_of_processes():
    p = start("--auth", "ann:secret", url("keep?id=hidden"))
    soon("it is open", record("hidden").opened.is_set)
    with open("/proc/%d/cmdline" % p.pid, "rb") as file:
        words = file.read()
    p.stdin.close()
    p.wait(PATIENCE)
    true("the URL is there", b"id=hidden" in words)
    true("the password is not", b"secret" not in words)


@test
def subprotocols_are_offered_and_the_choice_is_told():
    done = run("-v", "-n", "-s", "chat.v1", "-s", "other", url("subprotocol"))
    ended(done, 0)
    same("chosen", done.out, "chat.v1\n")
    holds("talk", done.err, "Subprotocol: chat.v1")
    same("from a list", run("-n", "-s", "other, chat.v2", url("subprotocol")).out, "chat.v2\n")
    same("not chosen", run("-n", url("subprotocol")).out, "none\n")


@test
def compression_is_offered_unless_forbidden():
    true("offered", any(k == "sec-websocket-extensions" and "permessage-deflate" in v for k, v in sent_headers()))
    true("not offered", "sec-websocket-extensions" not in [k for k, v in sent_headers("--no-deflate")])


@test
def a_refused_handshake_tells_the_status():
    done = run(url("forbidden"))
    ended(done, 1)
    holds("talk", done.err, "status 403")
    same("output", done.out, "")


@test
def a_refused_connection_is_told():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        done = run("ws://127.0.0.1:%d/" % unused.getsockname()[1])
    ended(done, 1)
    holds("talk", done.err, "cannot connect")


@test
def a_name_without_address_is_told():
    done = run("ws://no-such-host.invalid/")
    ended(done, 1)
    holds("talk", done.err, "linnet connect: ")


@test
def a_server_that_does_not_answer_times_out():
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        began = time.monotonic()
        done = run("--timeout", "300ms", "ws://127.0.0.1:%d/" % mute.getsockname()[1])
    ended(done, 1)
    true("after the time given", 0.25 < time.monotonic() - began < 10)
    holds("talk", done.err, "timed out")


# ------------------------------------------------------------------------------------------------ one-shot


@test
def execute_sends_instead_of_standard_input():
    began = time.monotonic()
    done = run("-x", "first", "-x", "second", "-w", "0.5", url("echo"), data=b"not this\n")
    ended(done, 0)
    same("output", done.out, "first\nsecond\n")
    true("it waited as told", 0.5 <= time.monotonic() - began < 10)


@test
def execute_waits_two_seconds_by_default():
    began = time.monotonic()
    ended(run("-x", "hi", url("echo")), 0)
    true("two seconds", 2 <= time.monotonic() - began < 8)


@test
def one_message_ends_after_the_first():
    done = run("-1", url("send?text=first&text=second&stay=1"))
    ended(done, 0)
    same("output", done.out, "first\n")
    began = time.monotonic()
    done = run("-1", "-x", "ask", url("echo"))
    ended(done, 0)
    same("output", done.out, "ask\n")
    true("without waiting", time.monotonic() - began < 1.5)


@test
def one_message_that_does_not_come_is_a_failure():
    done = run("-1", "-x", "ask", "-w", "300ms", url("keep"))
    ended(done, 1)
    holds("talk", done.err, "no message came")
    done = run("-1", url("close?code=1000"))
    ended(done, 1)


# ------------------------------------------------------------------------------------------------ binary


@test
def binary_input_passes_byte_by_byte():
    data = os.urandom(300000) + b"\n\r\n\0"
    done = run("-b", "-w", "1", url("echo"), data=data)
    ended(done, 0)
    true("the same bytes came back", done.stdout == data)


@test
def binary_input_is_sent_as_binary_messages():
    run("-b", url("keep?id=kinds"), data=b"\x00\x01")
    run("-b", "-t", url("keep?id=kinds"), data=b"text\n")
    run("-b", "-x", "given", "-w", "0", url("keep?id=kinds"))
    soon("they came", lambda: record("kinds").messages == [b"\x00\x01", "text", b"given"])


@test
def binary_messages_are_written_raw_or_as_base64():
    same("raw", run("-n", url("send?hex=0001ff0a&hex=41")).stdout, b"\x00\x01\xff\n\nA\n")
    for size in (0, 1, 2, 3, 4, 3071, 3072, 3073, 9999):
        done = run("-b", "--base64", "-1", url("send?stay=1&bytes=%d" % size))
        same("base64 of %d bytes" % size, done.stdout, base64.b64encode(pattern(size)) + b"\n")


# ------------------------------------------------------------------------------------------------ TLS


def make_certificates(folder):
    """A CA, a server's and a client's certificate; the client's key has a passphrase."""

    def openssl(*args):
        subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True)

    def issue(name, *key_options):
        openssl("req", "-newkey", "rsa:2048", *key_options, "-keyout", name + ".key", "-out", name + ".csr", "-subj",
                "/CN=" + name)
        openssl("x509", "-req", "-in", name + ".csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days",
                "2", "-out", name + ".pem", "-extfile", "names")

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-subj",
            "/CN=test CA", "-days", "2")
    with open(os.path.join(folder, "names"), "w") as file:
        file.write("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    with open(os.path.join(folder, "passphrase"), "w") as file:
        file.write("open sesame\n")
    issue("server", "-nodes")
    issue("client", "-passout", "pass:open sesame")


class Certificates:
    folder = None

    @classmethod
    def file(cls, name):
        if cls.folder is None:
            cls.folder = tempfile.TemporaryDirectory()
            make_certificates(cls.folder.name)
        return os.path.join(cls.folder.name, name)


def tls_server(wants_client):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Certificates.file("server.pem"), Certificates.file("server.key"))
    if wants_client:
        context.load_verify_locations(Certificates.file("ca.pem"))
        context.verify_mode = ssl.CERT_REQUIRED
    return on_loop(listen(tls=context))


@test
def tls_is_verified_unless_told_otherwise():
    port = tls_server(False)
    target = "wss://localhost:%d/echo?count=1" % port
    done = run("-n", "--ca", Certificates.file("ca.pem"), target, data=b"secret\n")
    ended(done, 0)
    same("output", done.out, "secret\n")
    done = run("-n", target, data=b"secret\n")
    ended(done, 1)
    same("output", done.out, "")
    done = run("-n", "-k", target, data=b"secret\n")
    ended(done, 0)
    same("output", done.out, "secret\n")


@test
def a_certificate_for_another_name_is_refused():
    port = tls_server(False)
    context_file = Certificates.file("ca.pem")
    ended(run("--ca", context_file, "wss://127.0.0.1:%d/echo" % port, data=b"x\n"), 0)
    ended(run("--ca", context_file, "wss://127.0.0.2:%d/echo" % port, data=b"x\n"), 1)


@test
def a_client_certificate_is_shown():
    port = tls_server(True)
    target = "wss://localhost:%d/echo?count=1" % port
    ca = ["-n", "--ca", Certificates.file("ca.pem")]
    done = run(*ca, "--cert", Certificates.file("client.pem"), "--key", Certificates.file("client.key"),
               "--passphrase-file", Certificates.file("passphrase"), target, data=b"it is me\n")
    ended(done, 0)
    same("output", done.out, "it is me\n")
    ended(run(*ca, target, data=b"x\n"), 1)


@test
def much_data_passes_over_tls():
    port = tls_server(False)
    data = b"".join(b"%06d %s\n" % (i, b"s" * 500) for i in range(10000))
    done = run("-n", "--ca", Certificates.file("ca.pem"), "wss://localhost:%d/echo?count=10000" % port, data=data,
               timeout=60)
    ended(done, 0)
    true("all of it came back", done.stdout == data)


# ------------------------------------------------------------------------------------------------ reconnecting


@test
def reconnect_survives_a_cut():
    p = start("--reconnect", "-w", "0.5", url("fickle?id=fickle"))
    p.stdin.write(b"first\n")
    p.stdin.flush()
    soon("the first came", lambda: record("fickle").messages == ["first"])
    soon("it connected again", lambda: record("fickle").count == 2)
    p.stdin.write(b"second\n")
    p.stdin.close()
    same("output", p.stdout.read(), b"second\n")
    same("exit code", p.wait(PATIENCE), 0)
    holds("talk", p.stderr.read().decode(), "1006")


@test
def reconnect_waits_for_a_server_to_come_up():
    port = free_port()
    p = start("--reconnect", "-w", "0.5", "ws://127.0.0.1:%d/echo" % port)
    p.stdin.write(b"patience\n")
    p.stdin.close()
    holds("talk", p.stderr.readline().decode(), "next try in")
    on_loop(listen(port=port))
    same("output", p.stdout.read(), b"patience\n")
    same("exit code", p.wait(PATIENCE), 0)


@test
def interrupt_ends_reconnecting():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        p = start("--reconnect", "ws://127.0.0.1:%d/" % unused.getsockname()[1])
        holds("talk", p.stderr.readline().decode(), "next try in")
        p.send_signal(signal.SIGINT)
        same("exit code", p.wait(PATIENCE), 1)


@test
def pings_are_answered_and_shown_when_asked():
    done = run("-n", url("ping?id=quiet"))
    same("pongs", record("quiet").pongs, 1)
    same("talk", done.err, "")
    done = run("-n", "-P", url("ping?id=shown"))
    holds("talk", done.err, 'received ping (data: "are you \\x1B there?")')
    same("output", done.out, "thanks\n")


@test
def verbose_and_quiet_change_the_talk_only():
    done = run("-v", "-w", "0.5", url("echo"), data=b"x\n")
    holds("talk", done.err, "Connected (press CTRL+C to quit)")
    holds("talk", done.err, 'Disconnected (code: 1000, reason: "")')
    same("output", done.out, "x\n")
    done = run("-q", "-n", url("close?code=4000"))
    holds("talk", done.err, "4000")


# ------------------------------------------------------------------------------------------------ terminal


class Terminal:
    """The program on a pseudo-terminal of its own; `seen` is all that appeared on it."""

    def __init__(self, *args, env=None, columns=80):
        self.seen = ""
        environment = {**os.environ, "TERM": "xterm", "NO_COLOR": "1", "HOME": "/nonexistent", **(env or {})}
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(LINNET, [LINNET, "connect", *args], environment)
        self.resize(columns)

    def resize(self, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def read(self, seconds):
        """Reads for so long, or until something came; False at the end."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return False
        self.seen += data.decode("utf-8", "replace")
        return len(data) > 0

    def wait(self, text):
        """Until `text` has appeared behind what was waited for before."""
        end = time.monotonic() + PATIENCE
        while text not in self.seen:
            if time.monotonic() > end or not self.read(0.1):
                raise AssertionError("%r did not appear; the terminal shows %r" % (text, self.seen[-500:]))
        position = self.seen.index(text) + len(text)
        passed, self.seen = self.seen[:position], self.seen[position:]
        return passed

    def type(self, text):
        os.write(self.fd, text.encode())

    def settle(self):
        while self.read(0.3) and select.select([self.fd], [], [], 0.3)[0]:
            pass

    def finish(self):
        """Reads to the end; the exit code and what was left to see."""
        end = time.monotonic() + PATIENCE
        while self.read(0.1):
            if time.monotonic() > end:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                raise AssertionError("it does not end; the terminal shows %r" % self.seen[-500:])
        status = os.waitpid(self.pid, 0)[1]
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status), self.seen


@test
def a_terminal_shows_prompt_and_prefixes():
    t = Terminal(url("echo"))
    t.wait("Connected (press CTRL+C to quit)")
    t.wait("> ")
    t.type("hello\r")
    t.wait("< hello")
    t.wait("> ")
    t.type("\x04")
    code, rest = t.finish()
    holds("the end", rest, 'Disconnected (code: 1000, reason: "")')
    same("exit code", code, 0)


@test
def control_c_closes_with_1000():
    t = Terminal(url("keep?id=pty-int"))
    t.wait("> ")
    t.type("half a li")
    t.wait("half a li")
    t.type("\x03")
    code, rest = t.finish()
    holds("the end", rest, "Disconnected (code: 1000")
    same("exit code", code, 0)
    soon("the server saw it", record("pty-int").closed.is_set)
    same("code", record("pty-int").close_code, 1000)
    same("nothing was sent", record("pty-int").messages, [])


@test
def lines_can_be_edited_and_repeated():
    t = Terminal(url("keep?id=edit"))
    t.wait("> ")
    t.type("helxo\x7f\x7flo\x1b[D\x1b[D\x1b[DH\x01> \r")  # delete two, go left three, insert; to the begin, insert
    soon("the edited line came", lambda: len(record("edit").messages) == 1)
    same("line", record("edit").messages[0], "> heHllo")
    t.type("\x1b[A\r")  # up
    soon("it came again", lambda: len(record("edit").messages) == 2)
    same("line", record("edit").messages[1], "> heHllo")
    t.type("Grüße, 世界 🐦!\x7f\r")
    soon("characters are whole", lambda: len(record("edit").messages) == 3)
    same("line", record("edit").messages[2], "Grüße, 世界 🐦")
    t.type("\r\x04")  # an empty line is no message
    same("exit code", t.finish()[0], 0)
    same("messages", len(record("edit").messages), 3)


@test
def a_message_does_not_destroy_the_line_being_typed():
    t = Terminal(url("send?id=typing&stay=1"))
    t.wait("> ")
    t.type("my lin")
    t.wait("my lin")
    say("typing", "breaking news")
    t.wait("< breaking news\r\n")
    t.wait("> my lin")
    t.type("e\r")
    soon("the line came whole", lambda: record("typing").messages == ["my line"])
    t.type("\x04")
    same("exit code", t.finish()[0], 0)


@test
def a_line_of_several_rows_survives_a_message():
    t = Terminal(url("send?id=rows&stay=1"), columns=20)
    t.wait("> ")
    t.type("0123456789" * 5)  # with the prompt, 52 columns: the third row
    t.settle()
    say("rows", "news")
    passed = t.wait("< news")
    holds("clearing", passed, "\x1b[2A\x1b[J")
    t.settle()
    t.type("!\r")
    soon("the line came whole", lambda: record("rows").messages == ["0123456789" * 5 + "!"])
    t.type("\x04")
    same("exit code", t.finish()[0], 0)


@test
def messages_arrive_while_a_key_sequence_is_incomplete():
    t = Terminal(url("send?id=escape&stay=1"))
    t.wait("> ")
    t.type("\x1b")  # the editor waits for the rest of the sequence
    time.sleep(0.2)
    say("escape", "not stuck")
    t.wait("< not stuck")
    t.type("[D")
    t.type("x\r")
    soon("the sequence was understood", lambda: record("escape").messages == ["x"])
    t.type("\x04")
    same("exit code", t.finish()[0], 0)


@test
def a_resized_terminal_shows_the_line_again():
    t = Terminal(url("keep?id=resize"))
    t.wait("> ")
    t.type("some words")
    t.wait("some words")
    t.resize(40)
    t.wait("some words")
    t.type("\r\x04")
    same("exit code", t.finish()[0], 0)
    same("messages", record("resize").messages, ["some words"])


@test
def the_peer_closing_ends_a_terminal_session():
    t = Terminal(url("close?after=1&code=4001&reason=enough"))
    t.wait("> ")
    t.type("go\r")
    code, rest = t.finish()
    holds("the end", rest, 'Disconnected (code: 4001, reason: "enough")')
    same("exit code", code, 1)


@test
def a_terminal_is_not_steered_by_messages():
    t = Terminal(url("send?text=a%1B%5D0%3Btitle%07b%0Ac%C2%9Bd&hex=00ff1b&stay=1"))
    t.wait("< a\\x1B]0;title\\x07b\r\nc\\x9Bd")
    t.wait("< [binary 3 bytes] 00 ff 1b")
    t.settle()  # a key typed before the prompt is there belongs to the terminal
    t.type("\x04")
    same("exit code", t.finish()[0], 0)


@test
def slash_commands_ping_and_close():
    t = Terminal("--slash", "-P", url("keep?id=slash"))
    t.wait("> ")
    t.type("/ping hi there\r")
    t.wait('received pong (data: "hi there")')
    t.type("/dance\r")
    t.wait("commands are")
    t.type("plain\r")
    soon("a plain line is a message", lambda: record("slash").messages == ["plain"])
    t.type("/close 4010 that is all\r")
    code, rest = t.finish()
    holds("the end", rest, 'Disconnected (code: 4010, reason: "that is all")')
    same("exit code", code, 0)
    soon("the server saw it", record("slash").closed.is_set)
    same("code", (record("slash").close_code, record("slash").close_reason), (4010, "that is all"))


@test
def without_slash_a_slash_is_text():
    t = Terminal(url("echo"))
    t.wait("> ")
    t.type("/ping\r")
    t.wait("< /ping")
    t.type("\x04")
    t.finish()


@test
def colours_depend_on_no_color():
    def colours(*args, env):
        t = Terminal(*args, url("send?text=hi"), env=env)
        return "\x1b[36m" in t.finish()[1]

    true("colours on a terminal", colours(env={"NO_COLOR": ""}))
    true("none under NO_COLOR", not colours(env={"NO_COLOR": "1"}))
    true("none with --no-color", not colours("--no-color", env={"NO_COLOR": ""}))
    true("none on a dumb terminal", not colours(env={"NO_COLOR": "", "TERM": "dumb"}))
    lacks("a pipe", run("-n", url("send?text=hi"), env={"NO_COLOR": ""}).out, "\x1b")


@test
def a_dumb_terminal_works_without_editing():
    t = Terminal(url("echo"), env={"TERM": "dumb"})
    t.wait("> ")
    t.type("plain words\r")
    t.wait("< plain words")
    t.type("\x04")
    same("exit code", t.finish()[0], 0)


@test
def the_terminal_is_left_as_it_was():
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    p = subprocess.Popen([LINNET, "connect", url("close?after=1&code=1000")], stdin=slave, stdout=slave, stderr=slave,
                         env=dict(os.environ, TERM="xterm"))
    soon("it edits", lambda: termios.tcgetattr(slave) != before)
    os.write(master, b"x\r")
    same("exit code", p.wait(PATIENCE), 0)
    same("modes", termios.tcgetattr(slave), before)
    os.close(master)
    os.close(slave)


if __name__ == "__main__":
    PORT, SLOW_PORT = start_servers()
    sys.exit(main(title=str))
