import asyncio
import json
import socket
import threading
import time

import pytest
from small_site import next_event, small_server

from vidcolor.preview.web.server import events as module
from vidcolor.preview.web.server.answers import Refusal
from vidcolor.preview.web.server.events import Events, EventStream


@pytest.fixture
def here(tmp_path):
    with small_server(tmp_path / "films") as server:
        yield server


def tell(here, number, shot=0):
    here.site.events.publish(
        {"kind": "frames", "film": "f", "shot": shot, "key": "k", "made": number}
    )


def wait_for(true, seconds=5):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.01)


def test_every_page_hears_what_any_thread_tells(here):
    with here.call.listen() as one, here.call.listen() as two:
        assert one.getheader("content-type") == "text/event-stream; charset=utf-8"
        assert one.getheader("cache-control") == "no-store"
        thread = threading.Thread(target=tell, args=(here, 7))
        thread.start()
        thread.join()
        for stream in (one, two):
            assert next_event(stream)[1]["made"] == 7


def test_events_come_in_order_with_rising_ids(here):
    with here.call.listen() as stream:
        for number in range(50):
            tell(here, number, shot=number)
        heard = [next_event(stream) for _ in range(50)]
    assert [event["shot"] for _, event in heard] == list(range(50))
    numbers = [int(name.partition("-")[2]) for name, _ in heard]
    assert numbers == list(range(1, 51))


def test_a_page_that_comes_back_hears_what_it_missed(here):
    with here.call.listen() as stream:
        tell(here, 1, shot=1)
        last, _ = next_event(stream)
    tell(here, 2, shot=2)
    tell(here, 3, shot=3)
    tell(here, 4, shot=3)
    with here.call.listen(**{"Last-Event-ID": last}) as stream:
        assert [next_event(stream)[1]["made"] for _ in range(2)] == [2, 4]


def test_a_new_page_remembers_where_it_began(here):
    tell(here, 1)
    with here.call.listen() as stream:
        assert stream.readline() == b"retry: 2000\n"
        assert stream.readline() == f"id: {here.site.events.run}-1\n".encode()
    tell(here, 2)
    with here.call.listen(**{"Last-Event-ID": f"{here.site.events.run}-1"}) as stream:
        assert next_event(stream)[1]["made"] == 2


@pytest.mark.parametrize("last", ["00000000-1", "nonsense", "RUN-99", "RUN-0", "\xff"])
def test_a_page_that_missed_too_much_is_told_to_read_everything(here, monkeypatch, last):
    monkeypatch.setattr(here.site.events, "_kept", module.deque(maxlen=2))
    for number in range(5):
        tell(here, number, shot=number)
    last = last.replace("RUN", here.site.events.run)
    with here.call.listen(**{"Last-Event-ID": last}) as stream:
        assert next_event(stream)[1] == {"kind": "refresh"}
        tell(here, 9)
        assert next_event(stream)[1]["made"] == 9


def test_an_id_that_is_just_kept_needs_no_refresh(here, monkeypatch):
    monkeypatch.setattr(here.site.events, "_kept", module.deque(maxlen=2))
    for number in range(5):
        tell(here, number, shot=number)
    with here.call.listen(**{"Last-Event-ID": f"{here.site.events.run}-3"}) as stream:
        assert [next_event(stream)[1]["made"] for _ in range(2)] == [3, 4]


def test_something_is_said_now_and_then(here):
    here.site.events.heartbeat_s = 0.1
    with here.call.listen() as stream:
        lines = [stream.readline() for _ in range(6)]
    assert lines.count(b": still here\n") >= 1


def test_a_closed_tab_frees_its_place(here, monkeypatch):
    monkeypatch.setattr(module, "_MOST_OF_ONE", 2)
    for _ in range(6):
        with here.call.listen() as one, here.call.listen() as two:
            assert (one.status, two.status) == (200, 200)
            full = here.call.get("/api/events")
            assert full.status == 503
            assert "tabs" in full.json["error"]
            # another browser has places of its own
            with here.call.listen(**{"User-Agent": "another"}) as other:
                assert other.status == 200
        wait_for(lambda: here.site.events.listening == 0)


def test_all_browsers_together_have_a_limit(here, monkeypatch):
    monkeypatch.setattr(module, "_MOST_STREAMS", 1)
    with here.call.listen(**{"User-Agent": "one"}):
        assert here.call.get("/api/events", **{"User-Agent": "two"}).status == 503


def test_asking_without_listening_takes_no_place(here):
    assert here.call.ask("HEAD", "/api/events").status == 200
    assert here.site.events.listening == 0


def test_a_page_that_takes_nothing_is_dropped(here):
    here.site.events.stuck_s = 0.3
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.connect((here.call.host, here.call.port))
    with line:
        line.sendall(b"GET /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        wait_for(lambda: here.site.events.listening == 1)
        number = 0
        end = time.monotonic() + 10
        while here.site.events.listening and time.monotonic() < end:
            for _ in range(100):
                number += 1
                here.site.events.publish({"kind": "thumb", "shot": number, "a": "x" * 2000})
            time.sleep(0.02)
        assert here.site.events.listening == 0
    # nobody else is held up
    with here.call.listen() as stream:
        tell(here, 5)
        assert next_event(stream)[1]["made"] == 5


def test_streams_end_with_the_server(here):
    with here.call.listen() as stream:
        here.site.events.close()
        rest = stream.read()
        assert b"data" not in rest
    assert here.call.get("/api/events").status == 503


def test_of_two_events_about_the_same_the_newer_is_told():
    async def run():
        events = Events()
        stream = events.open("me", None)
        for number in range(1000):
            events.publish({"kind": "frames", "film": "f", "shot": number % 3, "made": number})
        events.publish({"kind": "job", "id": "a", "state": "running"})
        events.publish({"kind": "job", "id": "b", "state": "running"})
        events.publish({"kind": "job", "id": "a", "state": "done"})
        return [json.loads(text) for _, text in await stream.take(1)]

    heard = asyncio.run(run())
    assert [event.get("made") for event in heard] == [997, 998, 999, None, None]
    assert [event["state"] for event in heard[3:]] == ["running", "done"]


def test_more_than_can_wait_ends_the_stream(monkeypatch):
    monkeypatch.setattr(module, "_MOST_WAITING", 10)

    async def run():
        events = Events()
        stream = events.open("me", None)
        for number in range(10):
            events.publish({"kind": "thumb", "shot": number})
        assert not stream.ended
        events.publish({"kind": "thumb", "shot": 10})
        return stream.ended

    assert asyncio.run(run())


def test_nothing_but_json_is_told():
    with pytest.raises(TypeError):
        Events().publish({"kind": "thumb", "a": b"bytes"})


def test_an_error_before_the_stream_is_an_answer():
    async def run():
        events = Events()
        events.close()
        await EventStream(events)({"type": "http", "headers": []}, None, None)

    with pytest.raises(Refusal):
        asyncio.run(run())
