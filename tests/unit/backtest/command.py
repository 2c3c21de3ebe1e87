"""The command as a person calls it, and a configuration for it."""

import os
import subprocess
import sys

CONFIG = """
site: {name: busan}
machines: [{name: furnace_1, line: heat, class: furnace, label: {ko: 1호 가열로}}]
links:
  - name: plc
    connector: opcua
    url: opc.tcp://127.0.0.1:4840
    machine: furnace_1
    tags:
      - {tag: zone_1, node: 'nsu=urn:plc;s=Zone1', range: [0, 1200], unit: ℃, label: {ko: 1존 온도, en: Zone 1}}
      - {tag: zone_2, node: 'nsu=urn:plc;s=Zone2', unit: ℃, label: {ko: 2존 온도, en: Zone 2}}
      - {tag: zone_3, node: 'nsu=urn:plc;s=Zone3', unit: ℃, label: {ko: 3존 온도, en: Zone 3}}
detection: {engine: numpy, learn_rows: 30, learn_time: 10s}
"""


def command(folder, *words, language="ko"):
    """Runs it in `folder`; gives exit code and what it said."""
    environment = os.environ | {"TZ": "Asia/Seoul", "EDGE_AGENT_LANGUAGE": language, "PYTHONUTF8": "1"}
    called = [sys.executable, "-m", "edge_agent", "backtest", *words]
    done = subprocess.run(called, cwd=folder, env=environment, capture_output=True, text=True, timeout=50, check=False)
    return done.returncode, done.stdout, done.stderr
