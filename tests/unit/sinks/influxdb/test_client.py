"""The sink against a hub that misbehaves in every way: nothing is lost, nothing good is quarantined."""

import dataclasses
import math
import random
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from edge_agent.api import (
    NotConnected,
    Overloaded,
    ProtocolError,
    Refused,
    Secret,
    Status,
    SystemClock,
    TimedOut,
)
from edge_agent.sinks.influxdb.client import InfluxDbSink
from tests.unit.sinks.influxdb import hub as hubs
from tests.unit.sinks.influxdb.hub import FaultyHub
from tests.unit.sinks.influxdb.rows import T0, batch_of, event_of, scan, section_of, tag_table

pytestmark = pytest.mark.anyio

BAD = int(Status.BAD_SENSOR_FAILURE)
MS = 1_000_000


@pytest.fixture
def hub() -> Iterator[FaultyHub]:
    with FaultyHub() as hub:
        yield hub


@pytest.fixture
def token(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(hubs.TOKEN + "\n")
    return file


@pytest.fixture
async def sink(hub: FaultyHub, token: Path) -> AsyncIterator[InfluxDbSink]:
    sink = sink_to(hub.url, token)
    yield sink
    sink.close()


def sink_to(url: str, token: Path | Secret, **more: object) -> InfluxDbSink:
    facts = {"timeout": "2s", "encoder": "python"} | more
    return InfluxDbSink(section_of(url, token, **facts), SystemClock())


def data(hub: FaultyHub) -> int:
    return hub.count("furnace") + hub.count("press")


def rows_of(answer) -> list[int]:
    return sorted(row for refusal in answer.refused for row in refusal.rows)


async def test_everything_arrives_and_twice_is_once(hub, sink):
    batch = dataclasses.replace(scan(1000), events=(event_of(),))
    answer = sink.write(batch)
    assert (answer.refused, answer.dropped) == ([], {})
    assert data(hub) == 1000
    assert hub.values("furnace", "zone_0") == {(T0 // MS + i * 100): f"{i * 5 + 0.5:g}" for i in range(200)}
    assert hub.count("quality") == 10
    before = dict(hub.points)
    sink.write(batch)
    assert hub.points == before
    assert hub.connections == 1
    assert hub.paths[0] == "/api/v2/write?org=factory&bucket=line&precision=ms"


async def test_an_empty_batch_asks_nothing_of_the_hub(hub, sink):
    assert (sink.write(batch_of())).dropped == {}
    assert hub.requests == 0


async def test_large_batches_are_cut(hub, token):
    sink = sink_to(hub.url, token, max_batch_rows=100)
    sink.write(scan(1000))
    assert hub.requests == 11  # 1,000 values and 5 statuses
    assert data(hub) == 1000
    sink.close()


@pytest.mark.parametrize("partial", [True, False])
async def test_one_poison_row_stands_alone(hub, sink, partial):
    n, poison = 5000, "1234.5"
    hub.partial = partial
    hub.poison = lambda point: poison in point.fields.values()
    answer = sink.write(scan(n))
    assert rows_of(answer) == [1234]
    assert "field type conflict" in answer.refused[0].reason
    assert data(hub) == n - 1
    assert hub.requests - 1 <= 2 * math.ceil(math.log2(n + 5))


async def test_poison_at_every_position(hub, token):
    hub.message = "unable to parse"
    for position in range(13):
        hub.points.clear()
        hub.poison = lambda point, text=f"{position}.5": text in point.fields.values()
        sink = sink_to(hub.url, token)
        answer = sink.write(scan(13))
        assert rows_of(answer) == [position]
        assert data(hub) == 12
        sink.close()


@pytest.mark.parametrize("partial", [True, False])
async def test_any_set_of_poison_rows_is_found_exactly(hub, token, partial):
    hub.partial = partial
    rng = random.Random(7)
    for _ in range(8):
        hub.points.clear()
        n = rng.randrange(1, 300)
        poison = set(rng.sample(range(n), min(n - 1, rng.randrange(12))))
        hub.poison = lambda point, bad=frozenset(f"{i}.5" for i in poison): not bad.isdisjoint(point.fields.values())
        sink = sink_to(hub.url, token)
        assert set(rows_of(sink.write(scan(n)))) == poison
        assert data(hub) == n - len(poison)
        sink.close()


async def test_a_tag_of_the_wrong_type_costs_few_requests_and_then_one(hub, sink):
    hub.poison = lambda point: "zone_1" in point.fields
    answer = sink.write(scan(5000))
    assert rows_of(answer) == list(range(1, 5000, 5))
    assert data(hub) == 4000
    assert hub.requests <= 1 + 4 * math.ceil(math.log2(5005)), "both ends of the tag's rows are searched for"
    before = hub.requests
    answer = sink.write(scan(100))
    assert rows_of(answer) == list(range(1, 100, 5))
    assert hub.count("quality") == 10
    assert hub.requests == before + 2, "the tag is sent apart from its neighbours"
    hub.poison = lambda point: False
    assert (sink.write(scan(100))).refused == []
    before = hub.requests
    assert (sink.write(scan(100))).refused == []
    assert hub.requests == before + 1, "and joins them again"


async def test_points_beyond_the_retention_are_found_by_time(hub, sink):
    n = 5000
    border = T0 // MS + 100 * 500
    hub.poison = lambda point: point.time < border and point.measurement != "quality"
    hub.message = "points outside retention policy"
    answer = sink.write(scan(n))
    assert rows_of(answer) == list(range(2500))
    assert data(hub) == 2500
    assert hub.requests <= 4 * math.ceil(math.log2(n))


async def test_a_poison_status_and_a_poison_event(hub, sink):
    hub.poison = lambda point: point.measurement in ("quality", "event")
    hub.message = "no such measurement"
    batch = dataclasses.replace(batch_of((0, 0, 1.0), (1, 0, None, BAD)), events=(event_of(),))
    answer = sink.write(batch)
    assert rows_of(answer) == [0, 1]
    assert [r.reason.split(":")[0] for r in answer.refused if not r.rows] == ["event e1"]
    hub.poison = lambda point: False
    hub.points.clear()
    sink.write(batch_of((0, 1, 1.0), (1, 1, None, BAD)))
    assert hub.count("quality") == 4, "refused statuses were not noted as told"


async def test_each_row_is_accounted_for_once(hub, sink):
    """Value and status of a row both poison; status of a row poison whose value has no place anyway."""
    uncertain = int(Status.UNCERTAIN_LAST_USABLE_VALUE)
    hub.poison = lambda point: point.measurement == "quality" or "zone_0" in point.fields
    answer = sink.write(batch_of((0, 0, 1.0), (1, 0, 5.0, uncertain), (2, 0.1, 1.0), (2, 0.2, 2.0), (3, 0, 1.0)))
    assert [row for refusal in answer.refused for row in refusal.rows] == rows_of(answer) == [0, 4]
    assert answer.dropped == {"uncertain": 1, "superseded": 1}
    assert sorted(r.reason.split(":")[0] for r in answer.refused if not r.rows) == [
        "status of siheung/line1/furnace1/zone_1",
        "status of siheung/line1/furnace1/zone_2",
    ]


async def test_a_hub_that_refuses_every_row_is_not_believed(hub, sink):
    hub.always = hubs.answer(400, {"message": "precision not supported"})
    with pytest.raises(Refused, match="every single row"):
        sink.write(scan(5000))
    assert hub.requests < 200
    hub.always = None
    assert (sink.write(scan(5000))).refused == []
    assert data(hub) == 5000


async def test_413_splits_and_the_size_is_remembered(hub, sink):
    hub.most_bytes = 30_000
    assert (sink.write(scan(5000))).refused == []
    assert data(hub) == 5000
    hub.points.clear()
    before, stored = hub.requests, len(hub.bodies)
    assert (sink.write(scan(5000))).refused == []
    assert data(hub) == 5000
    assert hub.requests - before == len(hub.bodies) - stored, "no second 413"


async def test_413_before_the_body_was_read(hub, sink):
    hub.next.append(hubs.answer_early(413))
    assert (sink.write(scan(5000))).refused == []
    assert data(hub) == 5000


async def test_a_single_row_that_is_too_large_stands_alone(hub, sink):
    hub.most_bytes = 20_000
    answer = sink.write(batch_of((0, 0, 1.0), (1, 0, "x" * 30_000), (2, 0, 2.0)))
    assert rows_of(answer) == [1]
    assert data(hub) == 2
    assert (sink.write(scan(100))).refused == []


ERRORS = [
    (hubs.answer(401, {"message": "unauthorized access"}), Refused, "does not know this token"),
    (hubs.answer(403, {"message": "insufficient permissions"}), Refused, "may not write"),
    (hubs.answer(404, {"message": 'bucket "line" not found'}), Refused, 'bucket "line" not found'),
    (hubs.answer(429, Retry_After="7"), Overloaded, "429"),
    (hubs.answer(503, Retry_After="soon"), Overloaded, "503"),
    (hubs.answer(500, {"message": "disk full"}), Overloaded, "disk full"),
    (hubs.answer(302, Location="https://login.example/"), Refused, "https://login.example/"),
    (hubs.answer(200, "<html>log in</html>", Content_Type="text/html"), ProtocolError, "not InfluxDB"),
    (hubs.say(b"SSH-2.0-OpenSSH_9.2\r\n"), ProtocolError, "not HTTP"),
    (hubs.say(b"HTTP/1.1 204 No Content\r\n" + b"X: y\r\n" * 20_000 + b"\r\n"), ProtocolError, "not HTTP"),
    (hubs.say(b"HTTP/1.1 400 Bad\r\nContent-Length: 100\r\n\r\nshort"), ProtocolError, "broke off"),
    (hubs.say(b"HTTP/1.1 204"), ProtocolError, "broke off"),
    (hubs.say(b"HTTP/1.1 204 No Content\r\n"), ProtocolError, "broke off"),
    (hubs.say(b"HTTP/1.1 204 No Content\r\nX-Influxdb-Version: 2.9\r\n"), ProtocolError, "broke off"),
    (hubs.say(b"HTTP/1.1 204 No Content\r\nX-Influxdb-Ver"), ProtocolError, "broke off"),
    (hubs.say(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"), ProtocolError, "broke off"),
    (hubs.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"), ProtocolError, "broke off"),
    (hubs.answer(400, "Client sent an HTTP request to an HTTPS server.\n"), ProtocolError, "HTTPS only"),
    (hubs.reset, NotConnected, "closed the connection"),
    (hubs.hang_up, NotConnected, "closed the connection"),
]


@pytest.mark.parametrize(("behaviour", "error", "words"), ERRORS)
async def test_every_other_answer_keeps_everything(hub, sink, behaviour, error, words):
    hub.always = behaviour
    batch = dataclasses.replace(batch_of((0, 0, 1.0), (1, 0, None, BAD), (2, 0, "on")), events=(event_of(),))
    with pytest.raises(error, match=words) as caught:
        sink.write(batch)
    assert type(caught.value) is error
    assert caught.value.cause.ko
    assert hub.points == {}
    hub.always = None
    assert (sink.write(batch)).refused == []
    assert (data(hub), hub.count("quality"), len([k for k in hub.points if k[0] == "event"])) == (1, 6, 2)


async def test_retry_after_is_passed_on(hub, sink):
    hub.next.append(hubs.answer(429, Retry_After="7"))
    with pytest.raises(Overloaded) as caught:
        sink.write(scan(10))
    assert caught.value.retry_after == 7.0


async def test_a_failure_in_the_middle_repeats_everything_without_harm(hub, token):
    sink = sink_to(hub.url, token, max_batch_rows=100)
    hub.next += [hub.store, hub.store, hubs.answer(503)]
    with pytest.raises(Overloaded):
        sink.write(scan(1000))
    assert data(hub) == 200
    answer = sink.write(scan(1000))
    assert (answer.refused, answer.dropped) == ([], {})
    assert (data(hub), hub.count("quality")) == (1000, 10)
    sink.close()


@pytest.mark.parametrize("silence", ["stall", "drip"])
async def test_a_hub_that_falls_silent_is_given_up_in_time(hub, token, silence):
    sink = sink_to(hub.url, token, timeout="1s")
    hub.always = getattr(hub, silence)
    threads, began = threading.active_count(), time.monotonic()
    with pytest.raises(TimedOut):
        sink.write(scan(1000))
    assert time.monotonic() - began < 20, "of a drip a minute long"
    hub.always = None
    assert (sink.write(scan(1000))).refused == []
    assert data(hub) == 1000
    assert hub.requests > 2, "smaller pieces after a time-out"
    assert threading.active_count() <= threads + 4
    sink.close()


async def test_a_slow_line_gets_pieces_that_fit(hub, token):
    sink = sink_to(hub.url, token, timeout="150ms")
    hub.always = hub.slow
    tries = 0
    while data(hub) < 5000:
        tries += 1
        assert tries < 40
        try:
            answer = sink.write(scan(5000))
        except TimedOut:
            continue
    assert (answer.refused, answer.dropped) == ([], {})
    sink.close()


async def test_a_closed_idle_connection_costs_nothing(hub, sink):
    sink.write(scan(10))
    hub.next.append(hubs.hang_up)
    assert (sink.write(scan(20))).refused == []
    assert data(hub) == 20


async def test_nobody_there(token):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    sink = sink_to(url, token)
    with pytest.raises(NotConnected):
        sink.write(scan(10))
    sink.close()


async def test_a_name_that_does_not_resolve(token):
    sink = sink_to("https://hub.invalid", token)
    with pytest.raises(NotConnected):
        sink.write(scan(10))
    sink.close()


async def test_a_new_token_is_taken_up_without_a_restart(hub, sink, token):
    sink.write(scan(10))
    hub.token = "a-new-one"
    with pytest.raises(Refused):
        sink.write(scan(20))
    token.write_text("a-new-one")
    assert (sink.write(scan(20))).refused == []
    assert data(hub) == 20


@pytest.mark.parametrize(
    ("content", "words"), [(None, "cannot be read"), ("", "empty"), ("two words", "one word"), ("토큰", "ASCII")]
)
async def test_a_token_that_is_not_there_is_said(hub, tmp_path, content, words):
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content)
    sink = sink_to(hub.url, file)
    with pytest.raises(Refused, match=words) as caught:
        sink.write(scan(10))
    assert str(file) in str(caught.value)
    assert hub.requests == 0
    sink.close()


async def test_tokens_from_environment_and_credentials(hub, tmp_path, monkeypatch):
    (tmp_path / "hub-token").write_text(hubs.TOKEN)
    monkeypatch.setenv("HUB_TOKEN", hubs.TOKEN)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    for secret in (Secret(env="HUB_TOKEN"), Secret(credential="hub-token")):
        sink = sink_to(hub.url, secret)
        assert (sink.write(scan(10))).refused == []
        sink.close()


async def test_errors_never_hold_the_token(hub, sink):
    for behaviour, error, _ in ERRORS:
        hub.always = behaviour
        with pytest.raises(error) as caught:
            sink.write(scan(10))
        assert hubs.TOKEN not in caught.value.in_language("ko") + str(caught.value) + repr(caught.value)


async def test_a_new_tag_table_keeps_what_was_told(hub, sink):
    sink.write(batch_of((0, 0, 1.0), (3, 0, 2.0), tags=tag_table(3, 2)))
    sink.write(batch_of((0, 1, 1.0), (1, 1, 2.0), (2, 1, 2.0), tags=tag_table(1, 2)))
    assert data(hub) == 5
    assert hub.values("press", "force_0") == {T0 // MS: "2", T0 // MS + 1: "2"}
    assert hub.count("quality") == 6, "force_1 is new, zone_0 and force_0 are not"


@pytest.fixture(scope="module")
def pki(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    hubs.make_certificate(folder / "good", "127.0.0.1")
    hubs.make_certificate(folder / "other", "127.0.0.2")
    return folder


async def test_a_private_ca_is_trusted_by_its_file(pki, token):
    with hubs.TlsHub(pki / "good") as hub:
        sink = sink_to(hub.url, token, ca_file=str(pki / "good.crt"))
        assert (sink.write(scan(10))).refused == []
        sink.close()


@pytest.mark.parametrize(
    ("server", "ca", "words"),
    [("good", None, "self-signed"), ("good", "other", "self-signed"), ("other", "other", "mismatch")],
)
async def test_an_untrusted_certificate_is_refused(pki, token, server, ca, words):
    with hubs.TlsHub(pki / server) as hub:
        sink = sink_to(hub.url, token, **({"ca_file": str(pki / f"{ca}.crt")} if ca else {}))
        with pytest.raises(Refused, match=words):
            sink.write(scan(10))
        sink.close()


async def test_a_plain_server_behind_https_is_said(hub, token):
    sink = sink_to(hub.url.replace("http:", "https:"), token)
    with pytest.raises(ProtocolError, match="TLS"):
        sink.write(scan(10))
    sink.close()


async def test_a_missing_ca_file_is_said(tmp_path, token):
    sink = sink_to("https://127.0.0.1:1", token, ca_file=str(tmp_path / "no.pem"))
    with pytest.raises(Refused, match=r"no\.pem"):
        sink.write(scan(10))
    sink.close()
