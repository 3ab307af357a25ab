# SPDX-License-Identifier: MIT
"""A program that embeds liblinnet through its C interface and sends to the client of its one endpoint with ln_send_wait().

usage: embedded.py LIBRARY. It says on which port it serves, and then obeys lines of "KIND NUMBER SIZE TIMEOUT_MS", each on a
thread of its own: a message of that size that begins with that number. The answer, as soon as there is one, is
"NUMBER RESULT MILLISECONDS".
"""
import ctypes
import struct
import sys
import threading
import time


class Span(ctypes.Structure):
    _fields_ = [("data", ctypes.c_char_p), ("size", ctypes.c_size_t)]


ON_OPEN = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)


class Handlers(ctypes.Structure):
    """ln_ws_handlers: of its ten members the second is ours."""
    _fields_ = [("on_request", ctypes.c_void_p), ("on_open", ON_OPEN), ("others", ctypes.c_void_p * 8)]


def load(library):
    linnet = ctypes.CDLL(library)
    linnet.ln_server_new.restype = ctypes.c_void_p
    linnet.ln_conn_get_id.restype = ctypes.c_uint64
    linnet.ln_conn_get_id.argtypes = [ctypes.c_void_p]
    linnet.ln_send_wait.argtypes = [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_int, Span, ctypes.c_uint32]
    return linnet


def must(rc):
    if rc < 0:
        sys.exit("embedded.py: error %d" % rc)
    return rc


def main(library):
    linnet = load(library)
    server = ctypes.c_void_p(linnet.ln_server_new(None))
    ids, is_open = [], threading.Event()

    def on_open(conn, request, user):
        ids.append(linnet.ln_conn_get_id(conn))
        is_open.set()

    def send(kind, number, size, timeout_ms):
        data = struct.pack("!I", number) + bytes(size - 4)
        is_open.wait()
        begin = time.monotonic()
        rc = linnet.ln_send_wait(server, ids[-1], kind, Span(data, size), timeout_ms)
        sys.stdout.write("%d %d %d\n" % (number, rc, (time.monotonic() - begin) * 1000))
        sys.stdout.flush()

    handlers = Handlers(on_open=ON_OPEN(on_open))
    must(linnet.ln_server_ws(server, b"/", ctypes.byref(handlers), None))
    must(linnet.ln_server_listen(server, b"127.0.0.1:0"))
    must(linnet.ln_server_start(server))
    print("port %d" % linnet.ln_server_port(server, 0), flush=True)
    for line in sys.stdin:
        threading.Thread(target=send, args=[int(word) for word in line.split()], daemon=True).start()
    linnet.ln_server_stop(server)
    must(linnet.ln_server_join(server))


if __name__ == "__main__":
    main(sys.argv[1])
