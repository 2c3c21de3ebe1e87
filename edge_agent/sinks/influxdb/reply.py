"""What an HTTP answer to a write means. Pure. Rows are given up only for a 400, 413 or 422 in the hub's own words.

| answer                     | meaning                                              |
|----------------------------|------------------------------------------------------|
| 2xx                        | stored (but a 2xx with a web page is not a database) |
| 400, 422                   | some rows are poison: to be found and set aside      |
| 413                        | too many bytes at once                               |
| 401, 403, 404, 3xx, 4xx    | `Refused`: a person must act; all rows are kept      |
| 408                        | `TimedOut`                                           |
| 429, 503, 5xx              | `Overloaded`, with the hub's Retry-After if it gave one |
| anything else, a web page  | `ProtocolError`: not the database's voice            |
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any, Final

from edge_agent.api import EdgeAgentError, Overloaded, ProtocolError, Refused, TimedOut, Words

LONGEST_WAIT: Final = 3600.0
"""A Retry-After beyond this many seconds is cut: a mistaken answer must not silence the agent for a day."""
_LONGEST_MESSAGE: Final = 500
_DROPPED: Final = re.compile(r"dropped=(\d+)|dropped (\d+) points")
_RETENTION: Final = re.compile(r"retention")


_SPOKE_PLAIN: Final = b"HTTP request to an HTTPS server"
"""What a TLS server written in Go (InfluxDB, VictoriaMetrics, most proxies) answers to plain HTTP."""


_NO_POLICY: Final = "retention policy not found"
"""InfluxDB 1 says so with a 500."""


class Verdict(Enum):
    """What happened to the rows of one request."""

    STORED = "stored"
    POISON = "poison"
    TOO_LARGE = "too large"


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_page(self) -> bool:
        """A web page: from a proxy, a captive portal, or something else that is no database."""
        return "html" in self.headers.get("content-type", "") or self.body.lstrip()[:1] == b"<"

    @property
    def message(self) -> str:
        """The server's own words, on one line."""
        said = self._json
        text = str(said.get("message") or said.get("error") or self._text)
        whole = ": ".join([text, *_line_faults(said)[:1]])
        return " ".join(whole.split())[:_LONGEST_MESSAGE] or f"HTTP {self.status}"

    @property
    def dropped(self) -> int | None:
        """How many points a partial write left out, at least, where the server says so."""
        found = _DROPPED.search(self._text)
        if found is not None:
            return int(found[1] or found[2])
        return len(_line_faults(self._json)) or None

    @property
    def _text(self) -> str:
        return self.body.decode(errors="replace")

    @property
    def _json(self) -> Mapping[str, Any]:
        try:
            parsed = json.loads(self.body)
        except ValueError:
            return {}
        return parsed if isinstance(parsed, dict) else {}

    @property
    def about_time(self) -> bool:
        """Whether points were left out for their age, so that a part's age and not its tags decides."""
        return _RETENTION.search(self.message) is not None


def _line_faults(said: Mapping[str, Any]) -> list[str]:
    """InfluxDB 3's word on each line that it left out, each with the line's number."""
    data = said.get("data")
    lines = data if isinstance(data, list) else [data]
    return [
        f"line {one['line_number']}: {one['error_message']}"
        for one in lines
        if isinstance(one, dict) and "line_number" in one and "error_message" in one
    ]


def retry_after(reply: Reply, now: int) -> float | None:
    """Seconds that the server asks for, from either form of Retry-After; None where it says nothing one can read.

    `now`: ns since 1970 UTC.
    """
    text = reply.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdecimal():
        seconds = float(text)
    else:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - now / 1e9
        except (ValueError, IndexError, TypeError, OverflowError):
            return None
    return min(max(seconds, 0.0), LONGEST_WAIT)


