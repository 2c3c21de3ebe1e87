"""`edge-agent modbus import`: vendors' tables in all their encodings; every row is a tag or has its reason."""

import csv
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook
from typer.testing import CliRunner

from connectors.modbus.address import Address, parse_address
from edge_agent.cli.app import app
from edge_agent.cli.modbus.address_cell import address_of, area_of
from edge_agent.cli.modbus.cell import CellFault, Reading, order_of, scale_of, unit_of
from edge_agent.cli.modbus.draft import flow, tag_table
from edge_agent.cli.modbus.heading import find_heading
from edge_agent.cli.modbus.importing import Order, import_table
from edge_agent.cli.modbus.register_table import import_sheet
from edge_agent.cli.modbus.sheet import Row, Sheet, read_sheets
from edge_agent.cli.modbus.signal_name import free_name, is_signal, signal_name
from edge_agent.cli.modbus.type_cell import type_of
from edge_agent.config.loader import load
from edge_agent.config.scalar import scalar
from edge_agent.errors import ConfigError, Unsupported
from edge_agent.registry import Sections

CASE = Path(__file__).parents[2] / "cases" / "modbus_import"
SITE = """
site: {name: s}
machines: [{name: m, line: l, class: furnace}]
links:
  - name: tk
    connector: modbus
    host: 10.0.0.1
    machine: m
"""


