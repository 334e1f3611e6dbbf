"""Messages that scripts put into the broker's list are what Celery would have put there."""

import base64
import json

import pytest
import redis

from gelap.servers import private_redis
from worker import queue
from worker.jobs import Event, State

KEY = bytes(range(32))


@pytest.fixture(scope="module")
def sent():
    """A message as Celery's Redis transport leaves it."""
    with private_redis() as url:
        queue.tell(queue.make_app(url), KEY, 1)
        return json.loads(redis.Redis.from_url(url).lpop(queue.queue_of(KEY)))


def without_names(message):
    """Leave out what differs between any two messages of Celery's: their ids, and who sent them."""
    headers, properties = dict(message["headers"]), dict(message["properties"])
    for name in ("id", "root_id", "origin"):
        assert headers.pop(name)
    for name in ("correlation_id", "reply_to", "delivery_tag"):
        assert properties.pop(name)
    return message | {"headers": headers, "properties": properties}


def test_a_message_is_what_celery_sends(sent):
    made = json.loads(queue.Messages().one(KEY))
    assert without_names(made) == without_names(sent)
    assert made["headers"]["id"] == made["headers"]["root_id"] == made["properties"]["correlation_id"]
    assert json.loads(base64.b64decode(made["body"]))[0] == [KEY.hex(), 1]


def test_no_two_messages_share_an_id_or_a_tag():
    messages = queue.Messages()
    made = [json.loads(messages.one(key)) for key in (KEY, KEY, bytes(32))]
    assert len({each["headers"]["id"] for each in made}) == 3
    assert len({each["properties"]["delivery_tag"] for each in made}) == 3
    assert [each["properties"]["delivery_info"]["routing_key"] for each in made] == [
        queue.queue_of(KEY),
        queue.queue_of(KEY),
        queue.queue_of(bytes(32)),
    ]


def test_news_of_a_job_that_goes_on_has_no_fields():
    event = Event.parse(b"0123456789abcdef0123456789abcdef RUNNING")
    assert (event.id, event.state, event.job()) == ("0123456789abcdef0123456789abcdef", State.RUNNING, None)
