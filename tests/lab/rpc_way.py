"""Runs on a node: a worker that answers pings, and a line that asks it. Prints what became of each ping.

Arguments: the broker's address, the password. Each line of the input has a word: `ping` asks; `deaf` makes the worker
take pings and answer none. Prints the reply queue's name after each.
"""

import json
import sys
import threading
import time

import amqp

from outlast.node.rpc_line import Line, Outcome, Ping, opened

QUEUE = "worker.s1"
host, password = sys.argv[1:]
deaf = threading.Event()


def answer(message: amqp.Message) -> None:
    call = opened(message.body)
    if not deaf.is_set():
        inner = json.dumps({"_msg_id": call["_msg_id"], "result": "pong"})
        body = json.dumps({"oslo.version": "2.0", "oslo.message": inner})
        channel.basic_publish(amqp.Message(body), "", call["_reply_q"])


connection = amqp.Connection(f"{host}:5672", userid="openstack", password=password)
connection.connect()
channel = connection.channel()
channel.queue_declare(QUEUE, durable=True, auto_delete=False, arguments={"x-queue-type": "quorum"})
channel.basic_consume(QUEUE, no_ack=True, callback=answer)


def serve() -> None:
    while True:
        connection.drain_events()


threading.Thread(target=serve, daemon=True).start()
line = Line((host,), 5672, "openstack", password)


def ask() -> Outcome:
    found: list[Outcome] = []
    done = threading.Event()

    def told(outcome: Outcome) -> None:
        found.append(outcome)
        done.set()

    line.ask(Ping("", QUEUE, time.monotonic() + 2.0, told))
    done.wait(10)
    return found[0] if found else Outcome("nothing")


for word in sys.stdin:
    if word.strip() == "deaf":
        deaf.set()
    one = ask()
    print(one.kind, one.consumers, line._reply_queue, one.words or "-", flush=True)
