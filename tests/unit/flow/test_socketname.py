"""A socket below a deep folder can be bound and reached."""

import socket
from pathlib import Path

from edge_agent.socketname import LONGEST, short_name


def test_a_socket_in_a_deep_folder(tmp_path: Path) -> None:
    deep = tmp_path / ("a" * 60) / ("b" * 60)
    deep.mkdir(parents=True)
    path = deep / "status.sock"
    assert len(str(path)) > LONGEST
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        with short_name(path) as name:
            server.bind(name)
        server.listen(1)
        assert path.is_socket()
        with short_name(path) as name:
            client.connect(name)


def test_a_short_path_is_its_own_name(tmp_path: Path) -> None:
    with short_name(Path("/run/x.sock")) as name:
        assert name == "/run/x.sock"
