"""`./run bench [--json FILE] [CASE …]`: every path measured in one run, beside the plain library loop.

Figures to trust are CPU seconds per million values and their ratio to the library's in the same run; values a second
depend on what else the machine is doing. A case whose server is missing says so and is left out.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.bench import detect, device, encode, fairness, journal, mqtt, restart, resume, rollup, serial
from tests.bench.record import Record
from tests.bench.ways import WAYS
from tests.servers.cache import MissingService

CASES: dict[str, Callable[[Path], list[Record]]] = {
    "journal": journal.bench,
    "encode": encode.bench,
    "detect": detect.bench,
    "mqtt_publish": mqtt.mqtt_publish,
    "rollup": rollup.bench,
    "rtu": serial.bench,
    "modbus_fairness": fairness.bench,
    "opcua_resume": resume.bench,
    "restart": restart.bench,
    **WAYS,
}
LONG: dict[str, Callable[[Path], list[Record]]] = {
    "journal_day": journal.day,
    "journal_device": device.bench,
}
"""Only when named."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="./run bench", description=__doc__)
    parser.add_argument("--json", type=Path, help="write the records to this file")
    parser.add_argument(
        "cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; default all; or {', '.join(LONG)}"
    )
    options = parser.parse_args()
    records: list[Record] = []
    for name in options.cases or CASES:
        with tempfile.TemporaryDirectory(prefix=f"bench-{name}-") as folder:
            try:
                measured = (CASES | LONG)[name](Path(folder))
            except MissingService as missing:
                print(f"{name}: left out, {missing.name} is missing; to get it: {missing.how}", flush=True)
                continue
        for record in measured:
            print(record.line(), flush=True)
        records += measured
    if options.json:
        options.json.write_text(json.dumps([record.as_json() for record in records], indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