def run(*arguments: object, code: int | None = 0):
    done = CliRunner().invoke(app, ["modbus", "import", *map(str, arguments)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert code is None or done.exit_code == code, done.stderr
    return done


def workbook(path: Path, rows: list[list[str]], numbers: bool = True) -> Path:
    """The rows on the second sheet, digits as numbers, with the format that keeps leading zeros."""
    book = Workbook()
    book.active.append(["이력", "2026-11-23"])
    sheet = book.create_sheet("주소표")
    for at, row in enumerate(rows, 1):
        for column, text in enumerate(row, 1):
            if not text:
                continue
            whole = numbers and text.isdigit()
            cell = sheet.cell(at, column, int(text) if whole else float(text) if text == "0.1" else text)
            if whole and text[0] == "0" and len(text) > 1:
                cell.number_format = "0" * len(text)
    book.save(path)
    return path


@pytest.mark.parametrize("language", ["ko", "en"])
def test_a_table_and_its_report_are_as_they_stand_in_the_case(tmp_path, monkeypatch, language):
    monkeypatch.chdir(CASE)
    done = run("controller.csv", "-l", language, "-o", tmp_path / "tags.csv", code=1)
    for golden, found in (("report", done.stderr), ("tags", (tmp_path / "tags.csv").read_text("utf-8"))):
        path = CASE / f"{golden}.{language}.{'txt' if golden == 'report' else 'csv'}"
        if os.environ.get("EDGE_AGENT_NEW_CASES"):
            path.write_text(found, "utf-8")
        assert found == path.read_text("utf-8"), path.name
    assert done.stdout == f"→ {tmp_path / 'tags.csv'}\n"


@pytest.mark.parametrize("form", ["bom", "cp949", "utf-16", "tabs", "xlsx"])
def test_each_form_that_excel_saves_gives_the_same(tmp_path, form):
    text = (CASE / "controller.csv").read_text("utf-8").replace("℃", "°C")
    rows = list(csv.reader(text.splitlines()))
    table = tmp_path / "table.csv"
    match form:
        case "bom":
            table.write_text(text.replace("\n", "\r\n"), "utf-8-sig")
        case "cp949":
            table.write_bytes(text.encode("cp949"))
        case "utf-16":
            table.write_text("\n".join("\t".join(row) for row in rows), "utf-16")
        case "tabs":
            table.write_text("\n".join("\t".join(f'"{cell}"' for cell in row) for row in rows), "utf-8")
        case "xlsx":
            table = workbook(tmp_path / "table.xlsx", rows)
    done = run(table, "-l", "ko", code=1)
    assert done.stdout == (CASE / "tags.ko.csv").read_text("utf-8")


def test_the_configuration_reads_what_was_written(tmp_path):
    more = ("--type", "16bit=int16")
    run(CASE / "controller.csv", "-l", "ko", "-o", tmp_path / "tags.csv", *more, code=1)
    run(CASE / "controller.csv", "-o", tmp_path / "tags.yaml", "--unit", 3, *more, code=1)
    file = tmp_path / "site.yaml"
    file.write_text(SITE + "    devices: [{unit: 3, tags_file: tags.csv}]\n", "utf-8")
    table = load(file, Sections())
    inside = "".join("    " + line for line in (tmp_path / "tags.yaml").read_text("utf-8").splitlines(keepends=True))
    file.write_text(SITE + inside, "utf-8")
    assert load(file, Sections()).config.links == table.config.links
    tags = {tag.tag: tag for tag in table.config.links[0].tag_list()}
    assert tags["temperature"].address == Address(4, 1000)
    assert tags["temperature"].label.ko == "현재온도"
    assert (tags["temperature_sv"].scale, tags["heat_output"].scale) == (0.1, 0.1)
    assert (tags["total_energy"].type, tags["total_energy"].role) == ("uint32", "counter")
    assert (tags["phase_a_current"].order, tags["phase_a_current"].label.en) == ("CDAB", "Phase A Current")
    assert len(tags) == 8


def test_bare_numbers_need_to_be_told_their_base_and_area(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("Address,Name,Type\n100,a,INT\n0x10,b,INT\n40001,c,INT\n", "utf-8")
    refused = run(table, code=1)
    assert refused.stdout.splitlines()[1:] == ["c,HR:0,int16,c"]
    assert "--area HR --base 0" in refused.stderr
    no_base = run(table, "--area", "ir", code=1)
    assert "--base 0 (100 is IR:100) or --base 1 (100 is IR:99)" in no_base.stderr
    wire = run(table, "--area", "IR", "--base", 0)
    assert wire.stdout.splitlines()[1:] == ["a,IR:100,int16,a", "b,IR:16,int16,b", "c,HR:0,int16,c"]
    assert "a,IR:99,int16,a" in run(table, "--area", "IR", "--base", 1).stdout
    assert "b,HR:16,int16" in run(table, "--area", "HR", "--hex").stdout


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949"])
def test_every_notation_of_the_configuration_is_read(tmp_path, encoding):
    table = tmp_path / "t.csv"
    table.write_text(
        "주소,명칭,자료형\n%MW100,로온도,INT\n%MD60,적산,DINT\nD20,압력,INT\nD20.A,펌프 운전,\nW1A,속도,INT\n"
        "%MX1605,문 열림,\nHR:0x3E8,가,INT\nIR:03E8h,나,INT\n4x0007,다,INT\n400008,라,INT\n"
        '"{fc: 4, addr: 7}",마,INT\nDI:3,바,\n40010.3,사,\n',
        encoding,
    )
    areas = ("--plc", "%MW0=HR:0", "--plc", "D0=HR:4096", "--plc", "W0=IR:512")
    rows = run(table, *areas, "-l", "en").stdout.lstrip("\ufeff").splitlines()
    assert [row["address"] for row in csv.DictReader(rows)] == [
        "HR:100", "HR:120", "HR:4116", "HR:4116.10", "IR:538", "HR:100.5", "HR:1000", "IR:1000", "HR:6", "HR:7",
        "IR:7", "DI:3", "HR:9.3",
    ]  # fmt: skip  # the order of the table
    refused = run(table, "-l", "ko", code=1).stderr
    assert "PLC 영역 D이(가) 모드버스 어디에 있는지 모릅니다" in refused
    assert "--plc D0=HR:0" in refused
    with pytest.raises(Unsupported, match="not a PLC's area"):
        run(table, "--plc", "7=HR:0")
    with pytest.raises(Unsupported, match="two ways"):
        run(table, "--plc", "D0=100")
    assert run(table, "--plc", "D0", code=2)


@pytest.mark.parametrize("encoding", ["utf-8", "cp949"])
def test_the_register_with_the_decimal_point_is_found(tmp_path, encoding):
    table = tmp_path / "t.csv"
    table.write_text(
        "주소,명칭,데이터형식,소수점,배율\n31001,현재온도,INT16,31002 참조,\n31002,소수점 위치,UINT16,,\n"
        "31004,설정온도,INT16,소수점위치,\n31005,출력,INT16,1,\nD7,하중,INT16,(D9),\n31008,둘,INT16,31002,0.1\n"
        "31009,모름,INT16,가변,\n31010,번호,INT16,1001,\n",
        encoding,
    )
    done = run(table, "-l", "ko", "--plc", "D0=HR:0", "-o", tmp_path / "tags.csv", code=1)
    rows = list(csv.DictReader((tmp_path / "tags.csv").read_text("utf-8-sig").splitlines()))
    assert {row["한글명"]: (row["소수점주소"], row["배율"]) for row in rows} == {
        "현재온도": ("IR:1001", ""),
        "소수점 위치": ("", ""),
        "설정온도": ("IR:1001", ""),
        "출력": ("", "0.1"),
        "하중": ("HR:9", ""),
    }
    assert "두 번 나눌 수 있습니다" in done.stderr
    assert "소수점 자릿수가 아닙니다: 가변" in done.stderr
    assert "--base 0(1001 → IR:1001) 또는 --base 1(1001 → IR:1000)" in done.stderr
    file = tmp_path / "site.yaml"
    file.write_text(SITE + "    devices: [{tags_file: tags.csv}]\n", "utf-8")
    tags = [tag for tag in load(file, Sections()).config.links[0].tag_list() if tag.scale_from is not None]
    assert [tag.scale_from.address for tag in tags] == [Address(4, 1001), Address(4, 1001), Address(3, 9)]


def test_columns_bits_and_areas_of_other_tables(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text(
        "sep;x\nFunction;Reg No;R/W;Tag;Bits;Format;Words;무게\n"
        "03/06;10;R/W;status_word;;UINT;1;5\n;10;R;run;3;BOOL;;5\n;11;R;Total;;Signed;2;5\n06;50;R;command;;INT;1;\n"
        "03;60;W;order;;INT;1;\n;80~87;R;Model;;ASCII;;\n02;7;R;door_alarm;;BIT;;\n03;40100;R;e;;INT;1;\n",
        "utf-8",
    )
    maps = ("--map", "Bits=bit", "--map", "무게=note", "--map", "Reg No=address")
    done = run(table, *maps, "--base", 1, code=0)
    rows = {row["tag"]: row for row in csv.DictReader(done.stdout.lstrip("\ufeff").splitlines())}
    where = {name: (row["address"], row["type"]) for name, row in rows.items()}
    assert where == {
        "status_word": ("HR:9", "uint16"),
        "run": ("HR:9.3", ""),
        "total": ("HR:10", "int32"),
        "model": ("HR:79", "text16"),
        "door_alarm": ("DI:6", ""),
        "e": ("HR:99", "int16"),
    }
    assert (rows["run"]["role"], rows["door_alarm"]["role"], rows["run"]["note"]) == ("state", "alarm", "5")
    assert "passed over 6-7: this can only be written" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.csv"], "none.csv"),
        (["old.xls"], "save it from Excel as .xlsx"),
        (["torn.xlsx"], "no Excel workbook"),
        (["plain.csv"], "--map 'HEADING=address'; line 1 has: a, b"),
        (["plain.csv", "--map", "a=adress"], "is not understood"),
        (["book.xlsx", "--sheet", "x"], "give --sheet one of: Sheet, 주소표"),
        (["folder"], "folder"),
    ],
)
def test_what_is_no_table_is_refused_with_a_cure(tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    Path("old.xls").write_bytes(b"\xd0\xcf\x11\xe0" + bytes(100))
    Path("torn.xlsx").write_bytes(workbook(Path("book.xlsx"), [["a"]]).read_bytes()[:900])
    Path("plain.csv").write_text("a,b\n1,2\n", "utf-8")
    Path("folder").mkdir()
    with pytest.raises(ConfigError) as refused:
        run(*arguments)
    fault = refused.value.faults[0]
    assert said in f"{fault.file} {fault.cause.en} → {fault.cure.en}"
    assert fault.cure.ko


@pytest.mark.parametrize(
    ("text", "count", "kind"),
    [
        ("INT16", 0, "int16"), ("Int", 2, "int32"), ("signed 32bit", 0, "int32"), ("S16", 0, "int16"),
        ("U32", 0, "uint32"),
        ("UDINT", 0, "uint32"), ("ULINT", 0, "uint64"), ("DINT", 0, "int32"), ("LINT", 0, "int64"),
        ("WORD", 0, "uint16"),
        ("DWORD", 0, "uint32"), ("Double Word", 0, "uint32"), ("unsigned long", 0, "uint32"), ("short", 0, "int16"),
        ("부호 없는 정수", 1, "uint16"), ("부호있는 32비트", 0, "int32"), ("정수", 0, "int16"), ("실수", 2, "float32"),
        ("Float", 0, "float32"), ("FLOAT(CD AB)", 2, "float32"), ("Double", 4, "float64"), ("LREAL", 0, "float64"),
        ("REAL", 4, "float64"), ("IEEE754 64bit", 4, "float64"), ("bit", 0, "bool"), ("접점", 0, "bool"),
        ("ASCII(16)", 0, "text16"), ("문자열", 8, "text16"), ("float64", 0, "float64"), ("Long", 0, "int32"),
        ("USINT", 0, "uint8"),
        ("BCD", 0, "bcd16"), ("BCD", 2, "bcd32"), ("BCD 32bit", 0, "bcd32"), ("half float", 1, "float16"),
        ("i16", 0, "int16"), ("f32", 0, "float32"), ("unsigned int16", 0, "uint16"),
    ],
)  # fmt: skip
def test_types_as_manuals_write_them(text, count, kind):
    assert type_of(text, count, Reading()) == kind


@pytest.mark.parametrize("text", ["16bit", "32비트", "", "사과", "ASCII", "int128", "hexlike"])
def test_types_that_are_not_clear_are_refused(text):
    with pytest.raises(CellFault) as refused:
        type_of(text, 0, Reading())
    assert "--type" in refused.value.cure.en


@pytest.mark.parametrize(
    ("text", "scale"),
    [
        ("0.1", 0.1), ("×0.1", 0.1), ("x 0.01", 0.01), ("1/10", 0.1), ("/100", 0.01), ("÷ 1000", 0.001),
        ("10^-1", 0.1),
        ("10e-2", 0.01), ("소수점 1자리", 0.1), ("2 decimals", 0.01), ("0,5", 0.5), ("10배", 10.0), ("", 1.0),
        ("-", 1.0),
        ("1", 1.0), ("1:10", 0.1), ("3/2", 1.5), (".5", 0.5), ("없음", 1.0),
    ],
)  # fmt: skip
def test_scales_as_manuals_write_them(text, scale):
    assert scale_of(text) == scale


@pytest.mark.parametrize("text", ["0", "1/0", "많음", "0.1~1", "-0.1x", "nan"])
def test_scales_that_are_none_are_refused(text):
    with pytest.raises(CellFault):
        scale_of(text)


@pytest.mark.parametrize(
    ("text", "area"),
    [
        ("03", 3), ("4", 4), ("FC 04", 4), ("0x03", 3), ("03/06/16", 3), ("Function 01", 1), ("06", 0), ("06, 16", 0),
        ("Holding Register", 3), ("입력 레지스터", 4), ("Input Registers (30001~)", 4), ("Discrete Input", 2),
        ("코일", 1),
        ("기능코드 03", 3), ("Coil Status", 1), ("Input Status", 2), ("4X", 3), ("전류", None), ("", None),
        ("13", None),
    ],
)  # fmt: skip
def test_areas_and_function_codes(text, area):
    assert area_of(text) == area


def test_orders_units_and_ranges_of_addresses():
    assert [order_of(text) for text in ("CDAB", "FLOAT (cd-ab)", "하위 워드 우선", "High word first", "REAL")] == [
        "CDAB", "CDAB", "CDAB", "ABCD", "",
    ]  # fmt: skip
    assert [unit_of(text) for text in ("℃", "㎾", "％", "m³/h", "-", "㎥")] == ["°C", "kW", "%", "m³/h", "", "m3"]
    assert address_of("40001~40002", 0, Reading()) == (Address(3, 0), 2)
    assert address_of("0x10 - 0x13", 4, Reading()) == (Address(4, 16), 4)
    assert address_of("00100", 3, Reading(base=0)) == (Address(3, 100), 0)
    for text, area in (("40002~40001", 0), ("40001~30002", 0), ("30001", 3)):
        with pytest.raises(CellFault):
            address_of(text, area, Reading())


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("zone1_pv", "zone1_pv"), ("1존 현재온도", "tag_1_zone_temperature"), ("Phase A Current", "phase_a_current"),
        ("가열로 문", "furnace_mun"), ("ZonePV", "zone_pv"), ("온도(℃)", "temperature_c"), ("THD-U [%]", "thd_u"),
        ("닭갈비", "dakgalbi"), ("漢字", ""), ("", ""), ("é", "e"),
    ],
)  # fmt: skip
def test_names_of_tags_from_what_manuals_say(text, name):
    assert signal_name(text) == name
    assert free_name("a", {"a", "a_2"}) == "a_3"


CELLS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["40001", "0x10", "300", "INT16", "FC04", "0.1", "1/10", "kWh", "3", "", "주소", "40001~40004", "W"]
    ),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(CELLS, max_size=9), max_size=12), st.sampled_from([None, 0, 1]), st.sampled_from([0, 3, 4]))
