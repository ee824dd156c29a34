"""kombu's consumer in its event loop, with a message that arrives in the moment in which no slot is left.

Prints where the message is: before kombu's leavings are read, after that, and when the consumer has put back what it
holds.
"""

import os
import time

import redis
from kombu import Connection, Consumer, Exchange, Queue
from kombu.asynchronous import Hub, set_event_loop

from stack.broker import transport

transport.install()
options = {"sep": ":", "unacked_restore_interval": 3600}
url = f"redis://:{os.environ['PASSWORD']}@127.0.0.1:{os.environ['PORT']}/0"
connection, publisher = (Connection(url, transport_options=options) for _ in range(2))
server = redis.Redis(port=int(os.environ["PORT"]), password=os.environ["PASSWORD"])
hub = Hub()
set_event_loop(hub)
channel = connection.default_channel
queue = Queue("default", Exchange("default"), routing_key="default", channel=channel)
queue.declare()
consumer = Consumer(channel, [queue], callbacks=[lambda *_: None])
full, has_credit = [], channel.qos.can_consume
channel.qos.can_consume = lambda: not full and has_credit()
connection.transport.register_with_event_loop(connection.transport, hub)
channel.brpop_timeout = 60
consumer.consume()
loop = hub.create_loop()
hub.call_repeatedly(0.05, lambda: None)


def turn(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        next(loop)


def tell() -> None:
    print(f"queued={server.llen('default')},unacked={server.hlen('unacked')}", flush=True)


turn(0.3)  # it asks Redis for a message
full.append("a delayed task has taken the last slot")
turn(0.1)
publisher.Producer().publish({"id": "of this test"}, exchange="default", routing_key="default")
turn(0.5)
tell()
transport.read_paused(connection)
tell()
channel.qos.restore_by_tag(channel.qos.held()[0])
tell()
os._exit(0)
