#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Secrets that any part of the program is given: where none of them may turn up.

They are all made of one mark, which is looked for in what the programs write, in what the server answers, in the words and
environments of processes. What the server does with secrets of peers is in rooms_test.py too. How it is run is said in kit.py.
"""
import base64
import json
import os
import subprocess
import sys
import time

import kit
from kit import LINNET, PATIENCE, UPGRADE, Folder, Raw, Server, main, prerequisites, request, same, test, true

with prerequisites():
    import jwt

MARK = "CANARY"
LONG = MARK * 8
FOLDER = Folder(prefix="linnet-secrets-")
path = FOLDER.path
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("LINNET_") or k == "LINNET_IO"}
SHAPES = (MARK, MARK.lower(), base64.b64encode(MARK.encode()).decode(), MARK.encode().hex(), base64.b64encode(("ann:" + LONG).encode()).decode())


def silent(what, text):
    if isinstance(text, bytes):
        text = text.decode("latin-1")
    for shape in SHAPES:
        true("%s does not have it: %r" % (what, text[-600:]), shape not in text)


def run(*words, code, stdin="", **environment):
    done = subprocess.run([LINNET, *words], input=stdin, capture_output=True, text=True, timeout=PATIENCE,
                          env={**ENVIRONMENT, **environment})
    same("exit code of %s (%r)" % (words, done.stderr), done.returncode, code)
    silent("standard error of %s" % (words,), done.stderr)
    silent("standard output of %s" % (words,), done.stdout)


@test
def files_that_cannot_be_used_are_not_told_about():
    """A mistake is told by file and line: what stands there may be a secret in the wrong place."""
    content = {"short": MARK + "\n", "line": MARK + "-without-a-colon\n", "hash": MARK + ":" + LONG + "\n", "rules": LONG + " all > anyone\n",
               "who": "allow all > group:" + LONG + "\n", "set": json.dumps({"keys": [{"kty": "oct", "k": MARK, "kid": LONG}]}),
               "broken": '{"keys":[{"kty":"oct","k":"%s' % LONG, "pem": "-----BEGIN PUBLIC KEY-----\n" + LONG + "\n-----END PUBLIC KEY-----\n",
               "private": "-----BEGIN PRIVATE KEY-----\n" + LONG + "\n-----END PRIVATE KEY-----\n", "zeros": LONG + "\0" + LONG}
    for name, text in content.items():
        path(name, text)
    for option, names in (("--auth-secret-file", ("short", "zeros")), ("--admin-secret-file", ("short", "zeros")),
                          ("--room-passwords", ("line", "hash", "zeros")), ("--rules", ("rules", "who", "line", "zeros")),
                          ("--auth-jwks", ("set", "broken", "line")), ("--auth-key", ("pem", "private", "line")),
                          ("--tls-cert", ("pem", "private", "line"))):
        for name in names:
            more = ("--listen-tls", "127.0.0.1:0") if option == "--tls-cert" else ()
            run("serve", "--listen", "127.0.0.1:0", *more, option, path(name), code=1)
    run("serve", "--listen", "127.0.0.1:0", code=1, LINNET_AUTH_SECRET=MARK)
    run("serve", "--listen", "127.0.0.1:0", code=1, LINNET_ADMIN_SECRET=MARK)
    for token in (LONG, "%s.%s.%s" % (LONG, LONG, LONG), jwt.encode({"sub": LONG}, LONG, algorithm="HS256")):
        path("good", "g" * 64 + "\n")
        run("token", "verify", "--secret-file", path("good"), code=1, stdin=token + "\n")
        run("token", "verify", "--secret-file", path("short"), code=1, stdin=token + "\n")


@test
def what_programs_authenticate_with_stays_with_them():
    path("credentials", "ann:" + LONG + "\n")
    path("nocolon", LONG + "\n")
    path("token", LONG + "\n")
    nobody = "ws://127.0.0.1:%d/" % kit.free_port()
    with Server() as s:
        for url, code in ((nobody, 1), (s.url("/nowhere"), 1), (s.url("/echo"), 0)):
            for words in (("--auth-file", path("credentials")), ("--auth", "ann:" + LONG), ("-H", "Authorization: Bearer " + LONG),
                          ("-H", "Cookie: session=" + LONG)):
                run("connect", "-v", *words, url, code=code)
        for url, code in ((nobody, 1), (s.url("/wsmq"), 0)):
            for words in (("--token-file", path("token")), ("-H", "Authorization: Bearer " + LONG)):
                run("pub", "-v", *words, url, "topic", "text", code=code)
        for words in (("--auth-file", path("nocolon")), ("--token-file", path("credentials", "\n"))):
            verb = "connect" if words[0] == "--auth-file" else "pub"
            run(verb, *words, nobody, *(("topic", "text") if verb == "pub" else ()), code=1)
    for words in (("--auth", LONG), ("-H", "Authorization " + LONG), ("-H", "Authorization: " + LONG + "\r\nX: y"), ("-H", "Host: " + LONG), ("-s", LONG + "=")):
        run("connect", *words, nobody, code=2)
    run("connect", "ws://ann:" + LONG + "@127.0.0.1/", code=2)


@test
def processes_and_their_children_do_not_show_it():
    """What a word held is overwritten before anything else begins, children included."""
    def words_of(pid):
        with open("/proc/%d/cmdline" % pid, "rb") as words, open("/proc/%d/environ" % pid, "rb") as environment:
            return words.read() + environment.read()

    def children(pid):
        found = []
        for task in os.listdir("/proc/%d/task" % pid):
            with open("/proc/%d/task/%s/children" % (pid, task)) as list_of:
                found += [int(child) for child in list_of.read().split()]
        return found

    with Server("--workers", "1") as s:
        command = [LINNET, "bench", "idle", s.url("/echo"), "--auth", "ann:" + LONG, "-c", "200", "-t", "20s"]
        few = subprocess.Popen(["sh", "-c", 'ulimit -n 64; exec "$@"', "-"] + command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               env=ENVIRONMENT)
        try:
            end = time.monotonic() + PATIENCE
            while len(found := children(few.pid)) < 2:
                true("there are children", time.monotonic() < end and few.poll() is None)
                time.sleep(0.02)
            for pid in (few.pid, *found):
                silent("process %d" % pid, words_of(pid))
        finally:
            few.terminate()
            silent("what it says", few.communicate(timeout=PATIENCE)[0])


@test
def the_server_tells_nobody():
    path("admin", "admin-" + LONG + "\n")
    path("passwords", "locked:" + subprocess.run([LINNET, "token", "hash-password"], input=LONG + "\n", capture_output=True, text=True,
                                                 check=True).stdout)
    with open(path("passwords")) as file:
        hashed = file.read().split(":", 1)[1].strip()
    admin = {"Authorization": "Bearer admin-" + LONG}
    with Server("--workers", "2", "--log-level", "debug", "--admin-secret-file", path("admin"), "--room-passwords", path("passwords"),
                "--query-token", env={**ENVIRONMENT, "LINNET_AUTH_SECRET": "auth-" + LONG}) as s:
        token = jwt.encode({"sub": "u-1", "exp": int(time.time()) + 600}, "auth-" + LONG, algorithm="HS256")
        answers = []

        def ask(target, fields, method="GET"):
            with Raw(s.port, request(target, {**fields, "Connection": "close"}, method)) as c:
                answers.append(c.head + c.all().decode("latin-1"))
            return c.status

        same("metrics", ask("/_admin/metrics", admin), 200)
        same("another form of them", ask("/_admin/metrics?format=prometheus", admin) // 100 in (2, 4), True)
        for target in ("/", "/health", "/ready", "/metrics", "/_admin", "/_admin/metrics?" + LONG, "/_admin/broadcast", "/rooms", "/nowhere"):
            for fields in ({}, admin, {"Authorization": "Bearer " + LONG}, {"Authorization": "Basic " + LONG}, {"Cookie": LONG}):
                for method in ("GET", "POST", "PUT", "OPTIONS"):
                    ask(target, fields, method)
        for query in ("?room=locked&room_password=" + LONG, "?room=locked&room_password=x" + LONG, "?token=" + token, "?token=x" + token):
            with Raw(s.port, request("/rooms" + query, UPGRADE)) as c:
                answers.append(c.head)
        s.stop()
        for text in (*answers, s.log):
            silent("what it writes", text)
            for secret in (token, hashed):
                true("nor does it write %r: %r" % (secret, text[-300:]), secret not in text)


if __name__ == "__main__":
    sys.exit(main())