def test_every_row_is_a_tag_or_has_its_reason(rows, base, area):
    heads = ["주소", "태그", "명칭", "형식", "배율", "단위", "기능코드", "비트", "비고"]
    kept = [tuple(" ".join(cell.split()) for cell in row) for row in rows]
    body = [Row(at + 2, cells) for at, cells in enumerate(kept) if any(cells)]
    sheet = Sheet("t", (Row(1, tuple(heads)), *body))
    done = import_sheet(sheet, find_heading(sheet, {}), Reading(area, base))
    lines = [fault.line for fault in done.faults] + [line for line, _ in done.sections]
    assert len(lines) + len(done.tags) == len(body)
    assert len(set(lines)) == len(lines)
    names = [tag["tag"] for tag in done.tags]
    assert all(map(is_signal, names))
    assert len(set(names)) == len(names)
    assert all(str(parse_address(tag["address"])) == tag["address"] for tag in done.tags)
    again = list(csv.DictReader(tag_table(done.tags, "en").lstrip("\ufeff").splitlines(keepends=True)))
    assert [row["tag"] for row in again] == names


@given(st.text(st.characters(codec="utf-8"), max_size=20))
def test_texts_stand_in_yaml_as_they_are(text):
    import yaml

    written = flow({"a": text})
    assert "\n" not in written
    assert yaml.safe_load(written) == {"a": text}


@pytest.mark.parametrize("text", ["on", "true", "12:30", "1e3", "0x10", "null", "-", "~", "12", "가-나", "a: b", "#x"])
def test_words_that_yaml_reads_otherwise_are_quoted(text):
    assert flow(text).startswith('"')
    assert scalar("가나") == "가나" == flow("가나")


def test_a_workbook_s_first_sheet_with_headings_is_taken(tmp_path):
    book = workbook(tmp_path / "b.xlsx", [["주소", "태그", "형식"], ["00001", "lamp", ""], ["40001", "a", "int16"]])
    assert [sheet.name for sheet in read_sheets(book)] == [f"{book}[Sheet]", f"{book}[주소표]"]
    done = run(book)
    assert "lamp,CO:0," in done.stdout
    assert "a,HR:0,int16" in done.stdout
    assert f"{book}[주소표]: 2 tag(s) read" in done.stderr


def test_a_place_that_can_not_be_written_is_said(tmp_path):
    with pytest.raises(Unsupported) as refused:
        import_table(CASE / "controller.csv", Order(output=tmp_path / "no" / "t.csv"), None, None)
    assert "--output" in refused.value.hint.en
