#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""python3-websockets as the independent peer, both ways, with and without permessage-deflate and TLS.

Their client checks /echo of `linnet serve`; our client (the example `roundtrip`) checks an echo server of theirs. Also:
a certificate reload under load, where nobody may be dropped. How it is run is said in kit.py.
"""
import asyncio
import random
import signal
import ssl
import subprocess
import sys
import tempfile

import kit
from kit import EXAMPLES, case, main, make_certificate, prerequisites, same

with prerequisites("openssl"):
    import websockets

SIZES = [0, 1, 125, 126, 127, 65535, 65536, 1 << 20, 16 << 20]
PINGS = 1000


class Server(kit.Server):
    """`linnet serve` with a plain and a TLS listener."""

    def __init__(self, folder):
        super().__init__("--listen", "127.0.0.1:0", "--listen-tls", "127.0.0.1:0", "--tls-cert", f"{folder}/cert.pem", "--tls-key",
                         f"{folder}/key.pem", "--log-level", "warn", listeners=2)
        self.tls = self.ports[1]

    def url(self, is_tls):
        return f"wss://localhost:{self.tls}/echo" if is_tls else super().url("/echo")


def trust(folder):
    context = ssl.create_default_context(cafile=f"{folder}/cert.pem")
    context.check_hostname = True
    return context


def text_of(size):
    letters = "linnet äöü €uro 🐦 "
    text = (letters * (size // len(letters.encode()) + 1)).encode()[:size]
    return text.decode(errors="ignore").ljust(0) + "x" * (size - len(text.decode(errors="ignore").encode()))


async def their_client(url, compression, context):
    random.seed(1)
    async with websockets.connect(url, max_size=None, compression=compression, ssl=context, ping_interval=None) as ws:
        for size in SIZES:
            binary, text = random.randbytes(size), text_of(size)
            await ws.send(binary)
            assert await asyncio.wait_for(ws.recv(), 60) == binary, f"binary of {size} bytes came back otherwise"
            await ws.send(text)
            assert await asyncio.wait_for(ws.recv(), 60) == text, f"text of {size} bytes came back otherwise"
            await ws.send(binary[i * size // 5:(i + 1) * size // 5] for i in range(5))  # fragments
            assert await asyncio.wait_for(ws.recv(), 60) == binary, f"fragments of {size} bytes came back otherwise"
        pongs = []
        for number in range(PINGS):
            pongs.append(await ws.ping(b"%d" % number))
            if number % 10 == 0:
                await ws.send(str(number))
        for number in range(0, PINGS, 10):
            assert await asyncio.wait_for(ws.recv(), 60) == str(number)
        await asyncio.wait_for(asyncio.gather(*pongs), 60)
        await ws.close(4321, "bye")
        assert ws.close_code == 4321, f"closed with {ws.close_code}"


async def our_client(arguments, compression, context, scheme):
    async def echo(ws):
        async for message in ws:
            await ws.send(message)

    async with websockets.serve(echo, "127.0.0.1", 0, max_size=None, compression=compression, ssl=context, ping_interval=None,
                                max_queue=64) as server:
        port = server.sockets[0].getsockname()[1]
        process = await asyncio.create_subprocess_exec(f"{EXAMPLES}/roundtrip", *arguments, f"{scheme}://localhost:{port}/",
                                                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        output, _ = await asyncio.wait_for(process.communicate(), 120)
        assert process.returncode == 0, output.decode()


async def reload_under_load(server, folder):
    """Fifty connections echo without a pause while the certificate changes five times."""
    ends = asyncio.Event()
    echoes = 0

    async def talk(ws):
        nonlocal echoes
        while not ends.is_set():
            await ws.send("x" * 1000)
            await asyncio.wait_for(ws.recv(), 20)
            echoes += 1
        await ws.close()
        assert ws.close_code == 1000

    connections = [await websockets.connect(server.url(True), ssl=trust(folder)) for _ in range(50)]
    talks = [asyncio.create_task(talk(ws)) for ws in connections]
    for serial in range(2, 7):
        before = echoes
        while echoes < before + 200:  # get_server_certificate() keeps the others waiting
            await asyncio.sleep(0.01)
        make_certificate(folder, serial=str(serial))
        server.process.send_signal(signal.SIGHUP)
        for _ in range(100):
            certificate = ssl.get_server_certificate(("127.0.0.1", server.tls))
            if certificate.strip() == open(f"{folder}/cert.pem").read().strip():
                break
            await asyncio.sleep(0.05)
        else:
            raise AssertionError("the new certificate is not served")
    ends.set()
    await asyncio.gather(*talks)
    assert echoes >= 1000, "there was no load"


async def bad_reload_keeps_the_old(server, folder):
    good = open(f"{folder}/cert.pem").read()
    with open(f"{folder}/cert.pem", "w") as f:
        f.write("not a certificate")
    server.process.send_signal(signal.SIGHUP)
    await asyncio.sleep(0.5)
    with open(f"{folder}/cert.pem", "w") as f:
        f.write(good)
    async with websockets.connect(server.url(True), ssl=trust(folder)) as ws:
        await ws.send("still here")
        assert await ws.recv() == "still here"


def add(name, function, *given):
    """A case that awaits something, not for ever."""
    case(name, lambda: asyncio.run(asyncio.wait_for(function(*given), 200)))


def add_all(folder, server):
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(f"{folder}/cert.pem", f"{folder}/key.pem")
    for is_tls in (False, True):
        for compression in (None, "deflate"):
            kind = ("TLS" if is_tls else "plain") + (", deflate" if compression else "")
            add(f"python client, linnet server: {kind}", their_client, server.url(is_tls), compression,
                trust(folder) if is_tls else None)
            arguments = (["--deflate"] if compression else []) + (["--ca", f"{folder}/cert.pem"] if is_tls else [])
            add(f"linnet client, python server: {kind}", our_client, arguments, compression, theirs if is_tls else None,
                "wss" if is_tls else "ws")
    add("certificates change under load and nobody is dropped", reload_under_load, server, folder)
    add("a certificate that cannot be read leaves the old one in force", bad_reload_keeps_the_old, server, folder)
    case("linnet serve ends cleanly", lambda: same("the exit code", server.stop(), 0))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as certificates:
        make_certificate(certificates)
        with Server(certificates) as linnet:
            add_all(certificates, linnet)
            status = main()
    sys.exit(status)
