"""Runs on a node in OpenStack's environment: publishes to, or reads from, a quorum queue, with confirmations.

Words: publish or fetch, broker's address, password, queue, seconds to keep trying, count. `publish` prints every number
that was confirmed, `fetch` every one that it got (twice, if its acknowledgement was lost).
"""

import sys
import time

import amqp

WORD, ADDRESS, PASSWORD, QUEUE, SECONDS, COUNT = sys.argv[1:]


def once() -> None:
    place = f"{ADDRESS}:5672"
    connection = amqp.Connection(
        place, userid="openstack", password=PASSWORD, confirm_publish=True, connect_timeout=2, read_timeout=3
    )
    connection.connect()
    channel = connection.channel()
    channel.queue_declare(QUEUE, durable=True, auto_delete=False, arguments={"x-queue-type": "quorum"})
    if WORD == "publish":
        for number in range(int(COUNT)):
            channel.basic_publish_confirm(amqp.Message(str(number), delivery_mode=2), routing_key=QUEUE)
            sys.stdout.write(f"{number}\n")
    else:
        while (message := channel.basic_get(QUEUE)) is not None:
            sys.stdout.write(f"{message.body}\n")
            channel.basic_ack(message.delivery_tag)
    connection.close()


def main() -> None:
    end = time.monotonic() + float(SECONDS)
    while True:
        try:
            return once()
        except (OSError, amqp.AMQPError):
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


main()
