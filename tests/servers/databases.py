"""The databases a hub runs, as processes of their own with their own data: InfluxDB 2 and 1, and VictoriaMetrics.

All have ``url, org, bucket, token`` for a sink's configuration, and survive ``stop``/``kill`` and ``start`` with the
same port and data. ``with InfluxDB(folder) as hub:`` starts and ends one.
"""

from __future__ import annotations

import copy
import io
import itertools
import json
import signal
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any, Self

from tests.servers import cache
from tests.servers.process import ServerFailed, ServerProcess, free_port

_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_UNREACHABLE = (urllib.error.URLError, HTTPException, OSError)


class Database:
    """What both have in common: one process, one port, one folder of data."""

    name: str
    org = ""
    bucket = ""
    token = ""
    health = "/health"

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = ServerProcess(self.name, self._command(), folder, ready=self._is_ready)

    def _command(self) -> list[str | Path]:
        raise NotImplementedError

    def _is_ready(self) -> Mapping[str, Any] | None:
        try:
            self.call("GET", self.health, deadline_s=2.0)
        except _UNREACHABLE:
            return None
        return {"url": self.url}

    @property
    def pid(self) -> int:
        return self.process.pid

    def start(self, deadline_s: float = 45.0) -> Self:
        """Start the server, again on the same port and data if it ran before, and wait until it answers."""
        self.process.start(deadline_s)
        return self

    def stop(self) -> None:
        """End it as an administrator would."""
        self.process.stop(deadline_s=20.0)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        deadline_s: float = 30.0,
    ) -> bytes:
        """One HTTP request; answers the body.

        :raises urllib.error.HTTPError: for an answer of 400 and up.
        """
        url = f"{self.url}{path}?{urllib.parse.urlencode(query)}" if query else f"{self.url}{path}"
        request = urllib.request.Request(url, data=body, method=method, headers=dict(headers or {}))
        if self.token:
            request.add_header("Authorization", f"Token {self.token}")
        try:
            with _opener.open(request, timeout=deadline_s) as response:
                answer: bytes = response.read()
        except urllib.error.HTTPError as error:
            with error:  # it holds the socket
                said = error.read()
            raise urllib.error.HTTPError(url, error.code, error.msg, error.headers, io.BytesIO(said)) from None
        return answer

    def write(self, lines: str, precision: str = "ns") -> None:
        """Write line protocol through ``/api/v2/write``."""
        where = {"org": self.org, "bucket": self.bucket, "precision": precision}
        self.call("POST", "/api/v2/write", where, lines.encode())


class _Influxql(Database):
    """What answers InfluxQL."""

    def _ask(self, question: str, bucket: str) -> Any:
        raise NotImplementedError

    def query_influxql(self, query: str, bucket: str | None = None) -> list[dict[str, Any]]:
        """The rows of an InfluxQL query, times as integer ns; the tags of a GROUP BY are columns too.

        :raises ServerFailed: with the database's words, if it refuses the query.
        """
        rows: list[dict[str, Any]] = []
        for result in self._ask(query, bucket or self.bucket)["results"]:
            if "error" in result:
                raise ServerFailed(f"{query}: {result['error']}")
            for series in result.get("series", []):
                tags = series.get("tags", {})
                rows += [dict(zip(series["columns"], row, strict=True)) | tags for row in series["values"]]
        return rows

    def count(self, measurement: str, bucket: str | None = None) -> int:
        """How many values a measurement holds, over all series and fields."""
        rows = self.query_influxql(f'SELECT COUNT(*) FROM "{measurement}"', bucket)
        return sum(n for row in rows for name, n in row.items() if name != "time")

    def measurements(self, bucket: str | None = None) -> list[str]:
        return sorted(row["name"] for row in self.query_influxql("SHOW MEASUREMENTS", bucket))


_NUMBERS = itertools.count(1)


