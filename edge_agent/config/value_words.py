"""The catalogue of faults, second part: keys and values."""

from typing import Final

from edge_agent.config.entry import Entry, entry

VALUES: Final[dict[str, Entry]] = {
    # EA-102 … 104: keys.
    "key.duplicate": entry(
        "EA-102",
        "'{key}': 같은 키가 {first}번째 줄에 이미 있습니다. 어느 값을 써야 할지 알 수 없습니다.",
        "'{key}' is already given on line {first}: it is not clear which value is meant.",
        "둘 중 하나를 지우십시오. 항목이 여러 개라면 '-' 목록으로 쓰십시오.",
        "Delete one of the two. If several items are meant, write them as a list with '-'.",
    ),
    "key.unknown": entry(
        "EA-103",
        "'{key}': 이 자리에 없는 키입니다.",
        "'{key}' is not a key that can stand here.",
        "{advice}",
        "{advice}",
    ),
    "key.missing": entry(
        "EA-104",
        "필수 키 '{key}'이(가) 없습니다.",
        "The required key '{key}' is missing.",
        "{advice}",
        "{advice}",
    ),
    # EA-105: values of the wrong kind.
    "type.wrong": entry(
        "EA-105",
        "'{key}': {expected} 자리에 {got}이(가) 있습니다.",
        "'{key}' must be {expected}, but is {got}.",
        "{advice}",
        "{advice}",
    ),
    # EA-106 … 111: values that are refused.
    "bounds": entry(
        "EA-106",
        "'{key}': {got}은(는) 허용 범위를 벗어났습니다 (허용: {limit}).",
        "'{key}': {got} is out of bounds (allowed: {limit}).",
        "허용 범위 안의 값으로 고치십시오: {limit}.",
        "Use a value within the bounds: {limit}.",
    ),
    "pattern": entry(
        "EA-107",
        "'{key}': {got}은(는) 쓸 수 없는 이름입니다. {rule}",
        "'{key}': {got} cannot be used. {rule}",
        "{advice}",
        "{advice}",
    ),
    "duration": entry(
        "EA-108",
        "'{key}': {got}은(는) 시간으로 읽을 수 없습니다. 숫자와 단위(ms, s, min, h, d)를 붙여 써야 합니다.",
        "'{key}': {got} is not a time. It must be a number with a unit (ms, s, min, h, d).",
        "{advice}",
        "{advice}",
    ),
    "size": entry(
        "EA-109",
        "'{key}': {got}은(는) 용량으로 읽을 수 없습니다. 정수와 단위(B, KiB, MiB, GiB)를 붙여 써야 합니다.",
        "'{key}': {got} is not a size. It must be a whole number with a unit (B, KiB, MiB, GiB).",
        "{advice}",
        "{advice}",
    ),
    "choice": entry(
        "EA-110",
        "'{key}': {got}은(는) 고를 수 없는 값입니다.",
        "'{key}': {got} is not one of the choices.",
        "{advice}",
        "{advice}",
    ),
    "type.unknown": entry(
        "EA-111",
        "'{key}': {got}은(는) 없는 종류입니다.",
        "'{key}': there is no type {got}.",
        "{advice}",
        "{advice}",
    ),
    "reference.machine": entry(
        "EA-112",
        "'{name}': machines 목록에 없는 설비입니다.",
        "There is no machine '{name}' in the list 'machines'.",
        "{advice}",
        "{advice}",
    ),
    "name.duplicate": entry(
        "EA-113",
        "'{name}': {list}에 같은 이름이 이미 있습니다 ({first}).",
        "'{name}' is already the name of another entry in {list} ({first}).",
        "서로 다른 이름을 쓰십시오. 예: {name}-2",
        "Give each its own name, for example {name}-2.",
    ),
    "tag.duplicate": entry(
        "EA-114",
        "설비 '{machine}'에 태그 '{tag}'이(가) 이미 있습니다 ({first}).",
        "Machine '{machine}' already has a tag '{tag}' ({first}).",
        "태그 이름을 서로 다르게 하거나(예: {tag}_2), 두 번 적힌 줄을 지우십시오.",
        "Give the tags different names (for example {tag}_2), or delete the one that is written twice.",
    ),
    "tag.machine": entry(
        "EA-115",
        "태그 '{tag}'이(가) 어느 설비의 것인지 적혀 있지 않습니다.",
        "It is not said which machine the tag '{tag}' belongs to.",
        "태그, 기기 또는 링크에 'machine: 설비이름'을 넣으십시오. 등록된 설비: {known}",
        "Add 'machine: NAME' to the tag, its device or its link. Known machines: {known}",
    ),
    "tags.none": entry(
        "EA-116",
        "링크 '{name}'에 태그가 하나도 없습니다.",
        "The link '{name}' has no tags.",
        "'tags:' 목록에 태그를 넣거나 'tags_file: 파일.csv'를 지정하십시오. 쓰지 않는 링크라면 지우십시오.",
        "Add tags under 'tags:', or name a table with 'tags_file: FILE.csv'. Delete the link if it is not used.",
    ),
    "tags.none_in_table": entry(
        "EA-116",
        "태그 표에 제목 줄만 있거나 내용이 없습니다.",
        "The tag table is empty or has only a header.",
        "첫 줄에 제목(태그, 주소, 단위 …)을, 둘째 줄부터 태그를 한 줄에 하나씩 적으십시오.",
        "Put the headers (tag, address, unit …) on the first line and one tag on each line below.",
    ),
    "value.empty": entry(
        "EA-117",
        "'{key}': 값이 비어 있습니다. {expected}이(가) 와야 합니다.",
        "'{key}' is empty. It must be {expected}.",
        "값을 넣으십시오. 아래 줄에 하위 항목이 있다면 빈칸 2칸 더 들여썼는지 확인하십시오. 필요 없는 "
        "키라면 줄을 지우십시오.",
        "Fill in the value. If its items are on the lines below, indent them by two spaces. Delete a key "
        "you do not need.",
    ),
    "length": entry(
        "EA-118",
        "'{key}': 길이가 맞지 않습니다 (허용: {limit}).",
        "'{key}' has the wrong length (allowed: {limit}).",
        "{limit}에 맞게 고치십시오.",
        "Make it {limit}.",
    ),
    "range.order": entry(
        "EA-119",
        "'{key}': 앞의 하한이 뒤의 상한보다 작아야 합니다.",
        "'{key}': the lower end must be below the upper end.",
        "[하한, 상한] 순서로 쓰십시오. 예: [0, 1200]",
        "Write [lowest, highest], for example [0, 1200].",
    ),
    "journal.room": entry(
        "EA-120",
        "'journal': max_bytes가 segment_bytes의 2배보다 작습니다. 저널이 자리를 비울 수 없습니다.",
        "'journal': max_bytes is less than twice segment_bytes, so the journal could never make room.",
        "max_bytes를 늘리거나 segment_bytes를 줄이십시오. 예: max_bytes: 2GiB, segment_bytes: 8MiB",
        "Raise max_bytes or lower segment_bytes, for example max_bytes: 2GiB, segment_bytes: 8MiB.",
    ),
    "value.refused": entry(
        "EA-121",
        "'{key}': {got}을(를) 받아들일 수 없습니다 ({problem}).",
        "'{key}': {got} is not accepted ({problem}).",
        "값을 확인하여 고치십시오. 쓰는 법은 configs 폴더의 예제에 있습니다.",
        "Check and correct the value; the examples in the folder configs show how it is written.",
    ),
    "custom": entry("EA-122", "{cause}", "{cause}", "{cure}", "{cure}"),
    "url": entry(
        "EA-123",
        "'{key}': {got}은(는) 주소로 읽을 수 없습니다.",
        "'{key}': {got} is not an address.",
        "'http://이름또는IP:포트' 형태로 쓰십시오.",
        "Write it like 'http://name-or-ip:port'.",
    ),
    # EA-124: what only one connector knows.
    "opcua.node": entry(
        "EA-124",
        "'node': {got}은(는) OPC UA 노드 주소로 읽을 수 없습니다.",
        "'node': {got} is not the address of an OPC UA node.",
        "예: 'nsu=urn:maker:machine;s=Furnace.Zone1.PV' 또는 'ns=2;i=1001'. 서버 화면의 NodeId를 그대로 옮기십시오.",
        "Copy the NodeId from the server, like 'nsu=urn:maker:machine;s=Furnace.Zone1.PV' or 'ns=2;i=1001'.",
    ),
    "opcua.certificate": entry(
        "EA-124",
        "'certificate'와 'private_key'는 함께 적어야 합니다.",
        "'certificate' and 'private_key' belong together.",
        "둘 다 적거나 둘 다 지우십시오. 지우면 에이전트가 인증서를 만들어 씁니다.",
        "Give both or neither; without them the agent makes a certificate of its own.",
    ),
    "opcua.publishing": entry(
        "EA-124",
        "'publishing_interval': {got}은(는) 허용 범위(1ms ~ 1h)를 벗어났습니다.",
        "'publishing_interval': {got} is out of bounds (1ms to 1h).",
        "보통 100ms ~ 1s 로 씁니다.",
        "100ms to 1s is usual.",
    ),
    "opcua.intervals": entry(
        "EA-124",
        "keep_alive(100ms ~ 1h), timeout(100ms 이상), retry_items(100ms 이상) 가운데 범위를 벗어난 값이 있습니다.",
        "One of keep_alive (100ms to 1h), timeout (100ms or more), retry_items (100ms or more) is out of bounds.",
        "범위 안의 값으로 고치거나 줄을 지워 기본값을 쓰십시오.",
        "Correct it, or delete the line to use the default.",
    ),
}
