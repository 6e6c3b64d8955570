"""Runs on a node in OpenStack's environment: publishes to, or reads from, a quorum queue, with confirmations.

Words: publish or fetch, broker's address, password, queue, count. `publish` prints every number that was confirmed.
"""

import sys

import amqp

WORD, ADDRESS, PASSWORD, QUEUE, COUNT = sys.argv[1:]


def main() -> None:
    connection = amqp.Connection(
        f"{ADDRESS}:5672",
        userid="openstack",
        password=PASSWORD,
        confirm_publish=True,
        connect_timeout=5,
        read_timeout=10,
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


main()
