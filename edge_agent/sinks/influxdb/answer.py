"""An HTTP answer, from the socket. httptools (llhttp, the parser of Node.js) reads its bytes; its limits are here."""

import socket
import time
from typing import Final

import httptools

from edge_agent.sinks.influxdb.reply import Reply

LONGEST: Final = 64 * 1024
"""Bytes of a head, and bytes of a body, that are read; a body is cut there, a longer head is no answer."""
_AT_ONCE: Final = 64 * 1024


class AnswerFault(Exception):
    """What came is no HTTP answer; the text says why."""


class CutAnswer(Exception):
    """The answer broke off in the middle."""


class DrippedAnswer(Exception):
    """The answer had begun, and did not end within its time-out."""


class Answer:
    """One answer, fed to the end. `reusable`: the connection may carry another request."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._head: dict[str, str] = {}
        self._body = bytearray()
        self._framed = self._in_body = False
        self.begun = self.ended = self.reusable = False
        self._status = self._size = self._head_size = 0

    def feed(self, data: bytes) -> None:
        """The next bytes, empty at the end of the stream. Raises AnswerFault, CutAnswer."""
        if not data:
            self._end_of_stream()
            return
        self.begun = True
        self._size += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            if not self.ended:
                raise AnswerFault(str(error)) from error
            self.reusable = False  # an answer, and something after it that nobody asked for
        if (self._head_size if self._in_body else self._size) > LONGEST:
            raise AnswerFault("its head is too long")

    def _end_of_stream(self) -> None:
        """What has neither a length nor chunks ends with its connection."""
        if not self.begun:
            raise ConnectionResetError("closed without an answer")
        if not self._in_body or self._framed:
            raise CutAnswer
        self.ended, self.reusable = True, False

    def reply(self) -> Reply:
        """Once it has ended."""
        return Reply(self._status, self._head, bytes(self._body))

    def on_header(self, name: bytes, value: bytes) -> None:
        """By httptools: of several of one name the last stays."""
        if not self.ended:
            self._head[name.decode("latin-1").lower()] = value.decode("latin-1")
            self._head_size += len(name) + len(value) + len(b": \r\n")

    def on_headers_complete(self) -> None:
        """By httptools."""
        if not self.ended:
            self._in_body, self._status = True, self._parser.get_status_code()
            self._framed = not self._head.keys().isdisjoint(("content-length", "transfer-encoding"))

    def on_body(self, body: bytes) -> None:
        """By httptools."""
        if self.ended:
            return
        self._body += body[: LONGEST - len(self._body)]
        if len(self._body) == LONGEST:
            self.ended = True  # and not reusable: the rest of it is still to come

    def on_message_complete(self) -> None:
        """By httptools. An interim answer (1xx) is followed by the real one."""
        if self.ended:
            self.reusable = False
        elif self._status < 200:
            self._head, self._in_body, self._framed = {}, False, False
        else:
            self.ended, self.reusable = True, bool(self._parser.should_keep_alive())


def read_answer(sock: socket.socket, timeout: float) -> Answer:
    """All of an answer within `timeout` seconds, which one that drips does not keep.

    Raises TimeoutError, DrippedAnswer, CutAnswer, AnswerFault, or what the socket raises.
    """
    answer, until = Answer(), time.monotonic() + timeout
    while not answer.ended:
        sock.settimeout(max(until - time.monotonic(), 0.001))
        try:
            data = sock.recv(_AT_ONCE)
        except TimeoutError as error:
            if answer.begun:
                raise DrippedAnswer from error
            raise
        answer.feed(data)
    return answer
