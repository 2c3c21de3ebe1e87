"""`edge-agent hub`: dashboards for hub staff, from the configurations of the sites."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TextIO

import yaml

from edge_agent.config.loader import Loaded, load
from edge_agent.errors import EdgeAgentError, Words
from edge_agent.hub import grafana, influxdb
from edge_agent.hub.catalogue import Catalogue, catalogue_of
from edge_agent.hub.pages import pages
from edge_agent.registry import Sections
from edge_agent.shipped import shipped

TEMPLATE: Final = "influxdb-template.yaml"


def write_template(
    configs: Sequence[Path], folder: Path, bucket: str, retention_days: int, language: str, out: TextIO
) -> int:
    """Writes template and dashboards into `folder`, says what to do with them. Raises ConfigError."""
    found = catalogue_of(one.tags for one in _loaded(configs))
    shown = pages(found, bucket, language)
    files = {TEMPLATE: influxdb.as_yaml(influxdb.template(shown, bucket, retention_days))}
    files |= {f"grafana/{page.key}.json": grafana.as_json(grafana.dashboard(page, language)) for page in shown}
    files["grafana/datasource.yaml"] = grafana.data_source(bucket)
    for name, text in files.items():
        _write(folder / name, text)
    out.write("\n".join(_summary(found, folder, len(files), language)) + "\n")
    return 0


def apply(folder: Path, url: str, org: str, ca_file: Path | None, language: str, out: TextIO) -> int:
    """Applies the template in `folder` to an InfluxDB 2 and maps the bucket for InfluxQL. Raises a sink's errors."""
    from edge_agent.sinks.influxdb.hub import Hub, apply_template, ensure_mapping

    documents = _documents(folder / TEMPLATE)
    bucket = next(one["spec"]["name"] for one in documents if one["kind"] == "Bucket")
    hub = Hub(url, os.environ.get("INFLUX_TOKEN", ""), org, bucket, ca_file, timeout=120.0)
    apply_template(hub, documents)
    ensure_mapping(hub)
    said = (
        f"{url}: '{bucket}' 버킷과 대시보드를 적용했습니다." if language == "ko" else f"{url}: applied to '{bucket}'."
    )
    out.write(said + "\n")
    return 0


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    except OSError as error:
        raise _of_file("write", path, error) from error


def _documents(path: Path) -> list[influxdb.Document]:
    try:
        return list(yaml.safe_load_all(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise _of_file("read", path, error) from error


def _of_file(operation: str, path: Path, error: Exception) -> EdgeAgentError:
    return EdgeAgentError(
        operation,
        str(path),
        Words(f"파일을 다룰 수 없습니다 ({error})", f"the file cannot be used ({error})"),
        Words(
            "경로와 권한을 확인하십시오. 파일은 edge-agent hub template 이 만듭니다",
            "check path and rights; `edge-agent hub template` makes the files",
        ),
    )


def _loaded(configs: Sequence[Path]) -> list[Loaded]:
    if configs:
        return [load(file, Sections(), secrets_later=True) for file in configs]
    examples = [load(file, Sections(), secrets_later=True) for file in sorted(shipped("configs").glob("*.yaml"))]
    return [one for one in examples if any(sink.sink.startswith("influxdb") for sink in one.config.sinks)]


def _summary(found: Catalogue, folder: Path, files: int, language: str) -> list[str]:
    korean = language == "ko"
    lines = [f"{folder}: {files}개 파일을 썼습니다." if korean else f"{folder}: {files} files written."]
    lines += [f"  {one.name}: {len(one.fields)} fields" for one in found.classes]
    for one in found.conflicts:
        where, units = f"{one.machine_class}.{one.field}", " / ".join(unit or "-" for unit in one.units)
        told = "단위가 설정마다 다릅니다. 첫 번째를 씁니다" if korean else "units differ, the first is used"
        lines.append(f"  ! {where}: {told} ({units})")
    lines += _WHAT_TO_DO["ko" if korean else "en"].format(folder=folder, template=TEMPLATE).splitlines()
    return lines


_WHAT_TO_DO: Final = {
    "ko": """InfluxDB 2: INFLUX_TOKEN=… edge-agent hub apply {folder} --url https://허브:8086 --org 조직
  (또는 influx apply -f {folder}/{template}. 버킷 이름 그대로 InfluxQL 조회가 됩니다)
Grafana: {folder}/grafana/datasource.yaml 로 데이터 원본을 만들고 *.json 을 가져오십시오(Import)""",
    "en": """InfluxDB 2: INFLUX_TOKEN=… edge-agent hub apply {folder} --url https://hub:8086 --org ORG
  (or influx apply -f {folder}/{template}; InfluxQL finds the bucket by its name)
Grafana: make the data source from {folder}/grafana/datasource.yaml, then import the *.json""",
}
