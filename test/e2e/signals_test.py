#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""`linnet serve` under signals: storms of them, reloading when nothing can be opened, and coming back to its port.

How it is run is said in kit.py.
"""
import contextlib
import os
import resource
import signal
import socket
import sys
import threading
import time

from kit import PATIENCE, UPGRADE, Folder, Raw, Server, frame, free_port, main, make_certificate, prerequisites, request, same, test, true

with prerequisites("openssl"):
    import jwt

SECRET, OTHER = "first-" + "0123456789abcdef" * 4, "second-" + "0123456789abcdef" * 4


def bearer(secret):
    return {"Authorization": "Bearer " + jwt.encode({"sub": "u", "exp": int(time.time()) + 3600}, secret, algorithm="HS256")}


def status(server, target="/rooms", **fields):
    with Raw(server.port, request(target, {**UPGRADE, **fields})) as c:
        return c.status


@test
def storms_of_signals_hold_up_nobody():
    """HUP reloads; the others mean nothing, but interrupt whatever the program waits for. STOP and CONT let time pass unseen."""
    with Folder(prefix="linnet-signals-") as folder:
        make_certificate(folder)
        with open(folder + "/secret", "w") as file:
            file.write(SECRET + "\n")
        with open(folder + "/rules", "w") as file:
            file.write("allow all > anyone\n")
        with Server("--workers", "2", "--auth-secret-file", folder + "/secret", "--rules", folder + "/rules", "--listen", "127.0.0.1:0",
                    "--listen-tls", "127.0.0.1:0", "--tls-cert", folder + "/cert.pem", "--tls-key", folder + "/key.pem", listeners=2) as s:
            is_over = threading.Event()

            def storm():
                while not is_over.is_set():
                    for number in (signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD, signal.SIGURG, signal.SIGWINCH, signal.SIGSTOP, signal.SIGCONT):
                        s.process.send_signal(number)
                    time.sleep(0.02)

            def drain():
                with contextlib.suppress(OSError, ValueError):
                    while os.read(s.process.stdout.fileno(), 65536):
                        pass

            threads = [threading.Thread(target=storm), threading.Thread(target=drain, daemon=True)]
            for thread in threads:
                thread.start()
            try:
                with Raw(s.port, request("/rooms?room=red", {**UPGRADE, **bearer(SECRET)})) as c, Raw(s.port, request("/echo")) as echo:
                    for i in range(100):
                        c.send(0x81, b"%d" % i)
                        same("what comes", c.receive(), (0x81, b"%d" % i))
                        echo.send(0x82, bytes(70000))
                        true("an echo", echo.receive() == (0x82, bytes(70000)))
                        if i % 10 == 0:
                            same("another one's status", status(s), 101)
            finally:
                is_over.set()
                threads[0].join()
            s.process.send_signal(signal.SIGCONT)
            s.process.send_signal(signal.SIGTERM)
            same("exit code", s.process.wait(PATIENCE), 0)
            threads[1].join(PATIENCE)


@test
def what_cannot_be_read_again_stays_as_it_was():
    """A reload that finds no descriptor must not open what was closed."""
    with Folder(prefix="linnet-signals-") as folder:
        def write(secret):
            with open(folder + "/secret", "w") as file:
                file.write(secret + "\n")

        with open(folder + "/rules", "w") as file:
            file.write("deny all red anyone\nallow all > authenticated\n")
        write(SECRET)
        with Server("--workers", "1", "--token-required", "--auth-secret-file", folder + "/secret", "--rules", folder + "/rules") as s:
            def check(secret, other):
                same("without a token", status(s), 401)
                same("with a good one", status(s, **bearer(secret)), 101)
                same("with another one", status(s, **bearer(other)), 403)
                same("where nobody may be", status(s, "/rooms?room=red", **bearer(secret)), 403)

            check(SECRET, OTHER)
            write(OTHER)
            before = resource.prlimit(s.process.pid, resource.RLIMIT_NOFILE)
            for limit in (3, 0):
                s.log = ""
                resource.prlimit(s.process.pid, resource.RLIMIT_NOFILE, (limit, before[1]))
                s.process.send_signal(signal.SIGHUP)
                s.said("keys, rules and passwords stay as they were: [^\n]*\n")
                resource.prlimit(s.process.pid, resource.RLIMIT_NOFILE, before)
                check(SECRET, OTHER)
            s.log = ""
            s.process.send_signal(signal.SIGHUP)
            s.said("keys, rules and passwords reloaded\n")
            check(OTHER, SECRET)


@test
def it_comes_back_to_a_port_with_a_thousand_old_connections():
    """Who closes first has the connection in TIME_WAIT, and that is the server."""
    address = "127.0.0.1:%d" % free_port()
    with Server("--workers", "1", "--listen", address, "--drain", "100ms") as s:
        for _ in range(1000):
            with Raw(s.port, request("/echo"), source="127.0.0.2") as c:
                c.send(0x88, b"\x03\xe8")
                same("goodbye", c.receive(), (0x88, b"\x03\xe8"))
                same("the rest", c.all(), b"")  # its FIN comes first
        with open("/proc/net/tcp") as table:
            port = ":%04X " % s.port
            waiting = sum(port in line.split(" rem")[0][:30] and " 06 " in line for line in table)
        true("%d connections are in TIME_WAIT" % waiting, waiting >= 900)
        with Raw(s.port, request("/echo")):
            same("exit code", s.stop(), 0)  # with one that is open
    for _ in range(2):
        with Server("--workers", "2", "--listen", address) as s:
            same("it serves", status(s, "/echo"), 101)
            same("exit code", s.stop(), 0)


@test
def it_comes_back_at_once_when_it_was_killed():
    """The kernel may have its port for a moment longer, and must not give it what is meant for the new one."""
    address = "127.0.0.1:%d" % free_port()
    for _ in range(10):
        with Server("--workers", "2", "--listen", address) as s:
            for _ in range(10):
                same("it serves", status(s, "/echo"), 101)


if __name__ == "__main__":
    sys.exit(main())
