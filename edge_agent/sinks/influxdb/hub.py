"""Set-up and questions: what a person or a check wants of the hub, over influxdb-client. Never on the data's road.

influxdb-client costs 0.3 s and 50 MB, so it is imported inside. These functions block; each request has the deadline
`timeout`. They raise the errors that a sink raises.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from urllib3.exceptions import HTTPError

from edge_agent.api import Refused, Words
from edge_agent.sinks.influxdb.faults import translated
from edge_agent.sinks.influxdb.reply import Reply, judge
from edge_agent.sinks.influxdb.schema import EVENT, QUALITY

_SECONDS_PER_DAY = 86_400
_OWN = (QUALITY, EVENT)
STACK = "edge-agent"
"""Name of the stack by which InfluxDB remembers what the template made."""


@dataclass(frozen=True, slots=True)
class Hub:
    """One bucket of an InfluxDB 2 and who asks. TLS is verified, against `ca_file` where there is one."""

    url: str
    token: str
    org: str
    bucket: str
    ca_file: Path | None = None
    timeout: float = 10.0

    def __repr__(self) -> str:
        return f"Hub({self.url!r}, org={self.org!r}, bucket={self.bucket!r})"


def ensure_bucket(hub: Hub, retention_days: int = 0) -> bool:
    """Creates the bucket if it is missing; whether it did. `retention_days` 0 keeps points for ever."""
    with _client(hub) as client:
        buckets = client.buckets_api()
        if buckets.find_bucket_by_name(hub.bucket) is not None:
            return False
        rules = [{"type": "expire", "everySeconds": retention_days * _SECONDS_PER_DAY}] if retention_days else []
        buckets.create_bucket(bucket_name=hub.bucket, retention_rules=rules, org=hub.org)
        return True


def count_values(hub: Hub, measurement: str | None = None, *, start: int = 0, stop: int | None = None) -> int:
    """How many values the bucket holds: of one measurement, or of all but the sink's own (`quality`, `event`).

    `start` (from) and `stop` (before) are ns since 1970 UTC; without `stop` there is no upper bound.
    """
    wanted = (
        f"r._measurement == {_quoted(measurement)}"
        if measurement is not None
        else " and ".join(f"r._measurement != {_quoted(own)}" for own in _OWN)
    )
    flux = (
        f"from(bucket: {_quoted(hub.bucket)})"
        f" |> range(start: time(v: {start}), stop: time(v: {(1 << 63) - 1 if stop is None else stop}))"
        f" |> filter(fn: (r) => {wanted}) |> count() |> group() |> sum()"
    )
    with _client(hub) as client:
        tables = client.query_api().query(flux)
        counts: list[int] = [record.get_value() for table in tables for record in table.records]
    return sum(counts)


def apply_template(hub: Hub, documents: list[dict[str, Any]]) -> None:
    """Makes what a template describes; applied again it changes what it made before, by a stack called STACK."""
    with _client(hub) as client:
        org = client.organizations_api().find_organizations(org=hub.org)[0].id
        stacks = _ask(client, "GET", "/api/v2/stacks", {"orgID": org, "name": STACK})["stacks"]
        stack = stacks[0] if stacks else _ask(client, "POST", "/api/v2/stacks", body={"orgID": org, "name": STACK})
        body = {"orgID": org, "stackID": stack["id"], "template": {"contents": documents}}
        _ask(client, "POST", "/api/v2/templates/apply", body=body)


def ensure_mapping(hub: Hub) -> None:
    """Maps the database of the bucket's name (its default policy) to the bucket, so that InfluxQL finds it."""
    with _client(hub) as client:
        org = client.organizations_api().find_organizations(org=hub.org)[0].id
        bucket = client.buckets_api().find_bucket_by_name(hub.bucket)
        found = _ask(client, "GET", "/api/v2/dbrps", {"orgID": org, "db": hub.bucket})["content"]
        if any(one["bucketID"] == bucket.id and not one.get("virtual") for one in found):
            return
        names = {"database": hub.bucket, "retention_policy": "autogen", "default": True}
        _ask(client, "POST", "/api/v2/dbrps", body={"orgID": org, "bucketID": bucket.id} | names)


def _ask(client: Any, method: str, path: str, query: dict[str, str] | None = None, body: Any = None) -> Any:
    """One request of the HTTP API that the library has no plain word for; its JSON."""
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    return client.api_client.call_api(
        path,
        method,
        query_params=list((query or {}).items()),
        header_params=headers,
        body=body,
        response_type="object",
        auth_settings=[],
        _return_http_data_only=True,
    )


def _quoted(text: str) -> str:
    """A Flux string: as JSON writes it, and without interpolation."""
    return json.dumps(text, ensure_ascii=False).replace("${", "\\${")


@contextmanager
def _client(hub: Hub) -> Iterator[Any]:
    library: Any = import_module("influxdb_client")
    refusal = import_module("influxdb_client.rest").ApiException
    name = f"{hub.url} (bucket {hub.bucket})"
    options = {"ssl_ca_cert": str(hub.ca_file)} if hub.ca_file else {}
    timeout = int(hub.timeout * 1000)
    with library.InfluxDBClient(hub.url, hub.token, org=hub.org, timeout=timeout, retries=False, **options) as client:
        try:
            yield client
        except refusal as error:
            headers = {key.lower(): value for key, value in (error.headers or {}).items()}
            reply = Reply(error.status, headers, str(error.body or "").encode())
            judge(reply, name, 0)
            raise _rejected(name, reply.message) from error
        except (HTTPError, OSError) as error:
            raise translated("ask", name, error) from error


def _rejected(name: str, message: str) -> Refused:
    return Refused(
        "ask",
        name,
        Words(f"허브가 요청을 거부했습니다 ({message})", f"the hub rejected the request ({message})"),
        Words("org와 bucket의 철자와 허브의 버전을 확인하십시오", "check org and bucket, and the hub's version"),
    )