class InfluxDB(_Influxql):
    """A real InfluxDB 2, set up with one organisation, one bucket that keeps everything, and one token.

    :raises MissingService: when it was not built.
    """

    name = "influxdb"
    org = "factory"
    bucket = "line"
    token = "token-of-the-tests"

    def _command(self) -> list[str | Path]:
        return [
            cache.built("influxdb"),
            f"--http-bind-address=127.0.0.1:{self.port}",
            f"--bolt-path={self.folder / 'influxd.bolt'}",
            f"--sqlite-path={self.folder / 'influxd.sqlite'}",
            f"--engine-path={self.folder / 'engine'}",
            "--reporting-disabled",
            "--log-level=error",
        ]

    def start(self, deadline_s: float = 45.0) -> Self:
        super().start(deadline_s)
        if json.loads(self.call("GET", "/api/v2/setup"))["allowed"]:
            self._set_up()
        return self

    def emptied(self) -> Self:
        """The same server for the next test: running, its bucket new and empty; changed settings stay with the test.

        The bucket has another name: what the last test's sink had sent to a frozen server is written once it goes on.
        """
        if not self.process.running:
            self.start()
        self.process.signal(signal.SIGCONT)
        found = json.loads(self.call("GET", "/api/v2/buckets", {"name": self.bucket}))["buckets"]
        self.call("DELETE", f"/api/v2/buckets/{found[0]['id']}")
        self.bucket = f"line{next(_NUMBERS)}"
        self.make_bucket(self.bucket)
        return copy.copy(self)

    def make_bucket(self, name: str) -> None:
        """A bucket that keeps everything."""
        org = json.loads(self.call("GET", "/api/v2/orgs"))["orgs"][0]["id"]
        wanted = {"orgID": org, "name": name, "retentionRules": []}
        self.call("POST", "/api/v2/buckets", body=json.dumps(wanted).encode())

    def _set_up(self) -> None:
        wanted = {
            "username": "admin",
            "password": "password-of-the-tests",
            "org": self.org,
            "bucket": self.bucket,
            "token": self.token,
            "retentionPeriodSeconds": 0,
        }
        json_body = {"Content-Type": "application/json"}
        self.call("POST", "/api/v2/setup", body=json.dumps(wanted).encode(), headers=json_body)

    def _ask(self, question: str, bucket: str) -> Any:
        return json.loads(self.call("GET", "/query", {"db": bucket, "q": question, "epoch": "ns"}))


class InfluxDB1(_Influxql):
    """Debian's InfluxDB 1.6.7, with a user who must give his password; `bucket` is the database.

    :raises MissingService: when it is not installed.
    """

    name = "influxdb1"
    bucket = "line"
    user = "writer"
    password = "password of the tests"
    health = "/ping"

    def _command(self) -> list[str | Path]:
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "influxdb.conf"
        config.write_text(
            f"""reporting-disabled = true
bind-address = "127.0.0.1:{free_port()}"
[meta]
dir = "{self.folder}/meta"
[data]
dir = "{self.folder}/data"
wal-dir = "{self.folder}/wal"
query-log-enabled = false
[monitor]
store-enabled = false
[http]
bind-address = "127.0.0.1:{self.port}"
auth-enabled = true
log-enabled = false
[logging]
level = "error"
suppress-logo = true
"""
        )
        return [cache.program("influxd", ".ci/services debian"), "run", "-config", config]

    def start(self, deadline_s: float = 45.0) -> Self:
        super().start(deadline_s)
        self._ask(f"CREATE USER {self.user} WITH PASSWORD '{self.password}' WITH ALL PRIVILEGES", self.bucket)
        self._ask(f'CREATE DATABASE "{self.bucket}"', self.bucket)
        return self

    def _ask(self, question: str, bucket: str) -> Any:
        query = {"db": bucket, "q": question, "epoch": "ns", "u": self.user, "p": self.password}
        return json.loads(self.call("POST", "/query", query))


class VictoriaMetrics(Database):
    """Debian's VictoriaMetrics: accepts InfluxDB's writes, keeps one value a series and millisecond.

    A field is the series ``<measurement>_<field>``.

    :raises MissingService: when it is not installed.
    """

    name = "victoria-metrics"

    def _command(self) -> list[str | Path]:
        return [
            cache.program("victoria-metrics", ".ci/services debian"),
            f"-httpListenAddr=127.0.0.1:{self.port}",
            f"-storageDataPath={self.folder / 'data'}",
            "-retentionPeriod=100y",
            "-dedup.minScrapeInterval=1ms",
            "-memory.allowedBytes=256MB",
            "-loggerLevel=ERROR",
        ]

    def series(self, match: str) -> list[dict[str, Any]]:
        """Every series of a selector (``{__name__="furnace_pv"}``): ``metric``, ``timestamps`` (ms), ``values``."""
        self.call("GET", "/internal/force_flush")
        tomorrow = str(int(time.time()) + 86_400)
        answer = self.call("GET", "/api/v1/export", {"match[]": match, "start": "0", "end": tomorrow})
        return [json.loads(line) for line in answer.splitlines()]

    def count(self, measurement: str) -> int:
        """How many values a measurement holds, over all series and fields."""
        return sum(len(one["values"]) for one in self.series(f'{{__name__=~"{measurement}_.*"}}'))
