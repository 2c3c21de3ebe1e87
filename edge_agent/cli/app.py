"""The commands and their options. Nothing heavy is imported before a command is chosen."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from edge_agent import __version__
from edge_agent.cli import EXIT_FAULT
from edge_agent.cli import language as language_of_locale
from edge_agent.cli.alarms.commands import alarms
from edge_agent.cli.journal.commands import journal
from edge_agent.cli.modbus.commands import modbus
from edge_agent.cli.opcua.commands import opcua

app = typer.Typer(
    name="edge-agent",
    help="Collects from OPC UA and Modbus, finds anomalies, keeps every sample, ships to the hub. "
    "설비 데이터를 모아 이상을 찾고, 빠짐없이 보관하여 허브로 보냅니다.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

hub_app = typer.Typer(help="Dashboards for hub staff. 허브 담당자용 대시보드", no_args_is_help=True)
app.add_typer(alarms, name="alarms")
app.add_typer(hub_app, name="hub")
app.add_typer(journal, name="journal")
app.add_typer(modbus, name="modbus")
app.add_typer(opcua, name="opcua")

Config = Annotated[Path, typer.Argument(help="The configuration file (YAML). 설정 파일")]
LanguageOption = Annotated[str, typer.Option("--language", "-l", help="ko or en; default: the locale. 표시 언어")]


@app.command()
def run(config: Config) -> None:
    """The daemon: collect until SIGTERM. 수집을 시작합니다 (데몬)."""
    from edge_agent.cli.daemon import run_daemon

    sys.exit(run_daemon(config))


@app.command()
def check(
    config: Config,
    live: Annotated[
        bool, typer.Option("--live", help="Ask every Modbus device once, read-only. 실제 장치를 한 번씩 읽어 봅니다")
    ] = False,
    language: LanguageOption = "",
) -> None:
    """Check a configuration: every fault at once, with its place and its cure. 설정을 검사합니다."""
    from edge_agent.cli.check import check as check_config

    chosen = language or language_of_locale()
    code = check_config(config, chosen, sys.stdout)
    if live and code == 0:
        from edge_agent.cli.modbus.live import check_live
        from edge_agent.cli.speech import Speech

        code = check_live(config, Speech(chosen), sys.stdout)
    sys.exit(code)


@app.command()
def backtest(
    config: Annotated[Path, typer.Argument(help="The configuration; without one, the data. 설정 파일, 없으면 자료")],
    source: Annotated[
        str, typer.Argument(help="CSV, Parquet, journal folder, influx:[SINK]; default: the own journal. 자료")
    ] = "",
    since: Annotated[str, typer.Option("--from", help="2026-11-22T13:30 (local), ...Z, or 24h ago. 시작 시각")] = "",
    until: Annotated[str, typer.Option("--to", help="Up to this time, which is left out. 끝 시각")] = "",
    zone: Annotated[str, typer.Option(help="Zone of times without one, such as Asia/Seoul. 자료의 시간대")] = "",
    out: Annotated[Path | None, typer.Option(help="Folder for events, summary, report. 결과 폴더")] = None,
    against: Annotated[Path | None, typer.Option(help="Another configuration to compare with. 비교할 설정")] = None,
    language: LanguageOption = "",
) -> None:
    """What detection would have said of data that are there already. 지난 자료로 이상 탐지를 시험합니다."""
    from edge_agent.cli.backtest.run import Order, backtest_command
    from edge_agent.cli.speech import zone_named

    if against is not None and config.suffix not in (".yaml", ".yml"):
        raise typer.BadParameter("--against needs a configuration to compare with")
    order = Order(config, source, since, until, out, against, zone_named(zone), language or language_of_locale())
    sys.exit(backtest_command(order, sys.stdout, sys.stderr))


@app.command()
def demo(
    seconds: Annotated[float | None, typer.Option(help="Stop after this many seconds. 실행 시간(초)")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Unattended: inject a fault, print figures, judge. 무인 점검")
    ] = False,
    influx: Annotated[
        str | None, typer.Option(help="Ship to this InfluxDB too (token: INFLUX_TOKEN). InfluxDB 주소")
    ] = None,
    org: Annotated[str, typer.Option(help="InfluxDB organisation. 조직")] = "",
    bucket: Annotated[str, typer.Option(help="InfluxDB bucket. 버킷")] = "",
    language: LanguageOption = "",
) -> None:
    """A small virtual plant and the agent against it, live. 가상 공장으로 시연합니다."""
    from edge_agent.cli.demo import demo as run_demo

    if influx is not None and not (org and bucket):
        raise typer.BadParameter("--influx needs --org and --bucket too")
    target = None if influx is None else (influx, org, bucket)
    sys.exit(run_demo(seconds, check, target, language or language_of_locale(), sys.stdout))


@app.command()
def simulate(
    plant: Annotated[Path, typer.Argument(help="The plant's file (YAML). 가상 공장 파일")],
    seed: Annotated[int | None, typer.Option(min=0, help="Same seed, same plant. 난수 씨앗")] = None,
    speed: Annotated[float | None, typer.Option(min=0.1, max=100, help="Machine seconds a wall second. 배속")] = None,
    labels: Annotated[
        Path | None, typer.Option(help="What is broken and when, as JSON lines; the agent never reads it. 정답 파일")
    ] = None,
    fault: Annotated[
        list[str] | None, typer.Option(help="machine:fault@second[:severity[:growth]], repeatable. 고장 예약")
    ] = None,
    language: LanguageOption = "",
) -> None:
    """Serve the virtual plant: real OPC UA and Modbus servers, with faults. 가상 공장을 실행합니다."""
    from edge_agent.cli.simulate import simulate as run_plant
    from edge_agent.cli.speech import Speech

    try:
        code = run_plant(plant, seed, speed, labels, fault or [], Speech(language or language_of_locale()), sys.stdout)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--fault") from error
    sys.exit(code)


@app.command()
def status(
    config: Annotated[
        Path | None, typer.Argument(help="Configuration, or the socket itself. 설정 파일 또는 소켓")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="The status as one JSON object.")] = False,
    tags: Annotated[bool, typer.Option("--tags", help="With --json: every tag's value too. 태그 값 포함")] = False,
    language: LanguageOption = "",
) -> None:
    """Ask the running agent how it is. 실행 중인 에이전트의 상태를 봅니다."""
    from edge_agent.cli.ask import show_status

    sys.exit(show_status(config, json, language or language_of_locale(), sys.stdout, tags=tags))


@hub_app.command()
def template(
    configs: Annotated[
        list[Path] | None, typer.Argument(help="The sites' configurations; default: the six examples. 설정 파일들")
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder for the files. 저장할 폴더")] = Path("hub"),
    bucket: Annotated[str, typer.Option(help="InfluxDB bucket. 버킷")] = "edge",
    retention: Annotated[int, typer.Option(min=0, help="Days that values are kept; 0: for ever. 보관 일수")] = 90,
    language: LanguageOption = "",
) -> None:
    """Write an InfluxDB 2 template and Grafana dashboards. InfluxDB 템플릿과 Grafana 대시보드를 만듭니다."""
    from edge_agent.cli.hub import write_template

    chosen = language or language_of_locale()
    sys.exit(write_template(configs or [], output, bucket, retention, chosen, sys.stdout))


@hub_app.command()
def apply(
    folder: Annotated[Path, typer.Argument(help="What `hub template` wrote. 템플릿 폴더")],
    url: Annotated[str, typer.Option(help="InfluxDB 2 (token: INFLUX_TOKEN). 허브 주소")],
    org: Annotated[str, typer.Option(help="InfluxDB organisation. 조직")],
    ca_file: Annotated[Path | None, typer.Option(help="PEM file of a private CA. 사설 CA 파일")] = None,
    language: LanguageOption = "",
) -> None:
    """Apply the template to an InfluxDB 2, again and again without doubles. 템플릿을 허브에 적용합니다."""
    from edge_agent.cli.hub import apply as apply_template

    sys.exit(apply_template(folder, url, org, ca_file, language or language_of_locale(), sys.stdout))


@app.command()
def warmup() -> None:
    """Compile all kernels into the cache, so that the first start is quick. 연산 커널을 미리 컴파일합니다."""
    from edge_agent.cli.warmup import warm_up

    if not warm_up(sys.stdout):
        sys.exit(EXIT_FAULT)


@app.command()
def version() -> None:
    """Print the version. 버전을 표시합니다."""
    typer.echo(f"edge-agent {__version__}")
