# SPDX-License-Identifier: MIT
"""What the end-to-end tests in Python share: they start programs, speak to them byte by byte, and report as TAP.

A test file names what it needs, has a function for each case under @test, and ends with sys.exit(main()). It then prints a
line for each case, "ok - name" or "not ok - name: why", and exits with 1 if one failed; its arguments select cases whose names
contain one of them. $LINNET is the program, build/release/linnet by default; $LINNET_BUILD the folder it was built in.
"""
import asyncio
import concurrent.futures
import contextlib
import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LINNET = os.environ.get("LINNET", os.path.join(ROOT, "build/release/linnet"))
BUILD = os.environ.get("LINNET_BUILD", os.path.dirname(os.path.abspath(LINNET)))
EXAMPLES = os.path.join(BUILD, "examples")
PATIENCE = 20  # seconds, for anything that should happen soon
UPGRADE = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
           "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
TESTS = []


# ------------------------------------------------------------------------------------------------ cases


@contextlib.contextmanager
def prerequisites(*tools):
    """Around imports of what Python does not bring: if one of them, a tool or the program is missing, that is the one failure."""
    lacks = [tool + " is missing" for tool in tools if not shutil.which(tool)]
    if not os.access(LINNET, os.X_OK):
        lacks.append("%s is not a program (build it, or set LINNET)" % LINNET)
    try:
        yield
    except ImportError as missing:
        lacks.append("%s (for %s)" % (missing, sys.executable))
    if lacks:
        print("not ok - prerequisites: " + ", ".join(lacks))
        sys.exit(1)


def test(function):
    """The function is a case; its name, with blanks, is the case's."""
    TESTS.append(function)
    return function


def patient(function):
    """As @test, for a case that mostly waits: those of a file wait at the same time, after the others."""
    function.is_patient = True
    return test(function)


def case(name, function):
    """A case whose name is no identifier."""
    def run(*given):
        function(*given)

    run.__name__ = name
    TESTS.append(run)


def spaced(name):
    return name.replace("_", " ")


def main(*given, title=spaced):
    """Runs the cases that were asked for, each with what is given; the exit status. `title` makes of a function's name what is
    printed."""
    words = sys.argv[1:]
    chosen = [f for f in TESTS if not words or any(word in f.__name__ or word in title(f.__name__) for word in words)]
    patient_ones = [f for f in chosen if hasattr(f, "is_patient")]
    passed = [attempt(title(f.__name__), f, *given) for f in chosen if f not in patient_ones]
    with concurrent.futures.ThreadPoolExecutor(len(patient_ones) or 1) as pool:
        passed += pool.map(lambda f: attempt(title(f.__name__), f, *given), patient_ones)
    return 0 if passed and all(passed) else 1


def attempt(name, function, *given):
    """Runs one case and prints what became of it; whether it passed."""
    began = time.monotonic()
    try:
        function(*given)
    except Exception as error:  # a test that fails any way has failed, and the next one runs
        report("not ok - %s: %s %s" % (name, type(error).__name__, str(error).replace("\n", " | ")),
               "# " + traceback.format_exc().rstrip().replace("\n", "\n# "))
        return False
    report("ok - %s # %.1f s" % (name, time.monotonic() - began))
    return True


def report(*lines):
    """Prints them in one piece: others may report at the same time."""
    print("".join(line + "\n" for line in lines), end="", flush=True)


def same(what, got, wanted):
    """Fails unless they are equal."""
    if got != wanted:
        raise AssertionError("%s is %s, not %s" % (what, repr(got)[:300], repr(wanted)[:300]))


def holds(what, text, part):
    """Fails unless the text has the part in it."""
    if part not in text:
        raise AssertionError("%s lacks %r: %s" % (what, part, repr(text)[-400:]))


def true(what, value):
    """Fails unless the value is true."""
    if not value:
        raise AssertionError("not so: " + what)


# ------------------------------------------------------------------------------------------------ programs


