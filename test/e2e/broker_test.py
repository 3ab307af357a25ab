#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The broker dialect, seen by clients that were written from its description alone (python3-websockets, bare sockets,
Python's json): `linnet serve` at /wsmq and examples/broker, both generations of messages, to the byte where there are
bytes. Tests whose names begin with "upstream" are of mistakes that the system had from which the protocol comes.

How it is run is said in kit.py.
"""
import asyncio
import json
import re
import resource
import struct
import sys
import time

from kit import PATIENCE, Raw, Server, UPGRADE, example, main, prerequisites, request, same, stopping, test, true

with prerequisites():
    import websockets


def serve(*args):
    return stopping(Server("--workers", "2", *args))


# ------------------------------------------------------------------------------------------------ bare sockets


class Peer(Raw):
    """Speaks JSON."""

    def __init__(self, port, path="/wsmq", **fields):
        super().__init__(port, request(path, {**UPGRADE, "Host": "127.0.0.1:%d" % port, **fields}))

    def say(self, text):
        self.send(0x81, (text if isinstance(text, str) else json.dumps(text)).encode())

    def hear(self):
        first, payload = self.receive()
        same("what comes", first, 0x81)
        return payload.decode()

    def hear_close(self):
        first, payload = self.receive()
        same("what comes", first, 0x88)
        return struct.unpack("!H", payload[:2])[0], payload[2:].decode()

    def expect(self, said, heard):
        self.say(said)
        same("the answer to %s" % said, self.hear(), heard)

    def ask(self, message):
        self.say(message)
        return json.loads(self.hear())

    def silent(self):
        """Nothing was said about what came before."""
        self.expect('{"id":"?","type":"request","topic":"?"}',
                    '{"id":"?","type":"error","topic":"?","error":{"code":404,"message":"No handler for topic: ?"}}\n')


def register(peer, **payload):
    answer = peer.ask({"id": "r", "type": "request", "topic": "system:register", "payload": payload})
    same("the answer's shape", list(answer), ["id", "type", "topic", "payload"])
    same("what it answers", [answer["id"], answer["type"], answer["topic"]], ["r", "response", "system:register"])
    same("what it says", list(answer["payload"]), ["serverAssignedId", "clientName", "serverTime"])
    true("a time: %r" % answer, re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)", answer["payload"]["serverTime"]))
    true("an id", answer["payload"]["serverAssignedId"])
    return answer["payload"]["serverAssignedId"], answer["payload"]["clientName"]


def listed(peer, **wish):
    return peer.ask({"id": "l", "type": "request", "topic": "system:list_clients", "payload": wish})["payload"]["clients"]


# ------------------------------------------------------------------------------------------------ the opening


@test
def the_handshake_lets_in_who_may_come():
    with serve() as server:
        port = server.port
        for fields, status in (({}, 101), ({"Origin": "http://127.0.0.1:%d" % port}, 101), ({"Origin": "http://127.0.0.1:1"}, 403),
                               ({"Origin": "https://evil.example"}, 403)):
            with Peer(port, **fields) as peer:
                same("the status with %r" % fields, peer.status, status)


@test
def any_client_id_is_tolerated_and_a_made_one_has_32_digits():
    with serve() as server:
        for wish in ("a", "abcdefg", "0123456789abcdef0123456789abcdef", "mbk3v1x0q9f2"):
            with Peer(server.port, "/wsmq?client_id=" + wish) as peer:
                same("the id", register(peer), (wish, "client-" + wish[:8]))
        for path in ("/wsmq", "/wsmq?client_id=", "/wsmq?client_id=" + "x" * 3000, "/wsmq?client_id=%ff"):
            with Peer(server.port, path) as peer:
                id, name = register(peer)
                true("32 hexadecimal digits: %r" % id, re.fullmatch("[0-9a-f]{32}", id))
                same("the name", name, "client-" + id[:8])


@test
def a_referer_names_the_page():
    with serve() as server, Peer(server.port, "/wsmq?client_id=p", Referer="http://page.example/x") as peer:
        same("how it is listed before it registers", listed(peer), [
            {"id": "p", "name": "browser-http://page.example/x", "clientType": "unknown", "clientUrl": "http://page.example/x"}])


# ------------------------------------------------------------------------------------------------ the envelope


@test
def registration_is_answered_as_described_and_may_be_repeated():
    with serve() as server, Peer(server.port, "/wsmq?client_id=me") as peer:
        peer.say('{"id":"c1","type":"request","topic":"system:register","payload":{"clientId":"me","clientName":"n",'
                 '"clientType":"browser","clientUrl":""}}')
        true("to the byte", re.fullmatch(
            r'\{"id":"c1","type":"response","topic":"system:register","payload":\{"serverAssignedId":"me","clientName":"n",'
            r'"serverTime":"[^"]+"\}\}\n', peer.hear()))
        same("the list", listed(peer, clientType="browser"),
             [{"id": "me", "name": "n", "clientType": "browser", "clientUrl": "unknown-browser"}])
        same("what is empty stays", register(peer, clientId="me", clientName="", clientType="", clientUrl="http://u/"), ("me", "n"))
        same("the list", listed(peer), [{"id": "me", "name": "n", "clientType": "browser", "clientUrl": "http://u/"}])
        same("an older client's spelling", register(peer, clientID="me", clientURL="http://v/"), ("me", "n"))
        same("the list", listed(peer)[0]["clientUrl"], "http://v/")


@test
def nothing_has_to_be_registered_for():
    with serve() as server, Peer(server.port) as peer:
        peer.expect('{"id":"1","type":"request","topic":"example.echo","payload":[1]}',
                    '{"id":"1","type":"response","topic":"example.echo","payload":[1]}\n')


@test
def subscriptions_are_acknowledged_to_the_byte():
    with serve() as server, Peer(server.port) as peer:
        ack = '{"id":"%s","type":"subscription_ack","topic":"T","payload":{"status":"%s","topic":"T"}}\n'
        peer.expect('{"id":"1","type":"subscribe_request","topic":"T","payload":null}', ack % ("1", "subscribed"))
        peer.expect('{"id":"2","type":"subscribe_request","topic":"T"}', ack % ("2", "subscribed"))
        peer.expect('{"id":"3","type":"unsubscribe_request","topic":"T","payload":null}', ack % ("3", "unsubscribed"))
        peer.expect('{"id":"4","type":"unsubscribe_request","topic":"T"}', ack % ("4", "unsubscribed"))
        peer.expect('{"id":"5","type":"subscribe_request"}',
                    '{"id":"5","type":"error","error":{"code":400,"message":"Subscription topic cannot be empty"}}\n')
        peer.say('{"id":"6","type":"unsubscribe_request"}')
        peer.say('{"id":"7","type":"publish","payload":1}')
        peer.silent()


@test
def publications_go_to_all_subscribers_and_keep_their_bytes():
    with serve() as server, Peer(server.port) as a, Peer(server.port) as b, Peer(server.port) as c:
        for peer in (a, b):
            peer.ask({"id": "s", "type": "subscribe_request", "topic": "t \u00e4"})
        c.ask({"id": "s", "type": "subscribe_request", "topic": "t"})
        for payload in ('{"a" : [1, 2.50, "\\u00e4<>"]}', '"x"', "null", "1e3", "[]"):
            a.say('{"id":"1","type":"publish","topic":"t \\u00e4","payload":%s}' % payload)
            for peer in (a, b):
                same("what comes", peer.hear(), '{"type":"publish","topic":"t \\u00e4","payload":%s}\n' % payload)
        a.say('{"type":"publish","topic":"t \\u00e4"}')
        same("without one", b.hear(), '{"type":"publish","topic":"t \\u00e4","payload":null}\n')
        c.silent()


@test
def topics_are_exact_and_wildcards_are_an_addition():
    with serve() as server, Peer(server.port) as a, Peer(server.port) as b:
        b.ask({"id": "s", "type": "subscribe_request", "topic": "sensors.*.temperature"})
        b.ask({"id": "s", "type": "subscribe_request", "topic": "Exact"})
        for topic in ("exact", "sensors.temperature", "Exact ", "sensors.1.humidity", "sensors.1.temperature", "Exact"):
            a.say({"type": "publish", "topic": topic, "payload": topic})
        same("what comes", [json.loads(b.hear())["payload"] for _ in range(2)], ["sensors.1.temperature", "Exact"])
        b.silent()


@test
def errors_have_the_codes_and_texts_of_the_description():
    with serve() as server, Peer(server.port) as peer:
        peer.expect('{"id":"1","type":"request","topic":"no such","payload":{}}',
                    '{"id":"1","type":"error","topic":"no such","error":{"code":404,"message":"No handler for topic: no such"}}\n')
        answer = peer.ask({"id": "2", "type": "request", "topic": "system:register", "payload": {"clientName": 5}})
        same("the code", answer["error"]["code"], 400)
        true("the text: %r" % answer, answer["error"]["message"].startswith("Invalid request payload: failed to unmarshal payload"))
        true("with the payload", answer["error"]["message"].endswith('Raw: {"clientName": 5}'))
        answer = peer.ask({"id": "3", "type": "request", "topic": "system:error_test", "payload": {"shouldError": True}})
        same("a handler's error", answer, {"id": "3", "type": "error", "topic": "system:error_test", "error": {
            "code": 500, "message": "simulated server error requested by client"}})


@test
def what_is_no_json_ends_with_1007():
    with serve() as server:
        for text in ("hello", "{", "[]", "7", '"x"', '{"id":5}', '{"error":"x"}', '{"topic":[]}', "\x00", "{} x"):
            with Peer(server.port) as peer:
                peer.say(text)
                same("the close of %r" % text, peer.hear_close(), (1007, "failed to unmarshal JSON"))


@test
def what_is_of_no_type_is_passed_over():
    with serve() as server, Peer(server.port) as peer:
        for text in ("null", "{}", '{"type":"x"}', '{"type":null,"id":null}', '{"id":"1","type":"subscription_ack","topic":"t"}',
                     '{"unknown":{"deep":[1,2,{}]},"type":"Request"}'):
            peer.say(text)
        peer.silent()


@test
def binary_frames_are_read_and_never_written():
    with serve() as server, Peer(server.port) as peer:
        peer.send(0x82, b'{"id":"1","type":"request","topic":"example.echo","payload":1}')
        same("the answer", peer.hear(), '{"id":"1","type":"response","topic":"example.echo","payload":1}\n')


@test
def a_message_of_a_mebibyte_is_the_longest():
    with serve() as server:
        begin, end = '{"id":"1","type":"request","topic":"example.echo","payload":"', '"}'
        room = (1 << 20) - len(begin) - len(end)
        with Peer(server.port) as peer:
            peer.say(begin + "x" * room + end)
            same("the answer", len(json.loads(peer.hear())["payload"]), room)
            peer.say(begin + "x" * (room + 1) + end)
            same("the code", peer.hear_close()[0], 1009)


@test
def pings_are_numbered():
    with serve("--ping-interval", "1s", "--pong-wait", "5s") as server, Peer(server.port) as peer:
        for i in (b"1", b"2"):
            same("the ping", peer.receive(), (0x89, i))
            peer.send(0x8A, i)


# ------------------------------------------------------------------------------------------------ proxy and list


@test
def clients_call_each_other_through_the_server():
    with serve() as server, Peer(server.port, "/wsmq?client_id=a") as a, Peer(server.port, "/wsmq?client_id=b") as b:
        call = '{"id":"p","type":"request","topic":"system:proxy","payload":{"targetId":"b","topic":"t"%s}}'
        for sent, passed, answer, heard in (
                (',"payload":{"x" : 1}', ',"payload":{"x" : 1}', '"type":"response","payload":{"y" : 2}', '"response","topic":"system:proxy","payload":{"y" : 2}}'),
                ("", ',"payload":null', '"type":"response"', '"response","topic":"system:proxy","payload":null}'),
                (',"payload":null', ',"payload":null', '"type":"error","error":{"code":9,"message":"m"}',
                 '"error","topic":"system:proxy","error":{"code":500,"message":"proxy target error: client b responded with '
                 'error (code 9) for request ID %s: m"}}'),
                ("", ',"payload":null', '"type":"error","topic":"t","payload":{"error":"No handler for topic: t"}',
                 '"error","topic":"system:proxy","error":{"code":500,"message":"proxy target error: client b responded with '
                 'error (code 0) for request ID %s: No handler for topic: t"}}')):
            a.say(call % sent)
            match = re.fullmatch(r'\{"id":"([0-9a-f]{32})","type":"request","topic":"t"' + re.escape(passed) + r"\}\n", b.hear())
            true("a request comes to b", match)
            b.say('{"id":"%s",%s}' % (match.group(1), answer))
            same("a's answer", a.hear(), '{"id":"p","type":' + heard.replace("%s", match.group(1)) + "\n")
        error = '{"id":"p","type":"error","topic":"system:proxy","error":{"code":500,"message":"%s"}}\n'
        a.expect('{"id":"p","type":"request","topic":"system:proxy","payload":{"topic":"t"}}', error % "proxy request missing target client ID")
        a.expect('{"id":"p","type":"request","topic":"system:proxy","payload":{"targetId":"zz","topic":"t"}}',
                 error % "proxy target client: client with ID 'zz' not found")
        a.say(call % "")
        id = json.loads(b.hear())["id"]
        b.socket.close()
        same("who goes", a.hear(), error % ("proxy target error: client b context done while waiting for response (ID: %s): "
                                            "context canceled" % id))


@test
def one_may_call_oneself():
    with serve() as server, Peer(server.port, "/wsmq?client_id=a") as a:
        a.say('{"id":"p","type":"request","topic":"system:proxy","payload":{"targetId":"a","topic":"t","payload":1}}')
        request = json.loads(a.hear())
        a.expect({"id": request["id"], "type": "response", "payload": request["payload"]},
                 '{"id":"p","type":"response","topic":"system:proxy","payload":1}\n')


@test
def a_list_of_nobody_is_empty_and_not_null():
    with serve() as server, Peer(server.port) as a:
        a.expect('{"id":"1","type":"request","topic":"system:list_clients","payload":{"clientType":"none"}}',
                 '{"id":"1","type":"response","topic":"system:list_clients","payload":{"clients":[]}}\n')
        same("null asks for all", len(a.ask('{"id":"1","type":"request","topic":"system:list_clients","payload":null}')["payload"]["clients"]), 1)


@test
def the_demo_answers():
    with serve() as server, Peer(server.port) as a:
        true("a time", a.ask({"id": "1", "type": "request", "topic": "system:get_time"})["payload"]["currentTime"].startswith("20"))
        same("no error", a.ask({"id": "1", "type": "request", "topic": "system:error_test", "payload": {}})["payload"],
             {"message": "No error requested"})
        a.say({"id": "slow", "type": "request", "topic": "server:slow_request", "payload": {"delayMilliseconds": 300}})
        same("who is not held up", a.ask({"id": "2", "type": "request", "topic": "example.echo", "payload": 1})["id"], "2")
        same("the slow one", json.loads(a.hear())["payload"], {"message": "Completed after 300 ms"})
        for wrong in ({"delayMilliseconds": 60001}, {"delayMilliseconds": -1}, {}, None):
            same("what is too long", a.ask({"id": "3", "type": "request", "topic": "server:slow_request", "payload": wrong})["error"]["code"], 400)


# ------------------------------------------------------------------------------------------------ server to client


@test
def the_example_calls_every_registered_page():
    with example("broker", "200") as server, Peer(server.port) as page, Peer(server.port) as silent:
        register(page, clientName="page", clientType="browser")
        for answer, said in (({"type": "response", "payload": {"pong": 1}}, r'answered \{"pong": 1\}'),
                             ({"type": "error", "topic": "server.ping", "payload": {"error": "js"}}, r'refused: 0 "js"'),
                             ({"type": "error", "error": {"code": 404, "message": "go"}}, r'refused: 404 "go"')):
            match = re.fullmatch(r'\{"id":"([0-9a-f]{32})","type":"request","topic":"server.ping","payload":'
                                 r'\{"timestamp":\d+,"message":"Ping from server"\}\}\n', page.hear())
            true("it is called", match)
            page.say(dict(answer, id=match.group(1)))
            server.said(said)
        page.hear()
        page.socket.close()
        server.said(r"did not answer: the connection is closed")
        silent.silent()  # who did not register is not called


@test
def the_application_hears_publications_and_knows_its_clients():
    with example("broker") as server, Peer(server.port, "/wsmq", Referer="http://r/") as page:
        page.say({"type": "publish", "topic": "news.1", "payload": [1]})
        server.said(r"news\.1: \[1\]\n")
        same("where it is", page.ask({"id": "1", "type": "request", "topic": "example.where"})["payload"], {"url": "http://r/"})
        with Peer(server.port, "/wsmq?client_id=x") as other:
            answer = other.ask({"id": "p", "type": "request", "topic": "system:proxy", "payload": {"targetId": "x", "topic": "t"}})
            same("who may call another", answer["error"], {"code": 403, "message": "proxy request not permitted"})


# ------------------------------------------------------------------------------------------------ the older generation


def header(type, topic, **more):
    return dict({"messageID": "m1", "type": type, "topic": topic, "timestamp": 1746900000000}, **more)


def hear_headed(peer):
    message = json.loads(peer.hear())
    same("its members", list(message), ["header", "body"])
    head = message["header"]
    true("a message id: %r" % head, re.fullmatch(r"\d+-\d+", head["messageID"]))
    true("a time in milliseconds", abs(head["timestamp"] - time.time() * 1000) < 60000)
    return head, message["body"]


@test
def the_older_generation_registers_and_asks():
    with serve() as server, Peer(server.port) as peer:
        peer.say({"header": header("event", "_client.register"), "body": {"pageSessionID": "page-1"}})
        head, body = hear_headed(peer)
        same("the acknowledgement", [head["type"], head["topic"], "correlationID" in head], ["event", "_internal.client.registered", False])
        same("its body", [list(body), body["pageSessionID"], body["status"]], [["brokerClientID", "pageSessionID", "status"], "page-1", "registered"])
        peer.say({"header": header("request", "example.echo", correlationID="c1", ttl=5000), "body": {"a": 1}})
        head, body = hear_headed(peer)
        same("the order of members", list(head), ["messageID", "correlationID", "type", "topic", "timestamp"])
        same("the answer", [head["type"], head["topic"], head["correlationID"], body], ["response", "c1", "c1", {"a": 1}])


@test
def the_older_generation_gets_requests_too():
    with example("broker", "200") as server, Peer(server.port) as peer:
        peer.say({"header": header("event", "_client.register"), "body": {"pageSessionID": "page-1"}})
        hear_headed(peer)
        for type, body, said in (("response", {"pong": 1}, r'answered \{"pong": 1\}'), ("error", {"error": "t"}, r'refused: 0 "t"'),
                                 ("error", {"error": {"message": "v2"}}, r'refused: 0 "v2"')):
            head, asked = hear_headed(peer)
            same("the request", [head["type"], head["topic"], head["ttl"], asked["message"]], ["request", "server.ping", 5000, "Ping from server"])
            peer.say({"header": header(type, head["correlationID"], correlationID=head["correlationID"]), "body": body})
            server.said(said)


@test
def both_generations_share_topics():
    with serve() as server, Peer(server.port) as old, Peer(server.port) as now:
        old.say({"header": header("subscribe", "subscribe"), "body": "news"})
        old.say({"header": header("request", "example.echo", correlationID="c"), "body": 1})
        same("there is no acknowledgement", hear_headed(old)[1], 1)
        now.ask({"id": "s", "type": "subscribe_request", "topic": "news"})
        now.say('{"type":"publish","topic":"news","payload":{"a":1}}')
        head, body = hear_headed(old)
        same("the event", [list(head), head["type"], head["topic"], body], [["messageID", "type", "topic", "timestamp"], "event", "news", {"a": 1}])
        now.hear()
        old.say({"header": header("event", "news"), "body": [2]})
        same("the publication", now.hear(), '{"type":"publish","topic":"news","payload":[2]}\n')
        same("who published", hear_headed(old)[1], [2])
        old.say({"header": header("unsubscribe", "unsubscribe"), "body": "news"})
        old.say({"header": header("event", "news"), "body": 3})
        now.hear()
        old.say({"header": header("request", "example.echo", correlationID="c"), "body": 4})
        same("nothing more came", hear_headed(old)[1], 4)


@test
def the_older_generation_is_not_ended_by_what_is_malformed():
    with serve() as server, Peer(server.port) as old:
        old.say({"header": header("event", "x"), "body": 1})
        for text in ("nonsense", '{"header":{"type":5}}', '{"id":"1","type":"request","topic":"example.echo"}', "[]"):
            old.say(text)
        old.send(0x82, json.dumps({"header": header("request", "example.echo"), "body": 1}).encode())
        old.say({"header": header("request", "example.echo", correlationID="c"), "body": 7})
        same("the next answer", hear_headed(old)[1], 7)


# ------------------------------------------------------------------------------------------------ mistakes of upstream


@test
def upstream_1_a_short_client_id_killed_the_connection():
    with serve() as server:
        for wish in ("a", "1234567"):
            with Peer(server.port, "/wsmq?client_id=" + wish) as peer:
                peer.silent()


@test
def upstream_2_and_3_a_second_client_of_an_id_took_the_first_ones_place():
    with serve() as server, Peer(server.port, "/wsmq?client_id=x") as first:
        register(first, clientId="x")
        with Peer(server.port, "/wsmq?client_id=x") as second:
            other = register(second, clientId="x")[0]
            true("another id", other != "x")
            same("both are listed", sorted(c["id"] for c in listed(first)), sorted(["x", other]))
            second.say({"id": "p", "type": "request", "topic": "system:proxy", "payload": {"targetId": "x", "topic": "t"}})
            same("who is called as x", json.loads(first.hear())["topic"], "t")
        end = time.monotonic() + PATIENCE
        while len(listed(first)) > 1:
            true("the second one goes", time.monotonic() < end)
        same("the first one stays", listed(first)[0]["id"], "x")


@test
def upstream_7_a_stop_said_nothing():
    with serve() as server, Peer(server.port) as peer:
        peer.silent()
        server.process.terminate()
        same("the code", peer.hear_close()[0], 1001)


@test
def upstream_9_an_empty_id_was_registered():
    with serve() as server, Peer(server.port, "/wsmq?client_id=k") as peer:
        same("the id", register(peer, clientId="")[0], "k")
        same("the id", register(peer)[0], "k")


@test
def upstream_13_errors_of_pages_looked_like_results():
    with serve() as server, Peer(server.port, "/wsmq?client_id=a") as a, Peer(server.port, "/wsmq?client_id=b") as b:
        a.say({"id": "p", "type": "request", "topic": "system:proxy", "payload": {"targetId": "b", "topic": "t"}})
        b.say({"id": json.loads(b.hear())["id"], "type": "error", "topic": "t", "payload": {"error": "no"}})
        same("the type", json.loads(a.hear())["type"], "error")


@test
def upstream_16_handler_errors_never_reached_the_older_generation():
    with serve() as server, Peer(server.port) as old:
        old.say({"header": header("request", "system:error_test", correlationID="c"), "body": {"shouldError": True}})
        head, body = hear_headed(old)
        same("the error", [head["type"], head["topic"], body],
             ["error", "c", {"error": "handler error: simulated server error requested by client"}])
        old.say({"header": header("request", "nobody", correlationID="d"), "body": 1})
        head, body = hear_headed(old)
        same("the error", [head["type"], head["topic"], body], ["error", "d", {"error": "No handler for topic: nobody"}])


# ------------------------------------------------------------------------------------------------ many


@test
def every_request_of_many_clients_ends_once():
    clients, requests = 40, 250

    async def client(port, number, gate):
        async with websockets.connect("ws://127.0.0.1:%d/wsmq" % port, compression=None, max_queue=None) as ws:
            await ws.send(json.dumps({"id": "s", "type": "subscribe_request", "topic": "all"}))
            await ws.recv()
            await gate.wait()  # all of them have subscribed
            for i in range(requests):
                await ws.send(json.dumps({"id": str(i), "type": "request", "topic": ("example.echo", "nobody")[i % 2], "payload": [number, i]}))
                if i % 50 == 0:
                    await ws.send(json.dumps({"type": "publish", "topic": "all", "payload": [number, i]}))
            open_, heard = set(map(str, range(requests))), 0
            while open_ or heard < clients * requests // 50:
                message = json.loads(await asyncio.wait_for(ws.recv(), PATIENCE))
                heard += message["type"] == "publish"
                if message["type"] in ("response", "error"):
                    open_.remove(message["id"])  # never a second time
                    same("the type", message["type"], ("response", "error")[int(message["id"]) % 2])

    async def all_of_them(port):
        gate = asyncio.Barrier(clients)
        await asyncio.gather(*(client(port, n, gate) for n in range(clients)))

    with serve() as server:
        asyncio.run(all_of_them(server.port))


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    sys.exit(main())
