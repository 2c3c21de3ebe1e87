"""`edge-agent opcua trust` and `identity`, on a configuration and on a folder."""

import json
import subprocess
import sys
import time

import pytest
from cryptography import x509
from typer.testing import CliRunner

from connectors.opcua.certificate import thumbprint
from connectors.opcua.trust import TrustFolder
from edge_agent.cli.app import app
from edge_agent.errors import Refused
from tests.unit.opcua.papers import key_pem, paper

URL = "opc.tcp://plc:4840"
CONFIG = """
site: {name: site}
machines: [{name: press, line: l1, class: press}]
runtime: {state: state}
links:
  - {name: plc, connector: opcua, machine: press, url: "opc.tcp://plc", tags: [{tag: a, node: i=2258}]}
  - name: robot
    connector: opcua
    machine: press
    url: opc.tcp://robot:4841
    security: {identity: other}
    tags: [{tag: b, node: i=2258}]
"""


def run(*arguments, code=0):
    done = CliRunner().invoke(app, ["opcua", *map(str, arguments), "-l", "en"])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.stdout


@pytest.fixture
def config(tmp_path):
    (tmp_path / "agent.yaml").write_text(CONFIG)
    return tmp_path / "agent.yaml"


@pytest.fixture
def folder(tmp_path):
    return TrustFolder(tmp_path / "state" / "identity" / "opcua")


@pytest.fixture
def waiting(folder):
    return folder.remember(paper().der, URL, time.time_ns())


def test_all_folders_of_a_configuration_are_listed(config, folder, waiting):
    shown = run("trust", "list", config)
    assert f"{folder.root} (plc)" in shown
    assert f"{config.parent}/state/other (robot)" in shown
    assert "no certificates yet" in shown
    assert waiting.thumbprint[:16] in shown
    assert f"opcua trust accept {folder.root} {waiting.thumbprint}" in shown
    (first, second) = json.loads(run("trust", "list", config, "--json"))["folders"]
    assert (first["links"], second["links"], second["certificates"]) == (["plc"], ["robot"], [])
    (told,) = first["certificates"]
    assert (told["state"], told["url"], told["thumbprint"]) == ("pending", URL, waiting.thumbprint)
    assert told["application_uri"] == "urn:plc:server"
    assert told["first_seen_ns"] == waiting.first_seen


def test_a_broken_file_is_named_and_hides_no_other(config, folder, waiting):
    (folder.root / "trusted").mkdir()
    (folder.root / "trusted" / "half.der").write_bytes(b"0")
    shown = run("trust", "list", config)
    assert waiting.thumbprint[:16] in shown
    assert "half.der: it can't be used" in shown.replace("\n", "")
    assert "connects again" in run("trust", "accept", config, "plc")
    (first, _) = json.loads(run("trust", "list", config, "--json"))["folders"]
    assert first["unreadable"] == [str(folder.root / "trusted" / "half.der")]


@pytest.mark.parametrize("which", ["plc", URL, "opc.tcp://plc", "thumbprint"])
def test_shown_accepted_and_rejected_by_any_name(config, folder, waiting, which):
    which = waiting.thumbprint[:10] if which == "thumbprint" else which
    shown = run("trust", "show", config, which)
    for fact in ("urn:plc:server", "pending", URL, "RSA 2048, SHA256", "2026-01-01"):
        assert fact in shown
    assert "connects again within seconds" in run("trust", "accept", config, which)
    assert [entry.state for entry in folder.entries()] == ["trusted"]
    assert "rejected. To take it back" in run("trust", "reject", config, which)
    assert [entry.state for entry in folder.entries()] == ["rejected"]


def test_what_is_not_there_or_not_clear_is_told_with_the_list(config, folder, waiting):
    with pytest.raises(Refused, match=r"no such certificate.*trust list"):
        run("trust", "accept", config, "robot")
    root = paper("root", 1, ca=True)
    folder.accept(waiting)
    (folder.root / "trusted" / "root.json").write_text(json.dumps({"url": URL}))
    (folder.root / "trusted" / "root.der").write_bytes(root.der)
    with pytest.raises(Refused, match="several certificates"):
        run("trust", "show", config, URL)


def test_the_command_in_the_error_runs_word_for_word(folder, waiting):
    """In a shell, as a technician pastes it."""
    from connectors.opcua.trust import command

    line = command("trust accept", folder.root, waiting.thumbprint).removeprefix("sudo ")
    assert line.startswith(sys.prefix)
    done = subprocess.run(line, shell=True, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    assert [entry.state for entry in folder.entries()] == ["trusted"]


def test_the_agents_own_certificate_is_shown_exported_and_renewed(config, folder, tmp_path):
    shown = json.loads(run("identity", "show", config, "--link", "plc", "--json"))["identities"]
    assert shown[0]["links"] == ["plc"]
    run("identity", "export", config, "--link", "plc", "-o", tmp_path / "own.pem")
    cert = x509.load_pem_x509_certificate((tmp_path / "own.pem").read_bytes())
    assert thumbprint(cert) == shown[0]["thumbprint"]
    assert b"PRIVATE" not in (tmp_path / "own.pem").read_bytes()
    run("identity", "export", folder.root, "-o", tmp_path / "own.der")
    assert x509.load_der_x509_certificate((tmp_path / "own.der").read_bytes()) == cert
    assert "identity export" in run("identity", "renew", config, "--link", "plc")
    (after,) = json.loads(run("identity", "show", folder.root, "--json"))["identities"]
    assert after["thumbprint"] != shown[0]["thumbprint"]
    assert after["application_uri"] == shown[0]["application_uri"]
    assert "days left" in run("identity", "show", folder.root)


def test_which_identity_has_to_be_clear(config):
    with pytest.raises(Refused, match="choose one with --link: plc, robot"):
        run("identity", "renew", config)


def test_a_pair_of_the_configuration_is_not_renewed_here(config, tmp_path):
    (tmp_path / "a.pem").write_bytes(paper().pem)
    (tmp_path / "a.key").write_bytes(key_pem(0))
    pair = "security: {identity: other, certificate: a.pem, private_key: a.key}"
    config.write_text(CONFIG.replace("security: {identity: other}", pair))
    with pytest.raises(Refused, match="named in the configuration"):
        run("identity", "renew", config, "--link", "robot")
    assert json.loads(run("identity", "show", config, "--link", "robot", "--json"))["identities"][0]["subject"] == "plc"
