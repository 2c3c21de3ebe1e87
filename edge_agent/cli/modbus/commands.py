"""The commands of `edge-agent modbus` and their options. Nothing heavy is imported before one is chosen."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from edge_agent.cli import language as language_of_locale

modbus = typer.Typer(
    help="The technician's tools for Modbus; they only read. 모드버스 현장 도구 (읽기 전용)",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Place = Annotated[str, typer.Argument(help="HOST, HOST:PORT, rtu_over_tcp://HOST:PORT, or /dev/... 주소나 직렬 포트")]
Baud = Annotated[int, typer.Option(min=0, help="Baud rate of a serial port. 통신속도")]
Parity = Annotated[str, typer.Option(help="N, E or O. 패리티")]
Unit = Annotated[int, typer.Option("--unit", "-u", min=0, max=255, help="Unit number. 국번")]
Timeout = Annotated[float, typer.Option(min=0.01, max=60, help="Seconds for one answer. 응답 대기(초)")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object.")]
LanguageOption = Annotated[str, typer.Option("--language", "-l", help="ko or en; default: the locale. 표시 언어")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="File; default: standard output. 저장할 파일")]


@modbus.command("import")
def import_(
    table: Annotated[Path, typer.Argument(help="The vendor's register table (.csv, .xlsx). 주소표")],
    output: Output = None,
    form: Annotated[str, typer.Option("--format", help="csv (for tags_file) or yaml; default: the file's end.")] = "",
    maps: Annotated[
        list[str] | None, typer.Option("--map", help="'HEADING=field', '-' for none; again for more. 열 제목=항목")
    ] = None,
    types: Annotated[
        list[str] | None, typer.Option("--type", help="int16 for rows without, or 'Long=int32'; again for more. 형식")
    ] = None,
    area: Annotated[str, typer.Option(help="HR, IR, DI or CO for addresses that name none. 영역")] = "",
    base: Annotated[
        int | None, typer.Option(min=0, max=1, help="Bare numbers count from 0 (wire) or 1 (number). 번호 기준")
    ] = None,
    hexadecimal: Annotated[bool, typer.Option("--hex", help="Bare addresses are hexadecimal. 16진 주소")] = False,
    plc: Annotated[
        list[str] | None, typer.Option("--plc", help="Where a PLC's area lies: D0=HR:0, %MW0=HR:0. PLC 영역의 위치")
    ] = None,
    sheet: Annotated[str, typer.Option(help="Sheet of a workbook. 시트 이름")] = "",
    unit: Annotated[int, typer.Option(min=0, max=255, help="Unit number, for yaml. 국번")] = 1,
    language: LanguageOption = "",
) -> None:
    """A vendor's register table to tags, with a report of every row not read. 주소표를 태그로 바꿉니다."""
    from edge_agent.cli.modbus.importing import Order, import_table, is_type

    form = form or ("yaml" if output is not None and output.suffix in (".yaml", ".yml") else "csv")
    if form not in ("csv", "yaml"):
        raise typer.BadParameter("--format is csv or yaml")
    if area and area.upper() not in ("HR", "IR", "DI", "CO"):
        raise typer.BadParameter("--area is HR, IR, DI or CO")
    if wrong := [text for text in types or () if not is_type(text)]:
        raise typer.BadParameter(f"--type {wrong[0]}: write int16, float32, bool, text16, or 'WORD=int16'")
    if wrong := [text for text in plc or () if "=" not in text]:
        raise typer.BadParameter(f"--plc {wrong[0]}: write D0=HR:0 or %MW0=HR:0")
    areas = {first.strip(): at.strip() for first, _, at in (text.partition("=") for text in plc or ())}
    chosen = language or language_of_locale()
    order = Order(maps or (), types or (), area, base, hexadecimal, sheet, form, unit, output, chosen, areas)
    sys.exit(import_table(table, order, sys.stdout, sys.stderr))


