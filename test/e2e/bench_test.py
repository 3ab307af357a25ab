#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""`linnet bench` against honest servers (linnet, python3-websockets, npm ws) and against dishonest ones.

What an honest one gets must be sane and without an error; what a dishonest one does must be found, named, counted, and end
with status 1. How it is run is said in kit.py.
"""
import asyncio
import html.parser
import json
import logging
import os
import pty
import re
import resource
import select
import signal
import ssl
import subprocess
import sys
import threading
import time

import kit
from kit import Folder, LINNET, ROOT, free_port, main, make_certificate, prerequisites, test, wait_for_port

with prerequisites("node", "openssl"):
    import websockets

folder = Folder(prefix="linnet-bench-")
PATIENCE = 30  # seconds, for anything that should happen soon
BRIEF = ["-t", "500ms", "--warmup", "100ms", "--timeout", "1s"]


# ------------------------------------------------------------------------------------------------ python's servers


async def act_echo(ws, path):
    async for message in ws:
        await ws.send(message)


async def act_drop(ws, path):
    """Forgets each 20th message."""
    count = 0
    async for message in ws:
        count += 1
        if count % 20 != 0:
            await ws.send(message)


async def act_flip(ws, path):
    """Changes a bit of each 20th message, another one each time."""
    count = 0
    async for message in ws:
        count += 1
        if count % 20 == 0:
            changed = bytearray(message)
            changed[count // 20 % len(changed)] ^= 1
            message = bytes(changed)
        await ws.send(message)


async def act_swap(ws, path):
    """Sends message 20 behind message 21, once."""
    count, kept = 0, None
    async for message in ws:
        count += 1
        if count == 20:
            kept = message
            continue
        await ws.send(message)
        if kept is not None:
            await ws.send(kept)
            kept = None


async def act_twice(ws, path):
    count = 0
    async for message in ws:
        count += 1
        await ws.send(message)
        if count % 20 == 0:
            await ws.send(message)


async def act_kind(ws, path):
    count = 0
    async for message in ws:
        count += 1
        await ws.send(message.decode("latin-1") if count == 20 and message.isascii() else message)


async def act_cut(ws, path):
    """Sends each 20th message without its last byte."""
    count = 0
    async for message in ws:
        count += 1
        await ws.send(message[:-1] if count % 20 == 0 else message)


async def act_babble(ws, path):
    """Greets, which is allowed, and later speaks without having been asked, which is not."""
    await ws.send("welcome")
    count = 0
    async for message in ws:
        count += 1
        await ws.send(message)
        if count == 20:
            await ws.send("did you know?")


async def act_greet(ws, path):
    await ws.send("welcome")
    await act_echo(ws, path)


async def act_leave(ws, path):
    count = 0
    async for message in ws:
        count += 1
        await ws.send(message)
        if count == 20:
            await ws.close(4000, "enough")


STALL = {"at": 0.0}


async def act_stall(ws, path):
    """Echoes; at one moment, given by the test, the whole server sleeps half a second."""
    async for message in ws:
        if STALL["at"] and time.monotonic() >= STALL["at"]:
            STALL["at"] = 0.0
            time.sleep(0.5)
        await ws.send(message)


async def act_slow(ws, path):
    async for message in ws:
        await asyncio.sleep(0.05)
        await ws.send(message)


ROOM = set()


async def act_others(ws, path):
    """A room whose members do not hear themselves; each who comes is announced, as presence is."""
    ROOM.add(ws)
    await ws.send('{"type":"presence"}')
    try:
        async for message in ws:
            websockets.broadcast([member for member in ROOM if member is not ws], message)
    finally:
        ROOM.discard(ws)


async def act_forgetful(ws, path):
    """The same, but the first to come misses each tenth message."""
    ROOM.add(ws)
    ws.count = 0
    try:
        async for message in ws:
            ws.count += 1
            members = [member for member in ROOM if member is not ws]
            if ws.count % 10 == 0:
                members.remove(min(members, key=lambda member: member.remote_address))
            websockets.broadcast(members, message)
    finally:
        ROOM.discard(ws)


ADDRESSES = set()


async def act_note(ws, path):
    ADDRESSES.add(ws.remote_address[0])
    await act_echo(ws, path)


async def serve_one(ws):
    act = globals().get("act_" + ws.path.strip("/"))
    await act(ws, ws.path)


async def serve_mute(reader, writer):
    """Opens WebSockets and never says anything again."""
    import base64
    import hashlib
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    key = re.search(r"Sec-WebSocket-Key: (\S+)", head)[1]
    accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
    writer.write(("HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n" % accept).encode())
    try:
        await reader.read()
    except OSError:
        pass  # it went without a goodbye, as we gave none
    writer.close()


class Python(threading.Thread):
    """All of the above, plain and over TLS, on a thread of its own."""

    def __init__(self):
        super().__init__(daemon=True)
        self.ready = threading.Event()
        self.start()
        assert self.ready.wait(PATIENCE)

    def run(self):
        asyncio.run(self.serve())

    async def serve(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder.path("cert.pem"), folder.path("key.pem"))
        options = {"max_size": None, "ping_interval": None, "max_queue": 256}
        async with websockets.serve(serve_one, "127.0.0.1", 0, compression=None, **options) as plain, \
                websockets.serve(serve_one, "127.0.0.1", 0, compression=None, ssl=context, **options) as secure, \
                websockets.serve(serve_one, "127.0.0.1", 0, compression="deflate", **options) as squeezing:
            mute = await asyncio.start_server(serve_mute, "127.0.0.1", 0)
            self.plain, self.secure, self.squeezing, self.mute = [
                server.sockets[0].getsockname()[1] for server in (plain, secure, squeezing, mute)]
            self.ready.set()
            await asyncio.Future()

    def url(self, act):
        return f"ws://127.0.0.1:{self.plain}/{act}"


# ------------------------------------------------------------------------------------------------ the other servers


class Linnet(kit.Server):
    def __init__(self):
        super().__init__("--listen", "127.0.0.1:0", "--listen-tls", "127.0.0.1:0", "--tls-cert", folder.path("cert.pem"), "--tls-key",
                         folder.path("key.pem"), "--log-level", "error", listeners=2)
        self.tls = self.ports[1]

    def url(self, path="echo"):
        return super().url("/" + path)

    @property
    def pid(self):
        return str(self.process.pid)


NODE = """
const { WebSocketServer } = require('ws');
const server = new WebSocketServer({ host: '127.0.0.1', port: Number(process.argv[1]), perMessageDeflate: process.argv[2] === 'deflate' });
server.on('connection', (socket) => socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary })));
"""


class Node:
    def __init__(self):
        self.port = free_port()
        self.process = subprocess.Popen(["node", "-e", NODE, str(self.port), "deflate"], cwd=os.path.join(ROOT, "test/e2e"))
        wait_for_port(self.port)

    def url(self):
        return f"ws://127.0.0.1:{self.port}/"


# ------------------------------------------------------------------------------------------------ running


def run(*words, limit=None, patience=PATIENCE):
    def lower():
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    return subprocess.run([LINNET, "bench", *words], capture_output=True, text=True, timeout=patience,
                          preexec_fn=lower if limit else None)


def measure(*words, status=0, brief=True, **more):
    """The JSON object of a run that must end with `status`."""
    done = run(*words, "--json", *(BRIEF if brief else []), **more)
    assert done.returncode == status, f"status {done.returncode}: {done.stderr.strip() or done.stdout[:300]}"
    found = json.loads(done.stdout)
    assert found["good"] == (status == 0), found["errors"]
    assert bool(done.stderr) == (status != 0), done.stderr
    return found


def good(*words, **more):
    found = measure(*words, **more)
    assert found["errors"] == {} and found["error_count"] == 0, found["errors"]
    assert found["count"] > 0 and found["verified"] > 0
    return found


def bad(kind, *words, others=()):
    """The one kind of fault that a run must find."""
    found = measure(*words, status=1)
    assert kind in found["errors"], f"wanted {kind}: {found['errors']}"
    assert set(found["errors"]) <= {kind, *others}, found["errors"]
    assert found["errors"][kind]["count"] > 0 and found["errors"][kind]["first"]
    return found["errors"][kind]["count"], found


def measured(holds, *words):
    """A good run of which `holds(found, seconds)`: half a second, and as a busy machine may have been elsewhere in just that
    time, longer ones if need be."""
    for seconds in (0.5, 2, 8):
        found = measure(*words, "-t", f"{seconds}s", "--warmup", "100ms", "--timeout", "5s", brief=False)
        assert found["errors"] == {}, found["errors"]
        if holds(found, seconds):
            return found
    raise AssertionError(f"never so: {found}")


HIST = {"count", "mean", "p50", "p90", "p99", "p99_9", "max"}


def check_hist(h):
    assert set(h) == HIST, h
    assert 0 < h["p50"] <= h["p90"] <= h["p99"] <= h["p99_9"] <= h["max"], h


# ------------------------------------------------------------------------------------------------ honest servers


@test
def linnet_echoes(world):
    found = good("echo", world.linnet.url(), "-c", "10", "-d", "8", "--pid", world.linnet.pid)
    assert found["verified"] == found["sent"] >= found["count"]
    assert found["per_second"] > 1000, found["per_second"]
    assert abs(found["count"] / found["seconds"] - found["per_second"]) < 1
    check_hist(found["latency_us"])
    check_hist(found["opening"]["latency_us"])
    assert found["opening"]["opened"] == 10 and found["opening"]["failed"] == 0
    assert 0 < found["server"]["cpu_us_each"] < 1000
    assert found["server"]["memory_open_bytes"] > 0
    line = found["timeline"]
    assert len(line["per_second"]) == len(line["p99_us"]) == len(line["p50_us"]) == round(0.5 / line["step_seconds"])
    assert abs(sum(line["per_second"]) * line["step_seconds"] - found["count"]) < 2


@test
def the_json_has_the_keys_that_are_documented(world):
    found = good("echo", world.linnet.url(), "-c", "2", "--rate", "500", "--pid", world.linnet.pid)
    text = open(os.path.join(ROOT, "doc/bench.md")).read().split("## JSON")[1]
    documented = set(re.findall(r"^\| `([a-z0-9_.]+)` \|", text, re.M))

    def keys(value, prefix=""):
        for name, item in value.items():
            yield prefix + name
            if isinstance(item, dict) and name not in ("errors",) and not name.endswith("_us"):
                yield from keys(item, prefix + name + ".")
    missing = set(keys(found)) - documented
    assert not missing, f"not in doc/bench.md: {sorted(missing)}"
    stale = documented - set(keys(found)) - {"expected"}
    assert not stale, f"only in doc/bench.md: {sorted(stale)}"


@test
def python_echoes(world):
    found = good("echo", world.python.url("echo"), "-c", "5", "-d", "4")
    assert 100 < found["per_second"] < 1e6


@test
def node_echoes_text_with_compression(world):
    found = good("echo", world.node.url(), "-c", "5", "-d", "4", "--text", "--deflate", "-s", "2KiB")
    assert found["settings"]["kind"] == "text" and found["settings"]["deflate"]
    assert found["bytes_per_second"] > 1000


@test
def python_echoes_with_compression(world):
    good("echo", f"ws://127.0.0.1:{world.python.squeezing}/echo", "-c", "3", "--text", "--deflate", "-s", "500")


@test
def over_tls_with_and_without_trust(world):
    url = f"wss://127.0.0.1:{world.linnet.tls}/echo"
    good("echo", url, "-c", "5", "-d", "4", "-k")
    good("echo", url, "-c", "5", "-d", "4", "--ca", folder.path("cert.pem"), "--deflate", "--text")
    good("echo", f"wss://127.0.0.1:{world.python.secure}/echo", "-c", "3", "-k")
    count, found = bad("tls", "echo", url, "-c", "4")
    assert count == 4 and found["opening"]["failed"] == 4 and found["count"] == 0


@test
def sizes_from_small_to_large(world):
    for size in ("16", "125", "126", "65535", "65536"):
        good("echo", world.linnet.url(), "-c", "2", "-s", size, "-t", "200ms", "--warmup", "0", brief=False)
    measured(lambda found, _: found["verified"] > 0 and found["count"] > 0,
             "echo", world.linnet.url(), "-c", "2", "-d", "2", "-s", "4MiB")


@test
def several_threads_are_one(world):
    found = good("echo", world.linnet.url(), "-c", "7", "-d", "2", "-j", "3")
    assert found["settings"]["threads"] == 3 and found["opening"]["opened"] == 7
    assert found["verified"] == found["sent"]
    found = good("fanout", world.linnet.url("rooms?room=threads"), "-c", "9", "-d", "2", "-j", "3", "--publishers", "2")
    assert found["verified"] == found["expected"]


@test
def more_connections_than_descriptors_take_processes(world):
    found = good("echo", world.linnet.url(), "-c", "500", limit=300)
    assert found["settings"]["processes"] > 1 and found["opening"]["opened"] == 500
    assert found["verified"] == found["sent"]
    found = good("fanout", world.linnet.url("rooms?room=processes"), "-c", "400", "--publishers", "3", limit=300)
    assert found["settings"]["processes"] > 1 and found["verified"] == found["expected"] == found["sent"] * 400


@test
def connections_come_from_the_addresses_given(world):
    ADDRESSES.clear()
    good("echo", world.python.url("note"), "-c", "6", "--source", "127.0.0.5-127.0.0.6,127.0.0.9")
    assert ADDRESSES == {"127.0.0.5", "127.0.0.6", "127.0.0.9"}, ADDRESSES
    bad("connect", "echo", world.python.url("note"), "-c", "2", "--source", "192.0.2.1")


@test
def a_greeting_is_not_an_error(world):
    found = good("echo", world.python.url("greet"), "-c", "3")
    assert found["foreign"] == 3


@test
def fanout_counts_every_delivery(world):
    found = good("fanout", world.linnet.url("rooms?room=one"), "-c", "20", "-d", "4", "--pid", world.linnet.pid)
    assert found["verified"] == found["expected"] == found["sent"] * 20
    assert found["opening"]["opened"] == 21
    check_hist(found["latency_us"])
    found = measured(lambda found, _: abs(found["per_second"] - 2000) < 200, "fanout", world.linnet.url("rooms?room=pace"),
                     "-c", "10", "--publishers", "3", "--rate", "200")
    assert found["verified"] == found["expected"] == found["sent"] * 10


@test
def fanout_where_the_sender_hears_nothing(world):
    ROOM.clear()
    found = good("fanout", world.python.url("others"), "-c", "5", "-d", "2", "--text")
    assert found["verified"] == found["expected"] == found["sent"] * 5
    assert found["foreign"] == 6  # presence


@test
def idle_connections_are_weighed_and_alive(world):
    with Linnet() as fresh:  # one that has not grown yet
        found = measure("idle", fresh.url(), "-c", "400", "--pid", fresh.pid)
    assert found["errors"] == {} and 50 < found["server"]["bytes_per_connection"] < 40000, found["server"]
    assert found["verified"] == 400 and found["latency_us"]["count"] == 400


@test
def handshakes_at_full_speed_and_at_a_pace(world):
    found = good("handshake", world.linnet.url(), "-c", "10", "--pid", world.linnet.pid)
    assert found["per_second"] > 100 and found["server"]["cpu_us_each"] > 0
    check_hist(found["latency_us"])
    measured(lambda found, _: 90 <= found["per_second"] <= 110, "handshake", world.linnet.url(), "-c", "100", "--rate", "100")
    found = good("handshake", f"wss://127.0.0.1:{world.linnet.tls}/echo", "-c", "4", "-k")
    assert found["verified"] > 10


@test
def a_pace_is_kept(world):
    def is_exact(found, seconds):
        assert found["sent"] == round(2000 * (seconds + 0.1)), found["sent"]  # warm-up included: the schedule is exact
        return abs(found["per_second"] - 2000) < 100

    found = measured(is_exact, "echo", world.linnet.url(), "-c", "10", "--rate", "2000", "-j", "2")
    check_hist(found["lateness_us"])


# ------------------------------------------------------------------------------------------------ dishonest servers


@test
def a_dropped_message_is_lost(world):
    count, found = bad("lost", "echo", world.python.url("drop"), "-c", "3", "-d", "1")
    assert count == 3  # with one in flight, a connection waits for ever
    count, found = bad("lost", "echo", world.python.url("drop"), "-c", "3", "-d", "8")
    assert count >= 3 and found["sent"] - found["verified"] == count


@test
def a_changed_byte_is_corruption(world):
    count, found = bad("corrupted", "echo", world.python.url("flip"), "-c", "3", "-d", "4")
    assert count >= 3 and found["sent"] - found["verified"] == count


@test
def a_missing_byte_is_corruption(world):
    bad("corrupted", "echo", world.python.url("cut"), "-c", "2", "-d", "2")


@test
def two_that_are_swapped_are_out_of_order(world):
    count, found = bad("reordered", "echo", world.python.url("swap"), "-c", "3", "-d", "4")
    assert count == 3 and found["sent"] - found["verified"] == count


@test
def an_answer_that_comes_twice_is_a_duplicate(world):
    count, found = bad("duplicated", "echo", world.python.url("twice"), "-c", "3", "-d", "4")
    assert found["sent"] == found["verified"] and count >= 3


@test
def text_for_binary_is_the_wrong_kind(world):
    """A message of the smallest size is digits only, and may as well be text."""
    count, found = bad("wrong_kind", "echo", world.python.url("kind"), "-c", "2", "-s", "16")
    assert count == 2 and found["sent"] - found["verified"] == count


@test
def unasked_messages_are_strange(world):
    count, found = bad("strange", "echo", world.python.url("babble"), "-c", "2", "-s", "16")
    assert count == 2 and found["foreign"] == 2


@test
def a_server_that_leaves_is_named_with_its_code(world):
    count, found = bad("closed", "echo", world.python.url("leave"), "-c", "2", others=("lost",))
    assert count == 2 and "4000" in found["errors"]["closed"]["first"] and "enough" in found["errors"]["closed"]["first"]


@test
def deliveries_that_are_missing_are_lost(world):
    ROOM.clear()
    count, found = bad("lost", "fanout", world.python.url("forgetful"), "-c", "4", "-d", "4")
    assert found["expected"] - found["verified"] == count > 0


@test
def a_mute_server_answers_no_ping(world):
    count, _ = bad("no_pong", "idle", f"ws://127.0.0.1:{world.python.mute}/", "-c", "5")
    assert count == 5


@test
def a_pace_that_cannot_be_kept_is_an_error(world):
    count, found = bad("unsent", "echo", world.python.url("slow"), "-c", "2", "-d", "1", "--rate", "100")
    assert found["sent"] + count == 60
    assert found["latency_us"]["p50"] > 200000  # late ones count from when they were due


@test
def a_stall_is_not_omitted(world):
    """Half a second of silence in two: a quarter of what was due then waited, 250 ms on the average."""
    STALL["at"] = time.monotonic() + 1.2
    found = good("echo", world.python.url("stall"), "-c", "4", "--rate", "200", "-t", "2s", "--warmup", "200ms", brief=False)
    slow = found["latency_us"]
    assert slow["p99_9"] > 450000 and slow["max"] > 450000, slow
    assert slow["p90"] > 100000, slow
    assert slow["p50"] < 100000, slow
    STALL["at"] = time.monotonic() + 1.2
    found = good("echo", world.python.url("stall"), "-c", "4", "-t", "2s", "--warmup", "200ms", brief=False)
    assert found["latency_us"]["max"] > 450000 and found["latency_us"]["p90"] < 100000, found["latency_us"]


@test
def nobody_there_and_refusals(world):
    count, _ = bad("connect", "echo", f"ws://127.0.0.1:{free_port()}/", "-c", "3")
    assert count == 3
    count, found = bad("refused", "echo", world.linnet.url("nowhere"), "-c", "3")
    assert count == 3 and "404" in found["errors"]["refused"]["first"]
    bad("connect", "handshake", f"ws://127.0.0.1:{free_port()}/", "-c", "3")


# ------------------------------------------------------------------------------------------------ the program


@test
def wrong_words_are_status_2(world):
    url = world.linnet.url()
    for words in ([], ["echo"], ["shout", url], ["echo", url, "more"], ["echo", url, "-c", "0"], ["echo", url, "-s", "15"],
                  ["fanout", url, "-s", "31"], ["echo", url, "--rate", "0"], ["echo", url, "--pid", "x"],
                  ["echo", url, "--pid", "2147483647"], ["echo", url, "--source", "nowhere"], ["echo", "ftp://x/"],
                  ["echo", url, "-H", "no colon"], ["echo", url, "-H", "Host: x"], ["echo", url, "--nonsense"]):
        done = run(*words)
        assert done.returncode == 2, f"{words}: {done.returncode}"
        assert done.stdout == "" and done.stderr.startswith("linnet bench: ") and "Try: linnet bench --help" in done.stderr


@test
def publishers_are_bounded(world):
    good("fanout", world.linnet.url("rooms?room=many"), "-c", "2", "--publishers", "256", "-t", "100ms", "--warmup", "0", brief=False)
    done = run("fanout", world.linnet.url("rooms?room=many"), "--publishers", "257")
    assert done.returncode == 2 and "256" in done.stderr


@test
def files_that_cannot_be_used_are_status_1(world):
    for words in (["--report", "/nonexistent/x.html"], ["--ca", "/nonexistent"]):
        done = run("echo", f"wss://127.0.0.1:{world.linnet.tls}/", "-c", "1", *words)
        assert done.returncode == 1 and "/nonexistent" in done.stderr and done.stdout == "", done


@test
def the_table_is_for_people(world):
    done = run("echo", world.linnet.url(), "-c", "1000", "--pid", world.linnet.pid, *BRIEF)
    assert done.returncode == 0, done.stderr
    for part in (r"^1,000 connections, 128 B of binary, 1 in flight each", r"^ +p50 +p90 +p99 +p99.9 +max$", r"^latency +\d",
                 r"^throughput +[\d,]+ messages/s", r"^connections +1,000 opened", r"^verified +[\d,]+ of",
                 r"^server CPU +\S+ (µs|ns) a message", r"^server memory +\S+ \S+ a connection", r"^errors +none$"):
        assert re.search(part, done.stdout, re.M), f"{part} is not in:\n{done.stdout}"
    assert done.stderr == "" and "\033" not in done.stdout
    widths = {len(line) for line in done.stdout.splitlines() if re.match(r"( +p50|latency|opening)", line)}
    assert len(widths) == 1, done.stdout


class Page(html.parser.HTMLParser):
    VOID = {"meta", "br", "link", "img", "rect", "polyline", "polygon"}

    def __init__(self, text):
        super().__init__()
        self.open, self.seen, self.words = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> within {self.open}"
        self.open.pop()

    def handle_data(self, data):
        self.words.append(data)


@test
def the_report_is_one_page_that_loads_nothing(world):
    path = folder.path("report.html")
    done = run("echo", world.linnet.url("echo?a=<b>&c=\"d\""), "-c", "4", "--report", path, "--pid", world.linnet.pid, *BRIEF)
    assert done.returncode == 0, done.stderr
    text = open(path).read()
    page = Page(text)
    tags = [tag for tag, _ in page.seen]
    assert page.open == [] and tags.count("svg") == 4 and tags.count("li") >= 5
    assert not {"script", "link", "img", "iframe"} & set(tags)
    assert not any(set(attributes) & {"src", "href", "onclick"} for _, attributes in page.seen)
    assert "url(" not in text and "@import" not in text and "prefers-color-scheme:dark" in text
    assert 'name="viewport"' in text and text.count("echo?a=&lt;b&gt;&amp;c=&quot;d&quot;") == 2
    numbers = [float(n) for tag, a in page.seen if tag == "polyline" for n in re.split(r"[ ,]+", a["points"].strip())]
    assert numbers and all(0 <= n <= 1000 for n in numbers)
    assert "verified to the last byte" in text


@test
def a_bad_result_makes_a_page_too(world):
    path = folder.path("bad.html")
    done = run("echo", world.python.url("drop"), "-c", "2", "--report", path, *BRIEF)
    assert done.returncode == 1 and Page(open(path).read()).open == []
    assert "messages were lost" in open(path).read()
    done = run("echo", f"ws://127.0.0.1:{free_port()}/", "-c", "2", "--report", path, *BRIEF)
    assert done.returncode == 1 and Page(open(path).read()).open == []


def start(*words, **more):
    return subprocess.Popen([LINNET, "bench", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)


@test
def an_interrupt_ends_it_and_tells_what_was_measured(world):
    process = start("echo", world.linnet.url(), "-c", "5", "-t", "60s", "--warmup", "100ms", "--json")
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=5)
    found = json.loads(out)
    assert process.returncode == 0, err
    assert found["interrupted"] and 0.2 < found["seconds"] < 5 and found["count"] > 0 and found["errors"] == {}


@test
def an_interrupt_before_anything_was_measured_is_a_failure(world):
    process = start("echo", world.linnet.url(), "-c", "5", "-t", "60s", "--warmup", "60s")
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=5)
    assert process.returncode == 1 and "before anything was measured" in err, err


@test
def children_end_with_their_parent(world):
    process = start("idle", world.linnet.url(), "-c", "400", "-t", "60s",
                    preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (300, 300)))
    children = []
    for _ in range(100):
        time.sleep(0.05)
        children = open(f"/proc/{process.pid}/task/{process.pid}/children").read().split()
        if len(children) > 1:
            break
    assert len(children) > 1
    process.kill()
    process.communicate()
    for _ in range(100):
        time.sleep(0.05)
        alive = [pid for pid in children if os.path.exists(f"/proc/{pid}/exe") and os.access(f"/proc/{pid}/exe", os.R_OK)]
        if not alive:
            return
    raise AssertionError(f"still there: {alive}")


def on_terminal(words, environment=None):
    """What comes out at a terminal that is both standard output and standard error."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([LINNET, "bench", *words], stdout=theirs, stderr=theirs, stdin=theirs,
                               env={**os.environ, "TERM": "xterm", **(environment or {})})
    os.close(theirs)
    text = b""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if select.select([ours], [], [], 0.2)[0]:
            try:
                piece = os.read(ours, 65536)
            except OSError:
                break
            text += piece
    os.close(ours)
    assert process.wait(5) == 0
    return text.decode()


@test
def a_terminal_shows_how_far_it_is(world):
    words = ["echo", world.linnet.url(), "-c", "2", *BRIEF]
    shown = on_terminal(words)
    assert "\r\033[Kecho: 0." in shown and "messages/s" in shown and "\033[1mlatency" in shown
    shown = on_terminal([*words, "--quiet"], {"NO_COLOR": "1"})
    assert "\033[" not in shown and "latency" in shown


# ------------------------------------------------------------------------------------------------ all of them


class World:
    def __init__(self):
        self.linnet, self.python, self.node = Linnet(), Python(), Node()

    def end(self):
        self.node.process.terminate()
        assert self.linnet.stop() == 0, "linnet serve did not end cleanly"
        self.node.process.wait(PATIENCE)


if __name__ == "__main__":
    logging.getLogger("websockets").setLevel(logging.CRITICAL)  # servers that misbehave are told so by their library
    make_certificate(folder.name)
    everybody = World()
    status = main(everybody)
    everybody.end()
    sys.exit(status)
