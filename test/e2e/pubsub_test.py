#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""`linnet pub`, `sub` and `call`: against `linnet serve`, killed and restarted in between, and against a broker of our
own (python3-websockets) that looks at what they send and misbehaves when it is told to.

How it is run is said in kit.py.
"""
import asyncio
import contextlib
import http
import json
import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

from kit import LINNET, PATIENCE, Server, free_port, main, make_certificate, prerequisites, same, test, true

with prerequisites():
    import websockets


# ------------------------------------------------------------------------------------------------ programs


class Program:
    """A running `linnet`, with its output as it comes."""

    def __init__(self, *args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE):
        self.process = subprocess.Popen((LINNET,) + args, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE)
        self.out, self.err = bytearray(), bytearray()
        self.threads = [threading.Thread(target=self.drain, args=pair, daemon=True)
                        for pair in ((self.process.stdout, self.out), (self.process.stderr, self.err)) if pair[0]]
        for thread in self.threads:
            thread.start()

    @staticmethod
    def drain(pipe, into):
        while piece := os.read(pipe.fileno(), 65536):
            into += piece

    def until(self, what, condition):
        end = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > end:
                raise AssertionError("%s does not come; out %r, err %r" % (what, bytes(self.out[-300:]), bytes(self.err[-300:])))
            time.sleep(0.01)

    def lines(self):
        return self.out.decode().splitlines()

    def end(self, number=None):
        """Its exit code, once it has ended."""
        if number is not None:
            self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        for thread in self.threads:
            thread.join(PATIENCE)
        return code

    def drop(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE)


@contextlib.contextmanager
def running(*args, **more):
    program = Program(*args, **more)
    try:
        yield program
    finally:
        program.drop()


@contextlib.contextmanager
def serving(port=0):
    with Server("--listen", "127.0.0.1:%d" % port) as server:
        server.url = server.url("/wsmq")
        yield server


def run(*args, stdin=b""):
    """Code, standard output and standard error of a whole run."""
    done = subprocess.run((LINNET,) + args, input=stdin, capture_output=True, timeout=PATIENCE * 2)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@contextlib.contextmanager
def listening(url, *args):
    """A `sub` that has been seen to get what is published to `probe`."""
    with running("sub", url, "probe", *args) as sub:
        listen_again(sub, url)
        yield sub


def listen_again(sub, url):
    before = len(sub.lines())
    end = time.monotonic() + PATIENCE
    while not any("here" in line for line in sub.lines()[before:]):
        true("it listens within %d s: %r" % (PATIENCE, bytes(sub.err)), time.monotonic() < end)
        run("pub", url, "probe", "here")
        time.sleep(0.05)


def heard(sub):
    """What it wrote, without the probes."""
    return [line for line in sub.lines() if line not in ("here", "probe here", '"here"', 'probe "here"')]


# ------------------------------------------------------------------------------------------------ a broker of our own


class Broker:
    """Serves one connection after the other, as far as these tools need it, and keeps what it saw."""

    def __init__(self):
        self.seen, self.headers, self.codes, self.paths, self.open = [], [], [], [], []
        self.refusal = None  # (status, body): who comes is answered this instead
        self.ready = threading.Event()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_until_complete, args=(self.main(),), daemon=True)

    async def main(self):
        self.stop = asyncio.Event()
        async with websockets.serve(self.talk, "127.0.0.1", 0, max_size=None, process_request=self.admit) as server:
            self.url = "ws://127.0.0.1:%d/any" % server.sockets[0].getsockname()[1]
            self.ready.set()
            await self.stop.wait()

    def __enter__(self):
        self.thread.start()
        true("the broker runs", self.ready.wait(PATIENCE))
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.stop.set)
        self.thread.join(PATIENCE)

    async def admit(self, path, headers):
        self.paths.append(path)
        return self.refusal and (http.HTTPStatus(self.refusal[0]), [], self.refusal[1])

    def hang_up(self):
        for ws in list(self.open):
            asyncio.run_coroutine_threadsafe(ws.close(1012, "again"), self.loop).result(PATIENCE)

    def topics(self, kind):
        return [(m["topic"], m.get("payload")) for m in self.seen if m["type"] == kind]

    async def talk(self, ws):
        self.headers.append(ws.request_headers)
        self.open.append(ws)
        try:
            async for text in ws:
                message = json.loads(text)
                self.seen.append(message)
                await self.react(ws, message)
        except websockets.ConnectionClosed:
            pass
        self.open.remove(ws)
        self.codes.append(ws.close_code)

    async def react(self, ws, m):
        kind, topic = m["type"], m["topic"]
        if kind == "subscribe_request":
            if topic == "secret":
                await self.fail(ws, m, 403, "not\x1b[31m yours")
            else:
                await self.answer(ws, m, "subscription_ack", {"status": "subscribed", "topic": topic})
                await ws.send(json.dumps({"type": "publish", "topic": topic, "payload": "welcome"}))
        elif kind == "request" and topic == "system:register":
            await self.answer(ws, m, "response", {"serverAssignedId": "tool-1", "clientName": "", "serverTime": ""})
        elif kind == "publish" and topic == "refused":
            await asyncio.sleep(0.2)  # while it may say goodbye
            await ws.close(1009, "too long")
        elif kind == "request" and topic == "lost":
            await ws.close(1011, "gone")
        elif kind == "request" and topic == "odd":
            await self.answer(ws, m, "error", {"error": "in the shape of pages"})
        elif kind == "request" and topic == "mute":
            await self.answer(ws, m, "error", None)
        elif kind == "request" and topic != "silence":
            await self.answer(ws, m, "response", m.get("payload"))

    @staticmethod
    async def answer(ws, m, kind, payload):
        await ws.send(json.dumps({"id": m["id"], "type": kind, "topic": m["topic"], "payload": payload}) + "\n")

    @staticmethod
    async def fail(ws, m, code, text):
        await ws.send(json.dumps({"id": m["id"], "type": "error", "topic": m["topic"], "error": {"code": code, "message": text}}) + "\n")


# ------------------------------------------------------------------------------------------------ publish, subscribe


@test
def lines_go_through_in_order():
    with serving() as server, listening(server.url, "numbers") as sub:
        numbers = [str(n) for n in range(5000)]
        code, out, err = run("pub", "-l", server.url, "numbers", stdin="\n".join(numbers).encode())
        same("pub", (code, out, err), (0, "", ""))
        sub.until("all of them", lambda: len(heard(sub)) >= len(numbers))
        same("what sub wrote", heard(sub), numbers)
        same("its exit code", sub.end(signal.SIGINT), 0)
        same("its talk", bytes(sub.err), b"")


@test
def payloads_look_as_asked():
    texts = ["plain", "21.5", "", 'quo"te', "t\tab", "\u00e4\u20ac"]
    values = ['{"a": [1, null]}', "21.5", "null", '"text"']
    with serving() as server, listening(server.url, "-t", "look.>") as as_text, \
            listening(server.url, "-j", "look.>") as as_json:
        for text in texts:
            same("pub of %r" % text, run("pub", server.url, "look.text", text), (0, "", ""))
        for value in values:
            same("pub of %s" % value, run("pub", "-j", server.url, "look.json", value), (0, "", ""))
        same("pub of nothing", run("pub", server.url, "look.nothing"), (0, "", ""))
        same("pub of lines", run("pub", server.url, "look.lines", "two\nlines"), (0, "", ""))
        wanted = ["look.text " + text for text in texts]
        wanted += ["look.json " + (value if value != '"text"' else "text") for value in values]
        wanted += ["look.nothing null", 'look.lines "two\\nlines"']
        as_text.until("the last", lambda: len(heard(as_text)) >= len(wanted))
        same("as text", heard(as_text), wanted)
        as_json.until("the last", lambda: len(heard(as_json)) >= len(wanted))
        same("as JSON", [json.loads(line) for line in heard(as_json)],
             texts + [json.loads(value) for value in values] + [None, "two\nlines"])
    with Broker() as broker:
        code, out, err = run("sub", broker.url, "raw\ntopic", "--raw", "-c", "1", "-t")
        same("raw, without a newline", (code, out, err), (0, '"raw\\ntopic" welcome', ""))


@test
def a_publication_is_written_once_whatever_filters_match():
    with serving() as server, listening(server.url, "-t", "a.>", "a.*", "a.b", "*.b", "probe") as sub:
        for topic in ("a.b", "a.b", "a.c", "x.b", "a.b.c"):
            run("pub", server.url, topic, topic)
        run("pub", server.url, "nobody", "x")
        run("pub", server.url, "a.end", "x")
        sub.until("the last", lambda: "a.end x" in sub.lines())
        same("what was written", heard(sub), ["a.b a.b", "a.b a.b", "a.c a.c", "x.b x.b", "a.b.c a.b.c", "a.end x"])


@test
def it_ends_by_count_and_by_time():
    with serving() as server:
        with running("sub", server.url, "n", "-c", "3") as sub:
            while sub.process.poll() is None:
                same("pub", run("pub", server.url, "n", "-c", "2", "x")[0], 0)
            same("exit code", sub.end(), 0)
            same("lines", sub.lines(), ["x"] * 3)
        same("nothing is awaited for ever", run("sub", server.url, "n", "--timeout", "200ms"), (0, "", ""))
        same("too few are a failure", run("sub", server.url, "n", "-c", "1", "--timeout", "200ms"),
             (1, "", "linnet sub: too few publications came in time\n"))


@test
def the_server_may_die_and_come_back():
    port = free_port()
    with running("pub", "-l", "ws://127.0.0.1:%d/wsmq" % port, "tick", stdin=subprocess.PIPE) as pub:
        with running("sub", "ws://127.0.0.1:%d/wsmq" % port, "probe", "tick") as sub:
            for life in range(3):
                with serving(port) as server:
                    listen_again(sub, server.url)
                    # a line is published, whatever became of those before
                    sent, end = 0, time.monotonic() + PATIENCE
                    while "%d.%d" % (life, sent) not in sub.lines():
                        true("life %d: %r" % (life, bytes(pub.err)), time.monotonic() < end)
                        sent += 1
                        pub.process.stdin.write(b"%d.%d\n" % (life, sent))
                        pub.process.stdin.flush()
                        time.sleep(0.05)
                    server.process.kill()
                sub.until("that it noticed", lambda: sub.err.count(b"the connection ended") == life + 1)
                pub.until("that pub did", lambda: pub.err.count(b"the connection ended") == life + 1)
            true("it told of the next try: %r" % sub.err, re.search(rb"\(next try in \d+\.\d s\)", sub.err))
            true("and of its success: %r" % sub.err, b"linnet sub: connected\n" in sub.err)
            same("sub", sub.end(signal.SIGTERM), 0)
            same("pub, which cannot be sure", pub.end(signal.SIGTERM), 1)


@test
def a_reader_that_goes_ends_it_quietly():
    nobody, out = os.pipe()
    os.close(nobody)
    with serving() as server:
        with running("sub", server.url, "n", stdout=out) as sub:
            os.close(out)
            end = time.monotonic() + PATIENCE
            while sub.process.poll() is None and time.monotonic() < end:
                run("pub", server.url, "n", "x")
            same("exit code", sub.end(), 0)
            same("talk", bytes(sub.err), b"")


@test
def what_the_server_refuses_is_a_failure():
    with serving() as server:
        code, _, err = run("pub", "-l", server.url, "large", stdin=b"x" * 1200000 + b"\nshort\n")
        same("exit code", code, 1)
        true("why: %r" % err, "the connection ended: 1009" in err)
        why = "linnet pub: the publication to a.* was refused: Publication topic is not valid\n"
        same("a topic that is a filter", run("pub", server.url, "a.*", "x"), (1, "", why))
        same("the same for lines", run("pub", "-l", server.url, "a.*", stdin=b"x\n")[0], 1)
    with Broker() as broker:
        same("one that is refused late", run("pub", broker.url, "refused", "x"),
             (1, "", "linnet pub: the connection ended: 1009 too long\n"))


@test
def junk_is_named_and_the_rest_is_published():
    with serving() as server, listening(server.url, "junk") as sub:
        code, _, err = run("pub", "-l", server.url, "junk", stdin=b"one\n\xff\xfe\n\n\x00\x01\nlast")
        same("pub", (code, err), (1, "linnet pub: line 2 is not UTF-8\n"))
        sub.until("the last", lambda: "last" in sub.lines())
        same("as lines", heard(sub), ["one", "", '"\\u0000\\u0001"', "last"])
        code, _, err = run("pub", "-l", "-j", server.url, "junk", stdin=b'{"a":1}\n{a:1}\n[2]\n')
        same("JSON only", (code, err), (1, "linnet pub: line 2 is not JSON\n"))
        sub.until("the last", lambda: "[2]" in sub.lines())
        same("as lines", heard(sub)[4:], ['{"a":1}', "[2]"])
        same("one that is none", run("pub", "-j", server.url, "junk", "{"), (1, "", "linnet pub: the payload is not JSON\n"))


@test
def a_large_line_goes_through_and_a_larger_one_is_refused():
    with serving() as server, listening(server.url, "large") as sub:
        code, _, err = run("pub", "-l", server.url, "large", stdin=b"x" * 900000)
        same("pub", (code, err), (0, ""))
        sub.until("the line", lambda: heard(sub) == ["x" * 900000])
        code, _, err = run("pub", "-l", server.url, "large", stdin=b"y" * (17 << 20))
        same("a line above 16 MiB", (code, err), (1, "linnet pub: a line of input is longer than --max-message\n"))


@test
def nobody_there_is_a_failure_at_once_but_sub_waits():
    url = "ws://127.0.0.1:%d/wsmq" % free_port()
    for words in (("pub", url, "t", "x"), ("call", url, "t")):
        code, out, err = run(*words)
        same("exit code of %s" % words[0], (code, out), (1, ""))
        true("why: %r" % err, err.startswith("linnet %s: %s: connecting failed: " % (words[0], url)) and err.count("\n") == 1)
    code, _, err = run("sub", url, "t", "--timeout", "1s")
    same("exit code of sub", code, 0)
    true("it tries again: %r" % err, "next try in" in err)


# ------------------------------------------------------------------------------------------------ call


@test
def an_answer_is_written_and_an_error_told():
    with serving() as server:
        code, out, err = run("call", "-j", server.url, "system:list_clients")
        same("call", (code, err), (0, ""))
        true("it lists clients: " + out, isinstance(json.loads(out)["clients"], list))
        same("an unknown topic", run("call", server.url, "no.such"),
             (1, "", "linnet call: 404: No handler for topic: no.such\n"))
    with Broker() as broker:
        same("a text", run("call", broker.url, "echo", "h\u00e4 \"x\""), (0, "h\u00e4 \"x\"\n", ""))
        same("JSON", run("call", "-j", broker.url, "echo", '{"a":[1]}'), (0, '{"a": [1]}\n', ""))
        same("no payload", run("call", broker.url, "echo"), (0, "null\n", ""))
        same("lines", run("call", "-l", broker.url, "echo", stdin=b"a\n\nc"), (0, "a\n\nc\n", ""))
        same("two lines of text", run("call", "--raw", broker.url, "echo", "a\nb"), (0, "a\nb", ""))
        same("an error of a page", run("call", broker.url, "odd"), (1, "", "linnet call: 0: in the shape of pages\n"))
        same("one without words", run("call", broker.url, "mute"), (1, "", "linnet call: 0: it failed, and does not say why\n"))
        same("silence", run("call", broker.url, "silence", "--timeout", "300ms"), (1, "", "linnet call: no answer in time\n"))
        code, out, err = run("call", broker.url, "lost")
        same("a loss", (code, out), (1, ""))
        true("why: %r" % err, "the connection was lost before the answer came" in err and "1011 gone" in err)
        same("to a client", run("call", "--client", "browser-1", "-j", broker.url, "browser.info", "{}")[0], 0)
        same("goes by way of the proxy", broker.topics("request")[-1],
             ("system:proxy", {"targetId": "browser-1", "topic": "browser.info", "payload": {}}))


@test
def a_client_is_called_through_the_server():
    async def page(url, ready, done):
        async with websockets.connect(url + "?client_id=page-one-1") as ws:
            await ws.send(json.dumps({"id": "1", "type": "request", "topic": "system:register", "payload": {
                "clientId": "page-one-1", "clientName": "p", "clientType": "browser", "clientUrl": ""}}))
            ready.put(json.loads(await ws.recv())["payload"]["serverAssignedId"])
            request = json.loads(await ws.recv())
            same("what the page is asked", (request["topic"], request["payload"]), ("double", 21))
            await ws.send(json.dumps({"id": request["id"], "type": "response", "topic": "double", "payload": 42}))
            await asyncio.get_running_loop().run_in_executor(None, done.wait, PATIENCE)

    ready, done = queue.Queue(), threading.Event()
    with serving() as server:
        thread = threading.Thread(target=lambda: asyncio.run(page(server.url, ready, done)))
        thread.start()
        try:
            name = ready.get(timeout=PATIENCE)
            same("the answer", run("call", "-j", "--client", name, server.url, "double", "21"), (0, "42\n", ""))
        finally:
            done.set()
            thread.join(PATIENCE)


# ------------------------------------------------------------------------------------------------ connecting


@test
def what_is_asked_for_is_sent():
    with Broker() as broker, tempfile.TemporaryDirectory() as folder:
        token = os.path.join(folder, "token")
        with open(token, "w") as file:
            file.write("abc.def\n")
        same("pub", run("pub", broker.url, "-H", "X-One: 1", "-o", "https://example.org", "--token-file", token, "--id",
                        "my-id", "t", "x"), (0, "", ""))
        headers = broker.headers[0]
        same("header", headers["X-One"], "1")
        same("origin", headers["Origin"], "https://example.org")
        same("token", headers["Authorization"], "Bearer abc.def")
        true("id: " + broker.paths[0], "client_id=my-id" in broker.paths[0])
        same("the publication", broker.topics("publish"), [("t", "x")])
        same("and the goodbye", broker.codes, [1000])
        code, _, err = run("pub", broker.url, "--token-file", token + ".none", "t", "x")
        true("a missing token is told: %r" % err, "cannot use the first line of" in err and code in (0, 1))


@test
def a_refusal_that_waiting_does_not_change_ends_it():
    answers = {200: b"{}", 302: b"", 401: b"a token, please\n", 403: b"", 404: b"<html>\n<b>no</b>\n</html>\n", 410: b"\x1b[2J", 426: "t\u00e4t\u00e4".encode()}
    with Broker() as broker:
        for status, body in answers.items():
            broker.refusal = status, body
            shown = body.decode().strip() if status in (200, 401, 426) else ""
            why = "the server answered" + (": " + shown if shown else " with another status")
            for verb, words, stdin in ("sub", ("t",), b""), ("pub", ("-l", "t"), b"a\n"), ("pub", ("t", "a"), b""), ("call", ("t",), b""):
                before = len(broker.paths)
                same("%s at %d" % (verb, status), run(verb, broker.url + "?token=hidden", *words, stdin=stdin),
                     (1, "", "linnet %s: %s: connecting failed: %s (status %d)\n" % (verb, broker.url, why, status)))
                same("attempts", len(broker.paths) - before, 1)


@test
def a_refusal_that_may_pass_is_waited_for():
    with Broker() as broker:
        for status in (408, 425, 429, 500, 503):
            broker.refusal = status, b"soon"
            with running("sub", broker.url, "t", "-c", "1") as sub:
                sub.until("it waits", lambda: b"soon (status %d) (next try in " % status in sub.err)
                broker.refusal = None
                same("%d, then welcome" % status, (sub.end(), sub.lines()), (0, ["welcome"]))
        broker.refusal = 404, b"not yet"
        with running("sub", "--keep-trying", broker.url, "t", "-c", "1") as sub:
            sub.until("it waits", lambda: b"not yet (status 404) (next try in " in sub.err)
            same("the address is told once", bytes(sub.err).count(broker.url.encode()), 1)
            broker.refusal = None
            same("as it was told to", (sub.end(), sub.lines()), (0, ["welcome"]))


@test
def a_refusal_after_a_connection_is_waited_for():
    with Broker() as broker:
        with running("sub", broker.url, "t", "-c", "2") as sub:
            sub.until("it is there", lambda: sub.lines() == ["welcome"])
            broker.refusal = 404, b"a proxy, alone"
            broker.hang_up()
            sub.until("it waits", lambda: b"a proxy, alone (status 404) (next try in " in sub.err)
            true("the address is known: %r" % bytes(sub.err), broker.url.encode() not in sub.err)
            broker.refusal = None
            same("it is back", (sub.end(), sub.lines()), (0, ["welcome", "welcome"]))


@test
def a_refused_topic_is_a_failure():
    with Broker() as broker:
        code, out, err = run("sub", broker.url, "secret")
        same("sub", (code, out), (1, ""))
        true("why, with nothing for the terminal in it: %r" % err, "not\\x1B[31m yours" in err and "secret" in err)


@test
def tls_is_verified():
    with tempfile.TemporaryDirectory() as folder:
        make_certificate(folder)
        cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
        with Server("--listen-tls", "localhost:0", "--tls-cert", cert, "--tls-key", key) as server:
            url = "wss://localhost:%d/wsmq" % server.port
            same("with the right authority", run("pub", "--ca", cert, url, "t", "x"), (0, "", ""))
            same("without looking", run("pub", "-k", url, "t", "x"), (0, "", ""))
            code, _, err = run("pub", url, "t", "x")
            same("exit code of an unknown one", code, 1)
            true("why: " + err, "certificate" in err)


@test
def wrong_words_are_code_2():
    for words in (("pub",), ("sub",), ("call",), ("pub", "ws://localhost/"), ("pub", "t", "x", "y"), ("pub", "-l", "t", "x"),
                  ("call", "-l", "t", "x"), ("sub", "-c", "0", "t"), ("pub", "ftp://x/", "t"), ("sub", "-j", "--raw", "t"),
                  ("pub", "--no-such", "t"), ("call", "--client", "", "t"), ("pub", "--id", "i" * 300, "t")):
        code, out, err = run(*words)
        same("exit code of %s" % (words,), (code, out), (2, ""))
        true("%s is explained: %r" % (words, err), err.startswith("linnet %s: " % words[0]))
    for verb in ("pub", "sub", "call"):
        code, out, _ = run(verb, "--help")
        true("help of " + verb, code == 0 and "ws://127.0.0.1:8080/wsmq" in " ".join(out.split()))


if __name__ == "__main__":
    sys.exit(main())
