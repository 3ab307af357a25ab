#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The C client of a broker (the example `brokerclient`, in its three ways to run) against a broker of ours in Python, made of
python3-websockets and the protocol's description alone, and against `linnet serve`. How it is run is said in kit.py.
"""
import asyncio
import contextlib
import json
import os
import sys
import urllib.parse

from kit import EXAMPLES, PATIENCE, Server, main, prerequisites, same, stopping, test

with prerequisites():
    import websockets

EXAMPLE = os.path.join(EXAMPLES, "brokerclient")
WAYS = ("loop", "thread", "foreign")


class Broker:
    """Answers as the description says; `answers` are laid over the envelope that answers the request for a topic. The first
    `cuts` connections are cut instead of an answer to the registration, without a goodbye."""

    def __init__(self, answers, cuts=0, style=None):
        self.answers, self.cuts, self.style = answers, cuts, style
        self.connections = []  # what each of them said
        self.read = None       # the answer to our own request
        self.targets = []

    def write(self, envelope):
        if self.style == "indented":
            return json.dumps(dict(reversed(envelope.items())), indent=1)
        if self.style == "binary":
            return json.dumps(envelope).encode()
        return json.dumps(envelope) + "\n"

    async def serve(self, peer):
        said = []
        topics = set()
        self.connections.append(said)
        self.targets.append(peer.path)
        with contextlib.suppress(websockets.ConnectionClosed):
            await self.listen(peer, said, topics)

    async def listen(self, peer, said, topics):
        async for text in peer:
            if not isinstance(text, str):
                raise AssertionError("it sent a binary message")
            envelope = json.loads(text)
            said.append(envelope)
            if len(self.connections) <= self.cuts:
                peer.transport.abort()
                return
            if envelope.get("topic") == "system:register":
                await peer.send(self.write({"id": envelope["id"], "type": "response", "topic": envelope["topic"],
                                              "payload": {"serverAssignedId": "t-1", "clientName": "x",
                                                          "serverTime": "2026-01-01T00:00:00Z"}}))
            elif envelope["type"] == "subscribe_request":
                topics.add(envelope["topic"])
                await peer.send(self.write({"id": envelope["id"], "type": "subscription_ack", "topic": envelope["topic"],
                                              "payload": {"status": "subscribed", "topic": envelope["topic"]}}))
            elif envelope["type"] == "publish":
                same("what it has subscribed to", topics, {"measured.*"})
                await peer.send(self.write({"type": "publish", "topic": envelope["topic"], "payload": envelope["payload"]}))
                await peer.send(self.write({"id": "q", "type": "request", "topic": "thermometer.read", "payload": {}}))
            elif envelope["type"] in ("response", "error"):
                self.read = envelope
            else:
                answer = {"id": envelope["id"], "type": "response", "topic": envelope["topic"]}
                answer.update(self.answers[envelope["topic"]])
                await peer.send(self.write(answer))


async def run(way, topic, broker):
    """What the example prints, and says beside it."""
    async with websockets.serve(broker.serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        process = await asyncio.create_subprocess_exec(EXAMPLE, way, "ws://127.0.0.1:%d/wsmq" % port, topic,
                                                       stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
        try:
            out, err = await asyncio.wait_for(process.communicate(), PATIENCE)
        finally:
            if process.returncode is None:
                process.kill()
        same("the exit status", process.returncode, 0)
        return sorted(out.decode().splitlines()), err.decode().splitlines()


def go(way, topic, broker):
    return asyncio.run(run(way, topic, broker))


def check_manners(said):
    """Registration, subscription, then the rest."""
    same("the first", (said[0]["type"], said[0]["topic"]), ("request", "system:register"))
    same("what it says about itself", {k: v for k, v in said[0]["payload"].items() if k != "clientId"},
         {"clientName": "thermometer", "clientType": "sensor"})
    same("the second", (said[1]["type"], said[1]["topic"]), ("subscribe_request", "measured.*"))
    ids = [e["id"] for e in said if e["type"] not in ("publish", "response", "error")]
    same("ids that are different", len(set(ids)), len(ids))


@test
def it_registers_subscribes_publishes_asks_and_answers():
    for way in WAYS:
        broker = Broker({"sum": {"payload": {"sum": 3}}})
        out, err = go(way, "sum", broker)
        same("what it prints", out, ['answer: {"sum": 3}', "measured.celsius 21.5"])
        same("connections", len(broker.connections), 1)
        check_manners(broker.connections[0])
        same("our request was answered", broker.read,
             {"id": "q", "type": "response", "topic": "thermometer.read", "payload": {"celsius": 21.5}})
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(broker.targets[0]).query)
        same("how it wants to be called", query["client_id"], [broker.connections[0][0]["payload"]["clientId"]])


@test
def errors_in_every_shape_are_errors():
    for shape, wanted in (({"type": "error", "error": {"code": 404, "message": "No handler for topic: x"}},
                           "error 404: No handler for topic: x"),
                          ({"type": "error", "payload": {"error": "na\u00efve"}}, "error 0: na\u00efve"),
                          ({"error": {"code": 500, "message": "a \"b\"\n"}}, "error 500: a \"b\"")):
        for way in WAYS:
            out, _ = go(way, "x", Broker({"x": shape}))
            same("what it prints", [line for line in out if line.startswith("error")], [wanted])


@test
def what_a_server_may_write_it_reads():
    for style in ("indented", "binary"):
        broker = Broker({"x": {"payload": [None, "\u20ac"]}}, style=style)
        out, _ = go("loop", "x", broker)
        same("what it prints, without blanks", sorted("".join(out).replace(" ", "")),
             sorted('answer:[null,"\\u20ac"]measured.celsius21.5'))


@test
def what_is_called_while_connections_are_cut_is_sent_once():
    for way in WAYS:
        broker = Broker({"x": {"payload": 1}}, cuts=3)
        out, err = go(way, "x", broker)
        same("connections", len(broker.connections), 4)
        for said in broker.connections[:3]:
            same("what the server got before the cut", [e["topic"] for e in said], ["system:register"])
        same("one name for all of them", len({said[0]["payload"]["clientId"] for said in broker.connections}), 1)
        check_manners(broker.connections[3])
        same("what it prints", out, ["answer: 1", "measured.celsius 21.5"])
        same("how often it asked", [e.get("topic") for e in broker.connections[3]].count("x"), 1)


async def against_linnet(way):
    """What the example prints when its server is `linnet serve`, in which it lists the clients."""
    with stopping(Server("--log-level", "error")) as server:
        example = await asyncio.create_subprocess_exec(EXAMPLE, way, server.url("/wsmq"), stdout=asyncio.subprocess.PIPE,
                                                       stderr=asyncio.subprocess.PIPE)
        out, _ = await asyncio.wait_for(example.communicate(), PATIENCE)
        same("the exit status", example.returncode, 0)
        return sorted(out.decode().splitlines())


@test
def linnet_serve_is_such_a_broker():
    for way in WAYS:
        answer, heard = asyncio.run(against_linnet(way))
        clients = json.loads(answer[len("answer: "):])["clients"]
        same("who is there", [(c["name"], c["clientType"]) for c in clients], [("thermometer", "sensor")])
        same("what it hears", heard, "measured.celsius 21.5")


if __name__ == "__main__":
    sys.exit(main())