@modbus.command()
def read(
    place: Place,
    address: Annotated[str, typer.Argument(help="40001, IR:1000, HR:0x3E8 ... 주소")],
    unit: Unit = 1,
    baud: Baud = 9600,
    parity: Parity = "N",
    stop: Annotated[int, typer.Option(min=1, max=2, help="Stop bits. 정지비트")] = 1,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=125, help="Registers or bits. 개수")] = 4,
    guess: Annotated[bool, typer.Option("--guess", help="All that they can mean. 형식·워드 순서 찾기")] = False,
    shows: Annotated[str, typer.Option(help="What the display shows, such as 23.5. 표시기의 값")] = "",
    timeout: Timeout = 1.0,
    output: Output = None,
    json: Json = False,
    language: LanguageOption = "",
) -> None:
    """Read registers once; --guess finds type, word order and scale. 레지스터를 한 번 읽습니다."""
    from edge_agent.cli.modbus.door import place_of
    from edge_agent.cli.modbus.reading import Order, address_of
    from edge_agent.cli.modbus.reading import read as read_once
    from edge_agent.cli.modbus.settings import Settings, parity_of
    from edge_agent.cli.speech import Speech

    where, speech = address_of(address), Speech(language or language_of_locale())
    count = min(count, 65536 - where.wire)
    line = Settings(baud, parity_of(parity), stop)
    order = Order(place_of(place, line), where, speech, unit, count, guess or bool(shows), shows, timeout, json, output)
    ask = input if sys.stdin.isatty() and sys.stdout.isatty() else None
    sys.exit(read_once(order, sys.stdout, ask))


@modbus.command()
def plan(
    config: Annotated[Path, typer.Argument(help="The configuration file (YAML). 설정 파일")],
    baud: Annotated[int, typer.Option(min=0, help="Baud rate behind a gateway. 게이트웨이 뒤의 통신속도")] = 0,
    turnaround: Annotated[
        float, typer.Option(min=0, help="ms a device takes to begin its answer. 응답 지연(ms)")
    ] = 5.0,
    json: Json = False,
    language: LanguageOption = "",
) -> None:
    """The requests, the load of each line, and what would cure it; exit code 1 if too much. 요청 계획과 회선 부하."""
    from connectors.modbus.load import Serial
    from edge_agent.cli.modbus.planning import plan as show
    from edge_agent.cli.speech import Speech

    behind = Serial(baud, turnaround=turnaround / 1e3) if baud else None
    sys.exit(show(config, behind, Speech(language or language_of_locale()), json, sys.stdout))


@modbus.command()
def scan(
    place: Place,
    units: Annotated[str, typer.Option(help="Units to ask: 1-32, or 1,3,10-12. 물어볼 국번")] = "1-32",
    timeout: Annotated[
        float, typer.Option(min=0, max=60, help="Seconds for one answer; default 1, on serial lines 0.3. 응답 대기(초)")
    ] = 0,
    pause: Annotated[float, typer.Option(min=0.0, max=60, help="Seconds of quiet after each. 사이 간격(초)")] = 0.05,
    baud: Annotated[int, typer.Option(min=0, help="Serial: only this baud rate. 통신속도")] = 0,
    parity: Annotated[str, typer.Option(help="Serial: only N, E or O. 패리티")] = "",
    hear: Annotated[
        float, typer.Option("--listen", min=0, help="Serial: seconds to listen for another master. 먼저 듣는 시간(초)")
    ] = 2.0,
    profiles: Annotated[bool, typer.Option(help="Try the probes of the known instruments. 프로파일 대조")] = True,
    output: Output = None,
    json: Json = False,
    language: LanguageOption = "",
) -> None:
    """Who answers, one question at a time, read-only; Ctrl-C keeps what was found. 응답하는 국번을 찾습니다."""
    from edge_agent.cli.modbus.door import place_of
    from edge_agent.cli.modbus.recognition import known_profiles
    from edge_agent.cli.modbus.scanning import Order, units_of
    from edge_agent.cli.modbus.scanning import scan as ask
    from edge_agent.cli.modbus.settings import candidates, parity_of
    from edge_agent.cli.modbus.survey import Manner
    from edge_agent.cli.speech import Speech

    where, speech = place_of(place), Speech(language or language_of_locale())
    serial = where.is_serial
    known = known_profiles(Path.cwd()) if profiles else ()
    manner = Manner(timeout or (0.3 if serial else 1.0), not serial and units == "1-32", pause, known)
    tried = candidates(baud, parity and parity_of(parity)) if serial else ()
    sys.exit(ask(Order(where, units_of(units), manner, speech, json, output, tried, hear), sys.stdout))
