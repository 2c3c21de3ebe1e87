"""A line protocol reader that shares nothing with the product: character by character, slow and obvious."""

from typing import NamedTuple


class Point(NamedTuple):
    """One line. Numbers stay the text they were, so that a test sees each digit; strings are unescaped."""

    measurement: str
    tags: tuple[tuple[str, str], ...]
    fields: dict[str, str]
    time: int


def _name(text: str, at: int, ends: str) -> tuple[str, int]:
    out = ""
    while at < len(text) and text[at] not in ends:
        if text[at] == "\\" and text[at + 1] in ",= ":
            at += 1
        out += text[at]
        at += 1
    return out, at


def _value(text: str, at: int) -> tuple[str, int]:
    if text[at] != '"':
        return _name(text, at, ", ")
    out, at = '"', at + 1
    while text[at] != '"':
        if text[at] == "\\" and text[at + 1] in '\\"':
            at += 1
        out += text[at]
        at += 1
    return out, at + 1


def read_lines(body: bytes) -> list[Point]:
    """All points, in order. A string value keeps its opening quote, to tell it from a number."""
    text, at = body.decode(), 0
    points = []
    while at < len(text):
        measurement, at = _name(text, at, ", ")
        tags, fields = [], {}
        while text[at] == ",":
            key, at = _name(text, at + 1, "=")
            value, at = _name(text, at + 1, ", ")
            tags.append((key, value))
        assert text[at] == " "
        while text[at] in " ,":
            key, at = _name(text, at + 1, "= ")
            if text[at] != "=":
                raise ValueError(text[at:])
            value, at = _value(text, at + 1)
            assert key not in fields
            fields[key] = value
            if text[at] == " ":
                break
        end = text.index("\n", at)
        points.append(Point(measurement, tuple(tags), fields, int(text[at + 1 : end])))
        at = end + 1
    return points
