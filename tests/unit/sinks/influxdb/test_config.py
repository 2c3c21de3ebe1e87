"""The section: what is accepted, and that each refusal says cause and cure in both languages."""

import subprocess
import sys

import pytest
from pydantic import ValidationError

from edge_agent.api import Secret
from tests.unit.sinks.influxdb.rows import section_of

TOKEN = Secret(env="HUB_TOKEN")


def test_defaults():
    section = section_of("https://hub.example.kr:8086", TOKEN)
    assert (section.precision, section.timeout, section.encoder) == ("ms", 10.0, "auto")
    assert section.ca_file is None


@pytest.mark.parametrize(
    "url",
    ["https://hub", "https://[2001:db8::1]:8086/influx", "http://127.0.0.1:8086", "http://localhost", "http://[::1]:1"],
)
def test_accepted(url):
    assert section_of(url, TOKEN).url == url


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("http://hub.example.kr:8086", "influxdb_plain_http"),
        ("http://127.0.0.1.example.kr", "influxdb_plain_http"),
        ("ftp://hub", "influxdb_url"),
        ("hub:8086", "influxdb_url"),
        ("https://", "influxdb_url"),
        ("https://hub:99999", "influxdb_url"),
        ("https://hub:port", "influxdb_url"),
        ("https://user:secret@hub", "influxdb_url_parts"),
        ("https://hub/?org=x", "influxdb_url_parts"),
    ],
)
def test_refused_with_cause_and_cure_in_both_languages(url, kind):
    with pytest.raises(ValidationError) as caught:
        section_of(url, TOKEN)
    (fault,) = caught.value.errors()
    assert fault["type"] == kind
    assert all(fault["ctx"][key] for key in ("ko", "en", "cure_ko", "cure_en"))
    assert fault["msg"] == fault["ctx"]["en"]
    assert "secret" not in fault["msg"]


def test_plain_http_to_another_machine_must_be_said():
    assert section_of("http://hub.example.kr", TOKEN, plain_http=True).plain_http


@pytest.mark.parametrize(
    "key", [{"verify": False}, {"insecure": True}, {"precision": "s"}, {"max_batch_rows": 0}, {"timeout": 10}]
)
def test_there_is_no_switch_for_tls_and_no_loose_value(key):
    with pytest.raises(ValidationError):
        section_of("https://hub", TOKEN, **key)


def test_the_section_imports_neither_numba_nor_urllib3():
    code = (
        "import sys, edge_agent.sinks.influxdb.config;"
        "heavy = {'numba', 'urllib3', 'influxdb_client', 'numpy.testing'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


def test_the_sink_imports_no_influxdb_client_and_no_numba():
    code = (
        "import sys, edge_agent.sinks.influxdb.client;"
        "heavy = {'numba', 'influxdb_client'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
