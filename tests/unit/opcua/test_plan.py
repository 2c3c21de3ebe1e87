import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from pydantic import ValidationError

from connectors.opcua import config
from connectors.opcua.config import OpcUaLink
from connectors.opcua.plan import (
    LARGEST_CALL,
    LARGEST_QUEUE,
    make_plan,
    portion,
)
from edge_agent.cli.check import check


def link(*tags, **more):
    section = {
        "name": "plc",
        "connector": "opcua",
        "machine": "press",
        "url": "opc.tcp://127.0.0.1:4840",
        "tags": [{"tag": f"t{k}", "node": f"i={k}"} | dict(tag) for k, tag in enumerate(tags)],
    }
    return OpcUaLink.model_validate(section | more)


def test_handles_follow_the_tag_list_and_numbers_follow_the_handles():
    plan = make_plan(link({}, {}, {}), [5, 3, 9])
    assert [item.handle for item in plan.items] == [0, 1, 2]
    assert [item.node.identifier for item in plan.items] == [0, 1, 2]
    assert plan.numbers.dtype == np.int32
    assert plan.numbers.tolist() == [5, 3, 9]


@pytest.mark.parametrize(
    ("tag", "sampling", "queue"),
    [
        ({"interval": "1s"}, 250.0, 22),  # at most the publishing interval; (0.25 + 5) / 0.25 + 1
        ({"interval": "100ms"}, 50.0, 106),
        ({"sampling": "0s"}, 0.0, 106),  # taken for 50 ms
        ({"sampling": "0s", "interval": "10ms"}, 0.0, 526),
        ({"sampling": "1ms"}, 1.0, LARGEST_QUEUE),
        ({"sampling": "10s"}, 10_000.0, 2),
        ({"interval": "0s"}, 250.0, 22),
        ({"queue": 1}, 250.0, 1),
    ],
)
def test_samples_twice_an_interval_and_keeps_what_an_outage_brings(tag, sampling, queue):
    (item,) = make_plan(link(tag), [0]).items
    assert (item.sampling, item.queue) == (sampling, queue)


def test_keep_alives_and_lifetime_are_counted_in_publishes():
    plan = make_plan(link({}, publishing_interval="500ms", keep_alive="3s"), [0])
    assert (plan.publishing, plan.keep_alive_count, plan.lifetime_count) == (500.0, 6, 120)
    plan = make_plan(link({}, publishing_interval="60s", keep_alive="3s"), [0])
    assert (plan.keep_alive_count, plan.lifetime_count) == (1, 3)


def test_a_call_is_bounded_in_items_and_bytes():
    def sizes(nodes, most):
        items = make_plan(link(*({"node": node} for node in nodes)), range(len(nodes))).items
        position, found = 0, []
        while position < len(items):
            found.append(len(portion(items, position, most)))
            position += found[-1]
        return found

    assert sizes(["i=1"] * 25, 10) == [10, 10, 5]
    long = sizes(["s=" + "온" * 1000] * 50, 1000)
    assert sum(long) == 50
    assert max(long) == LARGEST_CALL // 3046
    assert sizes(["s=" + "x" * 100_000] * 2, 1000) == [1, 1]


def test_tags_without_a_machine_get_the_links():
    tags = link({}, {"machine": "furnace"}).tag_list()
    assert [tag.machine for tag in tags] == ["press", "furnace"]


def test_security_is_on_unless_a_reason_is_written_out():
    assert link({}).security.policy == "best"
    assert link({}).security.mode == "SignAndEncrypt"
    assert link({}).security.choices == ("Aes256_Sha256_RsaPss", "Aes128_Sha256_RsaOaep", "Basic256Sha256")
    assert link({}).insecure() is None
    assert link({}, security={"policy": "Basic256Sha256"}).security.choices == ("Basic256Sha256",)


