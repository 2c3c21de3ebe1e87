"""First contact as an installer meets it: the agent's own words, its one command, and values within seconds."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from tests.real.rig import all_good, config, finish, link, log, plc, run_command, start


def test_the_command_that_the_running_agent_names_makes_it_connect(tmp_path: Path, uafast: Any) -> None:
    server = uafast(n=2, period_ms=100)
    secured = plc(server.url, {"secured": server.node_id(0)}, "secured", security={})
    weak = plc(server.url, {"weak": server.node_id(1)}, "weak")
    agent = start(tmp_path, config([secured, weak]))
    met = agent.until(
        "first contact", lambda s: "trust accept" in str(link(s, "secured")["error"]) and all_good("weak")(s)
    )
    assert link(met, "secured")["insecure"] is None
    assert link(met, "weak")["insecure"]["en"] == "INSECURE (None): loopback"
    shown = run_command(agent, "status", str(agent.config), "-l", "en").stdout
    assert "weak: INSECURE (None): loopback" in shown
    line = link(met, "secured")["error"]["en"].partition("this accepts it: ")[2]
    done = subprocess.run(line, shell=True, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    agent.until("values", all_good())
    finish(agent)
    assert len(log(agent, "link_up")) == 2
