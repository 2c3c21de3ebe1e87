"""Tag tables as spreadsheets write them."""

from pathlib import Path

import pytest

from edge_agent import config
from edge_agent.config.source import Source, read
from edge_agent.config.table import HEADERS, key_of_header, read_table
from edge_agent.errors import Fault

TEXTS = {"tag", "machine", "role", "unit", "address", "node", "type", "label.ko", "label.en"}
ROWS = [
    ["태그", "주소", "배율", "단위", "한글명"],
    ["pv", "00001", "0.1", "Cel", "850"],
    ["sv", "40010.10", "", "%", ""],
]
WANTED = [
    {"tag": "pv", "address": "00001", "scale": 0.1, "unit": "Cel", "label": {"ko": "850"}},
    {"tag": "sv", "address": "40010.10", "unit": "%"},
]


def rows(text: str) -> list[dict]:
    nodes, faults = read_table(Source("t.csv", text), TEXTS.__contains__)
    assert faults == []
    return [node.data for node in nodes]


def faults(text: str) -> list[tuple[str, int, int]]:
    _, found = read_table(Source("t.csv", text), TEXTS.__contains__)
    return [(fault.code, fault.line, fault.column) for fault in found]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_separators_and_line_ends(separator: str, end: str) -> None:
    assert rows(end.join(separator.join(row) for row in ROWS) + end) == WANTED


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949", "utf-16"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("\n".join(",".join(row) for row in ROWS).encode(encoding))
    source = read(path, "t.csv", table=True)
    assert isinstance(source, Source)
    assert rows(source.text) == WANTED


def test_comments_empty_lines_and_cells_too_many_but_empty() -> None:
    text = '# 1호로, "메모"\n\n태그,주소\n# 존 1\npv,40001,,,\n,,\n\nsv,40002\n'
    assert rows(text) == [{"tag": "pv", "address": "40001"}, {"tag": "sv", "address": "40002"}]


def test_quoted_cells_keep_separators_and_line_ends() -> None:
    nodes, found = read_table(Source("t.csv", '태그,한글명\npv,"온도, ""1""\n존"\nsv,b\n'), TEXTS.__contains__)
    assert found == []
    assert nodes[0].data == {"tag": "pv", "label": {"ko": '온도, "1"\n존'}}
    assert nodes[1].table.rows[1][0] == 4


def test_headers_are_understood_with_spaces_capitals_and_remarks() -> None:
    assert key_of_header("주 소") == "address"
    assert key_of_header("Address") == "address"
    assert key_of_header("단위(표시)") == "unit"
    assert key_of_header("수집 주기") == "interval"
    assert key_of_header("label.ko") == "label.ko"
    assert key_of_header("모르는 말") == "모르는 말"


def test_ends_become_a_range_and_roles_may_be_korean() -> None:
    text = "tag,low,high,role,이벤트 분류,비고\na,0,1200,현재값,공정,x\nb,,,mv,,\nc,-5,,알람,machine,\n"
    assert rows(text) == [
        {"tag": "a", "range": [0, 1200], "role": "pv", "event_class": "process"},
        {"tag": "b", "role": "mv"},
        {"tag": "c", "range": [-5, None], "role": "alarm", "event_class": "machine"},
    ]


def test_places_of_cells() -> None:
    nodes, _ = read_table(Source("t.csv", '태그,한글명,하한,상한\npv,"가, 나",0,x\n'), TEXTS.__contains__)
    source = Source("other", "")

    def at(*steps: str | int) -> tuple[str, int, int]:
        node = nodes[0]
        for step in steps:
            below = node.child(step)
            assert below is not None
            node = below
        place = node.place(source)
        return place.file, place.line, place.column

    assert at("tag") == ("t.csv", 2, 1)
    assert at("label", "ko") == ("t.csv", 2, 4)
    assert at("range", 0) == ("t.csv", 2, 11)
    assert at("range", 1) == ("t.csv", 2, 13)
    assert nodes[0].child("unit") is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", [("EA-116", 0, 0)]),
        ("태그,주소\n", [("EA-116", 0, 0)]),
        ("태그,,주소\na,x,1\n", [("EA-144", 1, 4)]),
        ("태그,계측점\na,b\n", [("EA-144", 1, 4)]),
        ("tag,label,label.ko\na,b,c\n", [("EA-144", 1, 11)]),
        ("태그,주소\na,1,2\n", [("EA-145", 2, 5)]),
        ('태그,주소\na,1\nb,"2\n', [("EA-145", 3, 3)]),
        ('태그,주소\na,"1"x\n', [("EA-145", 2, 3)]),
    ],
)
def test_faults(text: str, found: list[tuple[str, int, int]]) -> None:
    assert faults(text) == found


def test_an_empty_column_without_header_is_no_fault() -> None:
    assert rows("태그,,주소\na,,1\n") == [{"tag": "a", "address": "1"}]


def test_readme_lists_the_headers() -> None:
    readme = (Path(config.__file__).parent / "README.md").read_text("utf-8").replace(" ", "")
    korean = [word for word in HEADERS if not word.isascii() and word not in ("레지스터주소", "노드id")]
    assert [word for word in korean if word not in readme] == []


def test_a_table_that_cannot_be_decoded_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"\xff\xff\x80abc")
    assert isinstance(read(path, "t.csv", table=True), Fault)
