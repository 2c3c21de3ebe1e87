"""Questions in InfluxQL, which InfluxDB 1.8, 2 and 3 all answer: for reading back what the sink wrote.

https://docs.influxdata.com/influxdb/v1/tools/api/#query-http-endpoint; version 2 finds a bucket by its own name there
(https://docs.influxdata.com/influxdb/v2/api-guide/influxdb-1x/query/). Never on the data's road.
"""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, Timeout
from urllib3.exceptions import HTTPError

from edge_agent.api import Refused, Words
from edge_agent.sinks.influxdb.config import HubSection, InfluxDb1Section, InfluxDbSection
from edge_agent.sinks.influxdb.faults import tls_context, translated
from edge_agent.sinks.influxdb.reply import Reply, Verdict, judge
from edge_agent.sinks.influxdb.secret import authorization


@dataclass(frozen=True, slots=True)
class Series:
    """One series of an answer; `rows` as JSON has them, the first column is the time in ns since 1970 UTC."""

    tags: dict[str, str]
    columns: list[str]
    rows: list[list[Any]]


class HubQuery:
    """Asks the database of one sink, with the sink's own proof or another token that may read."""

    def __init__(self, section: HubSection, token: str = "") -> None:
        """`token` takes the place of the sink's, which may be allowed to write only. Opens nothing yet."""
        self.name = f"{section.url} ({section.place})"
        url = urlsplit(section.url)
        self._path = quote(url.path.rstrip("/")) + "/query"
        self._fields = {"epoch": "ns", "db": _database(section)}
        if isinstance(section, InfluxDb1Section) and section.policy:
            self._fields["rp"] = section.policy
        proof = authorization(section, self.name) if not token else f"{_scheme(section)} {token}"
        form = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        self._headers = form | ({} if proof is None else {"Authorization": proof})
        timeout = Timeout(section.timeout, read=max(section.timeout, 60.0))
        host, port = url.hostname or "", url.port
        self._pool: HTTPConnectionPool
        if url.scheme == "http":
            self._pool = HTTPConnectionPool(host, port or 80, timeout=timeout, maxsize=1)
        else:
            context = tls_context(section.ca_file, section.crl_file)
            self._pool = HTTPSConnectionPool(host, port or 443, timeout=timeout, maxsize=1, ssl_context=context)

    def ask(self, query: str) -> list[Series]:
        """The series of one statement's answer. Raises the errors that a sink raises."""
        try:
            body = urlencode(self._fields | {"q": query})
            answer = self._pool.urlopen("POST", self._path, body, self._headers, retries=False, redirect=False)
        except (HTTPError, OSError) as error:
            raise translated("ask", self.name, error) from error
        reply = Reply(answer.status, {key.lower(): value for key, value in answer.headers.items()}, answer.data)
        if judge(reply, self.name, 0) is not Verdict.STORED:
            raise _rejected(self.name, reply.message)
        return self._series(reply)

    def close(self) -> None:
        """Lets go of the connection."""
        self._pool.close()

    def _series(self, reply: Reply) -> list[Series]:
        try:
            (result,) = json.loads(reply.body)["results"]
            if "error" in result:
                raise _rejected(self.name, str(result["error"]))
            return [
                Series(one.get("tags", {}), one["columns"], one.get("values", [])) for one in result.get("series", ())
            ]
        except (ValueError, KeyError, TypeError) as error:
            raise _rejected(self.name, f"{type(error).__name__}: {reply.message[:100]}") from error


def _scheme(section: HubSection) -> str:
    return "Token" if isinstance(section, InfluxDbSection) else "Bearer"


def _database(section: HubSection) -> str:
    found: str = section.bucket if isinstance(section, InfluxDbSection) else getattr(section, "database", "")
    return found


def _rejected(name: str, message: str) -> Refused:
    return Refused(
        "ask",
        name,
        Words(f"허브가 질의를 거부했습니다 ({message})", f"the hub rejected the query ({message})"),
        Words(
            "읽기 권한이 있는 토큰을 INFLUX_TOKEN에 두고, 데이터베이스 이름을 확인하십시오",
            "put a token that may read into INFLUX_TOKEN, and check the database's name",
        ),
    )