@pytest.mark.parametrize(
    "weak",
    [{"policy": "None"}, {"policy": "Basic256"}, {"policy": "Basic128Rsa15"}, {"mode": "Sign"}],
)
def test_what_is_weak_needs_a_reason_and_says_it_everywhere(weak):
    with pytest.raises(ValidationError, match="opcua_without_insecure"):
        link({}, security=weak)
    made = link({}, security=weak | {"insecure": "an old PLC"})
    assert made.insecure().en.startswith("INSECURE (")
    assert made.insecure().en.endswith("): an old PLC")
    ((key, cause, _),) = made.cautions()
    assert (key, cause) == ("security", made.insecure())


def test_check_shows_it_in_red_on_a_terminal(tmp_path):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    lines = "site: {name: s}\nmachines: [{name: m, line: l, class: c}]\nlinks:\n"
    lines += "  - {name: plc, connector: opcua, machine: m, url: 'opc.tcp://plc', "
    lines += "security: {mode: Sign, insecure: an old PLC}, tags: [{tag: a, node: i=1}]}\n"
    (tmp_path / "a.yaml").write_text(lines)
    out, plain = Terminal(), io.StringIO()
    assert check(tmp_path / "a.yaml", "en", out) == check(tmp_path / "a.yaml", "en", plain) == 0
    assert "\x1b[1;31m      !  INSECURE (best/Sign): an old PLC\x1b[0m" in out.getvalue()
    assert "\x1b" not in plain.getvalue()
    assert "Enable Basic256Sha256 or better" in plain.getvalue()


def test_a_user_is_a_name_or_a_certificate():
    assert link({}, user={"certificate": "u.pem", "private_key": "u.key"}).user.name is None
    open_channel = {"policy": "None", "insecure": "x"}
    assert link({}, user={"name": "u", "password": {"env": "P"}}, security=open_channel).user.name == "u"


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"url": "opc.tcp://user:secret@host:4840"}, "url"),
        ({"url": "http://host"}, "url"),
        ({"security": {"certificate": "a.pem"}}, "opcua_certificate_and_key"),
        ({"security": {"policy": "Basic99"}}, "policy"),
        ({"security": {"insecure": "to be sure"}}, "opcua_insecure_needless"),
        ({"security": {"policy": "None", "insecure": ""}}, "insecure"),
        ({"user": {"name": "u"}}, "opcua_user_kind"),
        ({"user": {"name": "u", "password": {"env": "P"}, "certificate": "u.pem"}}, "opcua_user_kind"),
        ({"user": {"certificate": "u.pem"}}, "opcua_user_kind"),
        (
            {
                "user": {"certificate": "u.pem", "private_key": "u.key"},
                "security": {"policy": "None", "insecure": "x"},
            },
            "opcua_user_needs_channel",
        ),
        (
            {"user": {"name": "u", "password": {"env": "P"}}, "security": {"mode": "Sign"}},
            "opcua_without_insecure",
        ),
        ({"publishing_interval": "0s"}, "opcua_publishing_interval"),
        ({"keep_alive": "0s"}, "opcua_intervals"),
        ({"tags": []}, "tags"),
        ({"tags": [{"tag": "x", "node": "x"}]}, "opcua_node"),
        ({"user": {"name": "u", "password": "plain"}}, "password"),
    ],
)
def test_refuses(more, word):
    with pytest.raises(ValidationError, match=word):
        link({}, **more)


def test_the_sample_can_be_read_and_shows_the_defaults():
    (section,) = yaml.safe_load((Path(config.__file__).parent / "sample.yaml").read_text("utf-8"))
    sample = OpcUaLink.model_validate(section)
    assert [tag.machine for tag in sample.tag_list()] == ["press1", "press1", "press1"]
    assert sample.tag_list()[0].address.uri == "urn:press:plc"
    shown = {name: section[name] for name in ("publishing_interval", "keep_alive", "timeout", "retry_items")}
    assert link({}, **shown) == link({})
    assert link({}, security=section["security"]) == link({})


def test_reading_the_configuration_loads_no_vendor_library():
    code = (
        "import sys; import connectors.opcua.config; "
        "print({m for m in ('asyncua', 'numba', 'cryptography', 'numpy') if m in sys.modules} - {'numpy'})"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=50)
    assert out.stdout.strip() == "set()"
