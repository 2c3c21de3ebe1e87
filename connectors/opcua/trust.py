"""Trust: the folder of certificates of others that a person has judged or is to judge (Part 12, 7.8.2).

    trusted/    servers, or CAs, that a person trusts              <- `edge-agent opcua trust accept`
    issuers/    CAs in between, which vouch only where a trusted CA vouches for them
    crl/        revocation lists of those CAs, PEM or DER
    pending/    what servers showed that nobody has judged yet: the last one of each server
    rejected/   what a person refused                              <- `edge-agent opcua trust reject`

Beside a certificate that came over the wire stands `<name>.json`: from which URL, and when it was seen first.
Blocking file work throughout: call it in a worker thread. What root writes here belongs to the folder's owner, so that
the agent, which runs under a user of its own, can read it.
"""

import json
import os
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography import x509

from connectors.opcua import trust_faults
from connectors.opcua.certificate import (
    as_thumbprint,
    chain_of,
    der_of,
    first_of_chain,
    parse,
    sha256,
    subject_of,
    thumbprint,
)
from edge_agent.api import Refused
from edge_agent.replacement import replace

STATES: Final = ("pending", "trusted", "issuers", "rejected")
_KINDS: Final = (".der", ".pem", ".crt", ".cer")
_LISTS: Final = (".crl", ".der", ".pem")
_FILE_MODE: Final = 0o640
_PEOPLE: Final = range(1000, 60_000)
"""User numbers of people; services have others."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One certificate in the folder. `state` is the name of the sub-folder."""

    state: str
    path: Path
    certificate: x509.Certificate
    url: str = ""
    """Where it was shown; empty where a person put the file here."""
    first_seen: int = 0
    """ns since 1970 by the agent's clock; 0 where nobody knows."""

    @property
    def thumbprint(self) -> str:
        """See `certificate.thumbprint`."""
        return thumbprint(self.certificate)


class TrustFolder:
    """The certificates below `root`. Its calls raise Refused for files that can't be read or written."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def entries(self, *states: str) -> list[Entry]:
        """All certificates in these sub-folders, by default in all four."""
        return [entry for state in states or STATES for entry in self._entries(state)]

    def legible(self, *states: str) -> tuple[list[Entry], list[Refused]]:
        """The certificates that can be read, and what is wrong with the other files."""
        found: list[Entry] = []
        broken: list[Refused] = []
        for state in states:
            for path in _files(self.root / state, _KINDS):
                try:
                    found.append(_entry(state, path))
                except Refused as error:
                    broken.append(error)
        return found, broken

    def find(self, which: str) -> list[Entry]:
        """Those whose thumbprint (SHA-1 or SHA-256) begins with `which`, or that were shown at this URL."""
        print_ = as_thumbprint(which)
        return [
            entry
            for entry in self.legible(*STATES)[0]
            if (print_ and (entry.thumbprint.startswith(print_) or sha256(entry.certificate).startswith(print_)))
            or (which and entry.url == which)
        ]

    def revocations(self) -> list[x509.CertificateRevocationList]:
        """The lists in `crl/`."""
        return [_revocation_list(path) for path in _files(self.root / "crl", _LISTS)]

    def remember(self, chain: bytes, url: str, wall: int) -> Entry:
        """Keeps what the server at `url` showed as pending, in place of what it showed before."""
        cert = parse(chain)
        path = self.root / "pending" / f"{_file_name(url)}.der"
        if _holds(path, chain):
            return _entry("pending", path)
        entry = Entry("pending", path, cert, url, wall)
        self._put(entry)
        return entry

    def accept(self, entry: Entry) -> Entry:
        """From now on the server with this certificate is trusted, or all that it vouches for where it is a CA's."""
        return self._move(entry, "trusted")

    def reject(self, entry: Entry) -> Entry:
        """From now on it is neither trusted nor asked about."""
        return self._move(entry, "rejected")

    def _entries(self, state: str) -> Iterator[Entry]:
        return (_entry(state, path) for path in _files(self.root / state, _KINDS))

    def _move(self, entry: Entry, state: str) -> Entry:
        """The new place first, then away with every other copy: a power cut leaves it in two places at worst."""
        name = f"{_file_name(subject_of(entry.certificate))}_{entry.thumbprint[:8]}.der"
        moved = Entry(state, self.root / state / name, entry.certificate, entry.url, entry.first_seen)
        self._put(moved)
        for other in self.legible("pending", "trusted", "rejected")[0]:
            if other.certificate == entry.certificate and other.path != moved.path:
                _remove(other.path)
        return moved

    def _put(self, entry: Entry) -> None:
        facts = {"url": entry.url, "first_seen_ns": entry.first_seen}
        try:
            replace(entry.path.with_suffix(".json"), json.dumps(facts).encode(), _FILE_MODE)
            replace(entry.path, der_of(entry.certificate), _FILE_MODE)
        except OSError as error:
            raise trust_faults.unwritable(str(entry.path), error) from error


def _entry(state: str, path: Path) -> Entry:
    facts = _facts(path)
    return Entry(state, path, _certificate(path), str(facts.get("url", "")), int(facts.get("first_seen_ns", 0)))


def _holds(path: Path, chain: bytes) -> bool:
    """Whether it is there already, whole."""
    try:
        return path.read_bytes() == first_of_chain(chain)
    except OSError:
        return False


def certificates_in(place: Path) -> list[x509.Certificate]:
    """All certificates in a file or in the files of a folder; raises Refused."""
    files = _files(place, _KINDS) if place.is_dir() else [place]
    return [_certificate(path) for path in files]


def _files(folder: Path, kinds: tuple[str, ...]) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix.lower() in kinds and path.is_file())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise trust_faults.unreadable(str(folder), error) from error


def _certificate(path: Path) -> x509.Certificate:
    try:
        return chain_of(path.read_bytes())[0]
    except (OSError, ValueError, IndexError) as error:
        raise trust_faults.unreadable(str(path), error) from error


def _revocation_list(path: Path) -> x509.CertificateRevocationList:
    try:
        data = path.read_bytes()
        return x509.load_pem_x509_crl(data) if b"-----BEGIN" in data else x509.load_der_x509_crl(data)
    except (OSError, ValueError) as error:
        raise trust_faults.unreadable(str(path), error) from error


def _facts(path: Path) -> dict[str, Any]:
    """What stands beside a certificate; it only informs, so that whatever is wrong with it is nothing."""
    try:
        facts = json.loads(path.with_suffix(".json").read_bytes())
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) and isinstance(facts.get("first_seen_ns", 0), int) else {}


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
        path.with_suffix(".json").unlink(missing_ok=True)
    except OSError as error:
        raise trust_faults.unwritable(str(path), error) from error


def _file_name(text: str) -> str:
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in text.removeprefix("opc.tcp://"))[:80]


def command(verb: str, root: Path, *words: str) -> str:
    """A command line of ours about this folder, as it can be typed on this machine."""
    script = Path(sys.executable).with_name("edge-agent")
    program = str(script) if script.exists() else "edge-agent"
    sudo = () if os.geteuid() == 0 or os.geteuid() in _PEOPLE else ("sudo",)
    return shlex.join((*sudo, program, "opcua", *verb.split(), str(root.absolute()), *words))
