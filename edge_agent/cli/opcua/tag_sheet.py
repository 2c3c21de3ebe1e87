"""Tag sheet: chosen variables as a table for `tags_file`, ready to be looked through in a spreadsheet."""

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from connectors.opcua.browse_path import path_text
from connectors.opcua.node import parse_node
from connectors.opcua.survey import Survey, Variable
from connectors.opcua.traits import NO_ROWS, Text
from edge_agent.cli.modbus.draft import number
from edge_agent.cli.opcua.tag_names import tag_names
from edge_agent.errors import Words

COLUMNS: Final = {
    "tag": "태그",
    "node": "노드",
    "role": "역할",
    "interval": "주기",
    "unit": "단위",
    "low": "하한",
    "high": "상한",
    "label.ko": "한글명",
    "label.en": "영문명",
    "opc type": "OPC 형식",
    "browse path": "경로",
    "description": "설명",
}
"""Columns in English and in Korean; the last three are for people, and `edge_agent.config.table` passes over them."""
_HANGUL: Final = re.compile("[가-힣]")
_FORMULA: Final = "=+-@"
_ARRAY = Words("배열", "arrays")
_UNREADABLE = Words("읽을 권한 없음", "not readable by this user")
_NO_TYPE = Words("값이 아닌 형식(구조체 등)", "of a type that is no value (structures)")
_NO_ADDRESS = Words("노드 ID를 설정 파일에 쓸 수 없음", "with a node id that no file can hold")


@dataclass(slots=True)
class TagSheet:
    """The rows, and how many variables are not among them, by reason."""

    rows: list[dict[str, str]] = field(default_factory=list)
    skipped: Counter[Words] = field(default_factory=Counter)

    def text(self, language: str) -> str:
        """CSV; a byte order mark makes Excel read the Hangul."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        used = [key for key in COLUMNS if key in ("tag", "node") or any(row.get(key) for row in self.rows)]
        writer.writerow(COLUMNS[key] if language == "ko" else key for key in used)
        writer.writerows([row.get(key, "") for key in used] for row in self.rows)
        return "\ufeff" + out.getvalue()


def tag_sheet(found: Survey) -> TagSheet:
    """A row for each variable that the agent can read, in the order of their paths."""
    sheet = TagSheet()
    kept: list[Variable] = []
    for one in found.variables:
        reason = _reason(one)
        if reason is None:
            kept.append(one)
        else:
            sheet.skipped[reason] += 1
    space = found.space
    lines = [space.line(one.place) for one in kept]
    names = tag_names([[node.name for node in line] for line in lines])
    for one, name, line in zip(kept, names, lines, strict=True):
        path = path_text(((node.namespace, node.name) for node in line), space.namespaces)
        sheet.rows.append({"tag": name, "node": one.node, "browse path": _plain(path)} | _cells(one, line[-1].name))
    return sheet


def _reason(one: Variable) -> Words | None:
    """Why the agent can't have it as a tag."""
    if one.traits.is_array:
        return _ARRAY
    if not one.traits.is_readable:
        return _UNREADABLE
    if one.traits.type in NO_ROWS:
        return _NO_TYPE
    text = one.node
    try:
        parse_node(text)
    except ValueError:
        return _NO_ADDRESS
    is_one_line = text.isprintable() and text == text.strip() and not re.search(r"=\s", text)
    return None if is_one_line else _NO_ADDRESS


def _cells(one: Variable, name: str) -> dict[str, str]:
    traits = one.traits
    text = traits.type in ("String", "LocalizedText", "DateTime", "Guid", "ByteString", "XmlElement", "QualifiedName")
    cells = labels_of(one.labels, name)
    if traits.is_state or text:
        cells |= {"role": "state", "interval": "0s"}
    if traits.range is not None and not text:
        cells |= {"low": number(traits.range[0]), "high": number(traits.range[1])}
    said = traits.description[1]
    kind = traits.type + (f" ({traits.type_name})" if traits.type_name else "")
    return cells | {
        "unit": _plain(traits.unit),
        "opc type": _plain(kind),
        "description": "" if said == name else _plain(said),
    }


def labels_of(texts: Sequence[Text], name: str) -> dict[str, str]:
    """`label.ko` and `label.en`; a text in no language is one by its letters, and one that is the name says nothing."""
    cells: dict[str, str] = {}
    for locale, text in texts:
        if not text or (text == name and not _HANGUL.search(text)):
            continue
        korean = locale.lower().startswith("ko") or bool(_HANGUL.search(text))
        cells.setdefault("label.ko" if korean else "label.en", _plain(text))
    return cells


def _plain(text: str) -> str:
    """One line, and nothing that a spreadsheet would run: what a server says is not to be trusted."""
    line = " ".join(text.split())
    return f"'{line}" if line[:1] in _FORMULA and line else line