def judge(reply: Reply, obj: str, now: int) -> Verdict:
    """The verdict on the rows, or the error that keeps them all. `obj` names the hub, `now` is ns since 1970 UTC."""
    status = reply.status
    if status == 400 and _SPOKE_PLAIN in reply.body:
        raise _wants_tls(obj)
    if reply.is_page and (status < 300 or status in (400, 422)):
        raise _not_a_database(reply, obj)
    if 200 <= status < 300:
        return Verdict.STORED
    if status in (400, 422):
        return Verdict.POISON
    if status == 413:
        return Verdict.TOO_LARGE
    raise _error(reply, obj, now)


def _error(reply: Reply, obj: str, now: int) -> EdgeAgentError:
    status, message = reply.status, reply.message
    if status == 500 and _NO_POLICY in message:
        status = 404
    if status in _REFUSED:
        cause, hint = _REFUSED[status]
        return Refused("write", obj, Words(f"{cause.ko} ({message})", f"{cause.en} ({message})"), hint)
    if 300 <= status < 400:
        return _moved(reply, obj)
    if status == 408:
        return TimedOut(
            "write", obj, _said(status, message), Words("회선 속도를 확인하십시오", "check the line's speed")
        )
    if 400 <= status < 500 and status != 429:
        return Refused("write", obj, _said(status, message), Words("url이 허브가 맞는지 확인하십시오", "check the url"))
    if status == 429 or 500 <= status < 600:
        hint = Words("데이터는 보관 중이며 자동으로 다시 보냅니다", "nothing to do: data is kept and sent again")
        return Overloaded("write", obj, _said(status, message), hint, retry_after(reply, now))
    return _not_a_database(reply, obj)


def _said(status: int, message: str) -> Words:
    return Words(f"허브가 {status}로 응답했습니다: {message}", f"the hub answered {status}: {message}")


_REFUSED: Final = {
    401: (
        Words("허브가 토큰(또는 사용자)을 인정하지 않습니다", "the hub does not know this token (or this user)"),
        Words(
            "token(또는 password)이 가리키는 곳에 이 허브에서 발급한 것을 넣으십시오(재시작 불필요)",
            "put what this hub issued where `token` (or `password`) points to (no restart needed)",
        ),
    ),
    403: (
        Words("이 버킷(데이터베이스)에 쓸 권한이 없습니다", "the token or user may not write to this bucket"),
        Words("허브에서 쓰기 권한을 주십시오", "give it write permission for the bucket or database at the hub"),
    ),
    404: (
        Words(
            "허브에 이 조직, 버킷(데이터베이스) 또는 주소가 없습니다",
            "the hub has no such organisation, bucket, policy or address",
        ),
        Words(
            "철자와 url을 확인하고, 버킷(데이터베이스)이 없으면 허브에서 만드십시오",
            "check the spelling of org, bucket or database, and url; create it at the hub if it is missing",
        ),
    ),
}


def _moved(reply: Reply, obj: str) -> Refused:
    place = reply.headers.get("location", "?")
    return Refused(
        "write",
        obj,
        Words(f"허브 주소가 {place}(으)로 옮겨졌습니다", f"the hub says it has moved to {place}"),
        Words("url을 새 주소로 바꾸십시오", "set `url` to the new address, if you trust it"),
    )


def _wants_tls(obj: str) -> ProtocolError:
    return ProtocolError(
        "write",
        obj,
        Words("이 포트는 HTTPS만 받습니다", "this port takes HTTPS only"),
        Words("url을 https://로 바꾸십시오", "write https:// in `url`"),
    )


def _not_a_database(reply: Reply, obj: str) -> ProtocolError:
    start = " ".join(reply.body[:80].decode(errors="replace").split())
    return ProtocolError(
        "write",
        obj,
        Words(
            f"InfluxDB가 아닌 것이 응답했습니다 (HTTP {reply.status}: {start})",
            f"something that is not InfluxDB answered (HTTP {reply.status}: {start})",
        ),
        Words(
            "url의 주소와 포트, 중간의 프록시나 인터넷 로그인 페이지를 확인하십시오",
            "check address and port of `url`, and for a proxy or an internet login page in between",
        ),
    )
