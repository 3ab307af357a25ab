#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What becomes of a member of a room that does not read, by each policy of `linnet serve --overflow`, and of who waits for one.

The slow one is a bare socket that is read only when all is over: what it hears then, and in which order, must be what the
answers to the administrators' broadcasts and the metrics have said of it. How it is run is said in kit.py.
"""
import contextlib
import os
import struct
import subprocess
import sys
import time

import kit
from kit import BUILD, PATIENCE, case, is_sanitized, main, patient, prerequisites, request, same, test, true

with prerequisites():
    from roomskit import Raw, administered

SIZE = 64 << 10  # of a message
IN_BYTES, IN_MESSAGES = ("--max-queue", "256KiB"), ("--max-queue", "64MiB", "--queue-messages", "4")
TAIL_MAX = 4  # messages that wait, by either bound
MORE = 12  # messages after the first that found no room
CLOSED = (0x88, struct.pack("!H", 1008) + b"too slow")


def numbered(number):
    return struct.pack("!I", number) + bytes(SIZE - 4)


def hear(c, count):
    """The numbers of the next messages, which must be whole."""
    numbers = []
    for _ in range(count):
        first, payload = c.receive()
        same("the size", (first, payload[4:]), (0x82 if payload[4:5] == b"\0" else 0x81, payload[4:5] * (SIZE - 4)))
        numbers.append(struct.unpack("!I", payload[:4])[0] if first == 0x82 else int(payload[:4]))
    return numbers


class Member:
    """Publishes in the room, and hears what it says."""
    copies = 2

    def __init__(self, s, stack):
        self.client = stack.enter_context(Raw(s))

    def send(self, number):
        self.client.send(0x82, numbered(number))
        same("its own", hear(self.client, 1), [number])


class Administrator:
    """Publishes to the room; whether that was accepted."""
    copies = 1

    def __init__(self, s, stack):
        self.server = s

    def send(self, number):
        status = self.server.broadcast(b"%04d" % number + b"x" * (SIZE - 4), "?room=default")
        true("a status: %d" % status, status in (204, 503))
        return status == 204


def figures(s):
    found = s.metrics()
    return found["dropped_total"], found["closed_total"], found["displaced_total"]


def flood(s, publisher):
    """Sends until the queue has been full for long: answers, and the number of the first that found no room."""
    answers, full_at, end = [], None, time.monotonic() + PATIENCE
    while full_at is None or len(answers) < full_at + 1 + MORE:
        true("it is full at last", time.monotonic() < end)
        answers.append(publisher.send(len(answers)))
        if full_at is None and any(figures(s)):
            full_at = len(answers) - 1
    return answers, full_at


@contextlib.contextmanager
def flooded(policy, bound, kind):
    with administered("--overflow", policy, "--workers", "1", *bound) as s, contextlib.ExitStack() as stack, Raw(s) as slow:
        publisher = kind(s, stack)
        yield (s, slow, publisher, *flood(s, publisher))


def told(s, **wanted):
    """The strict metrics, whose names all begin so."""
    found = s.metrics("?form=strict")
    same("what the metrics say", {name: found["broadcast_" + name] for name in wanted}, wanted)


def goes_on(s, slow, publisher):
    """There is room again, and nothing but the next message comes."""
    publisher.send(9999)
    same("the next", hear(slow, 1), [9999])


def in_every_way(policy, judge):
    for how, bound in (("bytes", IN_BYTES), ("messages", IN_MESSAGES)):
        for kind in (Member, Administrator):
            def run(bound=bound, kind=kind):
                with flooded(policy, bound, kind) as all_of_it:
                    judge(*all_of_it)

            case("%s, %s counted, from %s" % (policy, how, "a member" if kind is Member else "an administrator"), run)


def loses_what_does_not_fit(s, slow, publisher, answers, full_at):
    sent, (dropped, closed, displaced) = len(answers), figures(s)
    same("neither closed nor displaced", (closed, displaced), (0, 0))
    true("most are lost after the first, or all: %d" % dropped, MORE // 2 < dropped <= MORE + 1)
    told(s, attempted=publisher.copies * sent, enqueued=publisher.copies * sent - dropped, dropped=dropped, skipped=0)
    heard = hear(slow, sent - dropped)
    same("all that fitted came first, in order", heard[:full_at], list(range(full_at)))
    if publisher.copies == 1:
        same("what was accepted", heard, [number for number, accepted in enumerate(answers) if accepted])
    goes_on(s, slow, publisher)


def loses_what_waits(s, slow, publisher, answers, full_at, tail_max=TAIL_MAX):
    sent, (dropped, closed, displaced) = len(answers), figures(s)
    same("neither refused nor closed", (dropped, closed), (0, 0))
    told(s, attempted=publisher.copies * sent, enqueued=publisher.copies * sent, dropped=displaced, skipped=0)
    if publisher.copies == 1:
        same("all were accepted", set(answers), {True})
    heard = hear(slow, sent - displaced)
    gap = next(i for i, number in enumerate(heard) if number != i)  # what had begun to be sent goes before it
    same("those before the gap and after it", heard, [*range(gap), *range(sent - len(heard) + gap, sent)])
    true("the newest are kept, %d of them" % (len(heard) - gap), 1 <= len(heard) - gap <= tail_max)
    goes_on(s, slow, publisher)


def keeps_the_latest(*all_of_it):
    loses_what_waits(*all_of_it, tail_max=1)


def closes(s, slow, publisher, answers, full_at):
    sent = len(answers)
    same("one was closed, once", figures(s), (0, 1, 0))
    told(s, attempted=(publisher.copies - 1) * sent + full_at + 1, enqueued=(publisher.copies - 1) * sent + full_at, dropped=0, skipped=1)
    if publisher.copies == 1:
        same("the one that was not accepted", [number for number, accepted in enumerate(answers) if not accepted], [full_at])
    same("what came before", hear(slow, full_at), list(range(full_at)))
    same("the end", slow.receive(), CLOSED)
    s.settle(members=publisher.copies - 1)


in_every_way("refuse", loses_what_does_not_fit)
in_every_way("drop-newest", loses_what_does_not_fit)
in_every_way("drop-oldest", loses_what_waits)
in_every_way("keep-latest", keeps_the_latest)
in_every_way("close", closes)


@test
def what_is_for_everybody_replaces_nothing():
    """Each room is a thing of which the latest is kept; what is said to all is not about one of them."""
    with administered("--overflow", "keep-latest", "--workers", "1", *IN_MESSAGES) as s, Raw(s) as slow:
        sent = 0
        while s.metrics()["displaced_total"] == 0:
            same("status", s.broadcast(b"%04d" % sent + b"x" * (SIZE - 4)), 204)
            sent += 1
        heard = hear(slow, sent - 1)
        true("more than one waited: %s" % heard, heard[-2:] == [sent - 2, sent - 1])


# ------------------------------------------------------------------------------------------------ who waits for room


INVALID, CLOSING, TIMEOUT = -20, -22, -62  # linnet/types.h
LONG_MS, SHORT_MS = 20000, 100


class Embedded(kit.Program):
    """A program of ours with a thread for each message, which waits for room."""

    def __init__(self):
        library = os.path.join(BUILD, "liblinnet.so")
        super().__init__(sys.executable, os.path.join(kit.ROOT, "test/e2e/embedded.py"), library, stdin=subprocess.PIPE)
        self.port = int(self.said(r"port (\d+)\n")[1])

    def order(self, number, timeout_ms, kind=2, size=SIZE):
        self.process.stdin.write(b"%d %d %d %d\n" % (kind, number, size, timeout_ms))
        self.process.stdin.flush()

    def answer(self, number):
        """Result and milliseconds."""
        found = self.said(r"(?m)^%d (-?\d+) (\d+)\n" % number)
        return int(found[1]), int(found[2])

    def send(self, number, timeout_ms, **more):
        self.order(number, timeout_ms, **more)
        return self.answer(number)

    def sends(self, number):
        """Sends what there is room for."""
        rc, _ = self.send(number, LONG_MS)
        true("%d is sent: %d" % (number, rc), rc >= 0)

    def fill(self):
        """Sends until there has been no room for long: the numbers sent, and the one that it gave up at last. On a busy machine
        others may have been given up before."""
        sent, number, patience_ms = [], 1, SHORT_MS
        while True:
            rc, _ = self.send(number, patience_ms)
            if rc >= 0:
                sent.append(number)
            elif patience_ms > SHORT_MS:
                return sent, number
            patience_ms = SHORT_MS if rc >= 0 else 10 * SHORT_MS
            number += 1


@contextlib.contextmanager
def embedded():
    with Embedded() as program, kit.Raw(program.port, request("/")) as c:
        program.sends(0)
        same("the first", hear(c, 1), [0])
        yield program, c


def block_gives_up_at_its_deadline_and_loses_nothing_else():
    with embedded() as (program, slow):
        sent, lost = program.fill()
        rc, took = program.answer(lost)
        same("the result", rc, TIMEOUT)
        true("in its time: %d ms" % took, 10 * SHORT_MS - 1 <= took < LONG_MS / 2)
        same("what comes", hear(slow, len(sent)), sent)
        program.sends(lost + 1)
        same("the next", hear(slow, 1), [lost + 1])


def block_goes_on_when_there_is_room():
    with embedded() as (program, slow):
        sent, lost = program.fill()
        program.order(lost + 1, LONG_MS)
        time.sleep(SHORT_MS / 1000)
        same("what comes", hear(slow, len(sent) + 1), [*sent, lost + 1])
        rc, took = program.answer(lost + 1)
        true("it was sent: %d after %d ms" % (rc, took), rc >= 0 and took < LONG_MS / 2)


def block_ends_with_the_connection():
    for farewell in (lambda c: c.send(0x88, struct.pack("!H", 1000)), lambda c: c.socket.close()):
        with embedded() as (program, slow):
            _, lost = program.fill()
            program.order(lost + 1, LONG_MS, size=1 << 20)  # for which nothing else may wait
            time.sleep(SHORT_MS / 1000)
            farewell(slow)
            rc, took = program.answer(lost + 1)
            same("the result", rc, CLOSING)
            true("at once: %d ms" % took, took < LONG_MS / 2)
            same("and from then on", program.send(lost + 2, LONG_MS)[0], CLOSING)


def block_refuses_what_is_no_message_and_what_is_no_time():
    with embedded() as (program, c):
        for number, (kind, timeout_ms) in enumerate(((0, LONG_MS), (8, LONG_MS), (9, LONG_MS), (2, 0)), 1):
            same("kind %d, %d ms" % (kind, timeout_ms), program.send(number, timeout_ms, kind=kind)[0], INVALID)
        program.sends(9)
        same("the next", hear(c, 1), [9])


if not is_sanitized():  # there is no such library then
    for function in (block_gives_up_at_its_deadline_and_loses_nothing_else, block_goes_on_when_there_is_room,
                     block_ends_with_the_connection, block_refuses_what_is_no_message_and_what_is_no_time):
        patient(function)


if __name__ == "__main__":
    sys.exit(main())
