"""The house's own rules, checked on the sources."""

import ast
import importlib.metadata
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import analytics
import connectors
import edge_agent
import edge_agent.api

ROOMS = [Path(package.__file__).parent for package in (edge_agent, connectors, analytics) if package.__file__]
OURS = ("edge_agent", "connectors", "analytics")


def sources(*, plant: bool = False) -> Iterator[Path]:
    for room in ROOMS:
        for path in sorted(room.rglob("*.py")):
            if plant or "plant" not in path.parts:
                yield path


@pytest.mark.parametrize("package", OURS)
def test_no_other_distribution_ships_our_package_names(package: str) -> None:
    owners = set(importlib.metadata.packages_distributions().get(package, ["root-edge-agent"]))
    assert owners == {"root-edge-agent"}


def test_the_distribution_can_never_be_uploaded() -> None:
    classifiers = importlib.metadata.metadata("root-edge-agent").get_all("Classifier") or []
    assert "Private :: Do Not Upload" in classifiers


FORBIDDEN_TOWARDS_MACHINES = re.compile(
    r"write_coil|write_register|write_registers|write_coils|mask_write|WriteRequest|write_value|write_attribute"
    r"|set_value\(|set_writable|call_method|CallRequest|AddNodesRequest|DeleteNodesRequest|HistoryUpdate"
)


def test_nothing_outside_the_plant_can_write_to_a_machine() -> None:
    found = [f"{p}: {m.group()}" for p in sources() for m in FORBIDDEN_TOWARDS_MACHINES.finditer(p.read_text("utf-8"))]
    assert not found


def test_modbus_knows_no_function_code_that_writes() -> None:
    from connectors.modbus import identity, point
    from connectors.modbus.address import COILS, DISCRETE_INPUTS, HOLDING_REGISTERS, INPUT_REGISTERS
    from connectors.modbus.plan import Block

    codes = (COILS, DISCRETE_INPUTS, HOLDING_REGISTERS, INPUT_REGISTERS)
    assert codes == (1, 2, 3, 4)
    assert {Block(point.Span(code, 0, 1), 0).request(1)[5] for code in codes} == set(codes)
    assert (identity.DEVICE_IDENTIFICATION, identity.REPORT_SERVER_ID) == (43, 17)
    room = next(path for path in ROOMS if path.name == "connectors") / "modbus"
    pattern = re.compile(r"^(from|import) pymodbus", re.MULTILINE)
    imports = [path.name for path in room.glob("*.py") if pattern.search(path.read_text("utf-8"))]
    assert imports == ["adapter.py"]


def test_broad_handlers_stand_only_where_the_house_allows_them() -> None:
    supervisors = {"supervise.py", "deliver.py", "score.py"}  # of links, sinks and detection
    carrier = {"worker.py"}  # handles nothing: carries it from the thread to where the result is waited for
    allowed = supervisors | carrier | {"__init__.py"}  # the CLI's last line
    found = [
        f"{path.name}:{node.lineno}"
        for path in sources(plant=True)
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ExceptHandler)
        and _is_broad(node.type)
        and not _raises_again(node)
        and path.name not in allowed
    ]
    assert not found


def _raises_again(handler: ast.ExceptHandler) -> bool:
    return isinstance(handler.body[-1], ast.Raise) and handler.body[-1].exc is None


def _is_broad(kind: ast.expr | None) -> bool:
    return kind is None or (isinstance(kind, ast.Name) and kind.id in {"Exception", "BaseException"})


def test_every_exception_to_a_checker_gives_its_reason() -> None:
    bare = re.compile(r"#\s*(?:noqa(?::\s*[A-Z0-9, ]+)?|type:\s*ignore(?:\[[a-z, -]+\])?)\s*$", re.MULTILINE)
    found = [f"{p}: {m.group()}" for p in sources(plant=True) for m in bare.finditer(p.read_text("utf-8"))]
    assert not found


def test_every_module_says_what_it_is() -> None:
    silent = [str(p) for p in sources(plant=True) if not ast.get_docstring(ast.parse(p.read_text("utf-8")))]
    assert not silent


def test_no_file_holds_more_than_one_noun_can_need() -> None:
    catalogues = {"words.py"}  # sentences in two languages: data, however long
    lengths = {str(p): len(p.read_text("utf-8").splitlines()) for p in sources(plant=True) if p.name not in catalogues}
    assert not {path: lines for path, lines in lengths.items() if lines > 500}


def test_the_public_surface_is_what_it_says() -> None:
    for name in edge_agent.api.__all__:
        assert hasattr(edge_agent.api, name), name
    assert len(edge_agent.api.__all__) == len(set(edge_agent.api.__all__))


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv=['edge-agent','--help']\n"
        "from edge_agent.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy={'numba','numpy','asyncua','pymodbus','influxdb_client','rich','paho','pydantic','urllib3','structlog'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert "HEAVY []" in done.stdout
    for command in (
        "run",
        "check",
        "alarms",
        "journal",
        "modbus",
        "opcua",
        "hub",
        "demo",
        "simulate",
        "backtest",
        "status",
        "warmup",
        "version",
    ):
        assert re.search(rf"^\s+{command}\s", done.stdout, re.MULTILINE)