class Program:
    """A running program, killed where its block ends. What it says on both its outputs comes to .log when it is waited for."""

    def __init__(self, *command, **how):
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **how)
        self.log = ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def said(self, pattern):
        """Waits until .log has the pattern; its match."""
        end = time.monotonic() + PATIENCE
        while not (match := re.search(pattern, self.log)):
            ready = select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))[0]
            true("it says %s: %r" % (pattern, self.log[-300:]), ready)
            data = os.read(self.process.stdout.fileno(), 65536)
            true("it runs: %r" % self.log, data)
            self.log += data.decode("utf-8", "replace")
        return match

    def stop(self):
        """Ends it as an administrator would, and reads the rest of what it says; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE)
        self.log += self.process.stdout.read().decode("utf-8", "replace")
        return code


class Server(Program):
    """A running `linnet serve`, on a free port if no arguments say where: its port, and those of all its listeners."""

    def __init__(self, *args, listeners=1, **how):
        if not any(a.startswith("--listen") for a in args):
            args = ("--listen", "127.0.0.1:0", *args)
        super().__init__(LINNET, "serve", *args, **how)
        self.said(r"(?s)(?: serving .*?\n.*?){%d}" % listeners)
        ports = [re.search(r":(\d+)/$", address) for address in re.findall(r" serving (\S+)", self.log)]
        self.ports = [int(port[1]) if port else None for port in ports]  # of a socket with a name there is none
        self.port = self.ports[0]

    def url(self, path):
        return "ws://127.0.0.1:%d%s" % (self.port, path)


@contextlib.contextmanager
def stopping(program):
    """A program that is stopped, and not killed, where its block ends."""
    with program:
        try:
            yield program
        finally:
            program.stop()


@contextlib.contextmanager
def example(name, *args):
    """An example that serves on a free port and says on which."""
    with stopping(Program(os.path.join(EXAMPLES, name), "127.0.0.1:0", *args)) as program:
        program.port = int(program.said(r"(?::|port )(\d+)/?[^\n]*\n")[1])
        yield program


def free_port():
    """A port that nobody listens on, for a server that comes later or never."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for_port(port):
    """Until somebody listens there."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            true("somebody listens", time.monotonic() < end)
            time.sleep(0.01)


def is_sanitized():
    """Is the program built with a sanitizer, whose own memory counts as its?"""
    with open(LINNET, "rb") as program:
        content = program.read()
    return b"__tsan_init" in content or b"__asan_init" in content


class Folder(tempfile.TemporaryDirectory):
    """A folder for the files of the tests, gone with them."""

    def path(self, name, text=None):
        """Where a file is, after the text, if any, has become its content."""
        file = os.path.join(self.name, name)
        if text is not None:
            with open(file, "w") as out:
                out.write(text)
        return file


def make_certificate(folder, serial="1"):
    """A self-signed certificate for localhost in cert.pem and key.pem, which change at once if they are there."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-set_serial", serial, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                    "-keyout", f"{folder}/key.new", "-out", f"{folder}/cert.new"], check=True, capture_output=True)
    os.replace(f"{folder}/key.new", f"{folder}/key.pem")
    os.replace(f"{folder}/cert.new", f"{folder}/cert.pem")


# ------------------------------------------------------------------------------------------------ bytes


def request(target, fields=UPGRADE, method="GET", version="1.1"):
    """The bytes of a request, by default for a WebSocket; a field that is None is left out."""
    lines = ["%s: %s\r\n" % field for field in {"Host": "127.0.0.1", **fields}.items() if field[1] is not None]
    return ("%s %s HTTP/%s\r\n%s\r\n" % (method, target, version, "".join(lines))).encode("latin-1")


def frame(first, payload=b"", is_masked=True):
    """The bytes of a frame whose first byte is given; masked with zeros, which is a mask as any other."""
    n = len(payload)
    size = bytes([n]) if n < 126 else b"\x7e" + struct.pack("!H", n) if n < 65536 else b"\x7f" + struct.pack("!Q", n)
    if is_masked:
        size = bytes([size[0] | 0x80]) + size[1:] + bytes(4)
    return bytes([first]) + size + payload


def dial(port, source=None):
    """A socket that is connected, without delay and with our patience."""
    s = socket.create_connection(("127.0.0.1", port), PATIENCE, source and (source, 0))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def upgrade(c, opening):
    """Opens it with these bytes, and hears the answer's head and nothing behind it."""
    c.sendall(opening)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        piece = c.recv(1)
        true("it answers: %r" % head, piece)
        head += piece
    true("it upgrades: %r" % head, head.startswith(b"HTTP/1.1 101 "))


class Raw:
    """A client that says exactly what it is told to and hears exactly what comes. It opens with the bytes given, one piece
    after the other, and has the answer's .head and .status."""

    def __init__(self, port, *opening, source=None):
        self.socket = dial(port, source)
        self.rest = b""
        for piece in opening:
            self.socket.sendall(piece)
        self.head = self.until(b"\r\n\r\n").decode("latin-1")
        self.status = int(self.head.split()[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def more(self):
        """Hears something; False at the server's FIN."""
        piece = self.socket.recv(1 << 20)  # a reset is a failure: it may destroy what came before
        self.rest += piece
        return len(piece) > 0

    def until(self, end):
        """What comes, with these bytes at its end."""
        while end not in self.rest:
            true("%r comes: %r" % (end, self.rest[-300:]), self.more())
        return self.cut(self.rest.index(end) + len(end))

    def take(self, n):
        """The next n bytes."""
        while len(self.rest) < n:
            true("%d bytes come, not only %r" % (n, self.rest[:300]), self.more())
        return self.cut(n)

    def cut(self, n):
        """Up to n of the bytes that are here."""
        found, self.rest = self.rest[:n], self.rest[n:]
        return found

    def all(self):
        """What comes until the server's FIN."""
        while self.more():
            pass
        return self.rest

    def send(self, first, payload=b"", is_masked=True):
        """Says a frame."""
        self.socket.sendall(frame(first, payload, is_masked))

    def receive(self):
        """First byte and payload of the next frame."""
        first, size = self.take(2)
        if size >= 126:
            size = int.from_bytes(self.take(2 if size == 126 else 8), "big")
        return first, self.take(size)


# ------------------------------------------------------------------------------------------------ python3-websockets


def connect(url, **more):
    """A client that takes messages of any size and does not ping."""
    import websockets  # which not every test needs
    return websockets.connect(url, **{"max_size": None, "ping_interval": None, **more})


def run_async(coroutine):
    """What comes of it, in a time that is enough for several things."""
    return asyncio.run(asyncio.wait_for(coroutine, 3 * PATIENCE))


async def soon(awaitable):
    """What comes of it, which must be soon."""
    return await asyncio.wait_for(awaitable, PATIENCE)
