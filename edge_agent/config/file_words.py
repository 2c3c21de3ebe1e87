"""The catalogue of faults, third part: secrets, files, tables, and the warnings."""

from typing import Final

from edge_agent.config.entry import Entry, entry

FILES: Final[dict[str, Entry]] = {
    # EA-130 … 132: secrets.
    "secret.one_of": entry(
        "EA-130",
        "'{key}': env, file, credential 가운데 정확히 하나를 적어야 합니다.",
        "'{key}' needs exactly one of env, file, credential.",
        "하나만 적으십시오. 예: {key}: {{credential: 이름}}",
        "Write one of them, for example {key}: {{credential: NAME}}.",
    ),
    "secret.inline": entry(
        "EA-131",
        "'{key}': 암호나 토큰을 설정 파일에 직접 적을 수 없습니다. 파일이 복사되면 함께 새어 나갑니다.",
        "'{key}': a password or token cannot be written into this file; it would leak with every copy of it.",
        "비밀 값은 따로 두고 있는 곳만 적으십시오. 예: {key}: {{credential: 이름}}. 이미 적은 "
        "값은 새로 발급받으십시오.",
        "Keep it elsewhere and write where it is, like {key}: {{credential: NAME}}. Replace the one written here.",
    ),
    "secret.file": entry(
        "EA-132",
        "비밀 파일 '{path}'을(를) 찾을 수 없습니다.",
        "The secret's file '{path}' does not exist.",
        "파일을 만들거나 경로를 고치십시오. 상대 경로는 설정 파일이 있는 폴더가 기준입니다.",
        "Create the file or correct the path. A relative path starts at the folder of the configuration file.",
    ),
    # EA-140 … 143: files.
    "file.missing": entry(
        "EA-140",
        "파일 '{path}'이(가) 없습니다.",
        "The file '{path}' does not exist.",
        "파일 이름과 경로를 확인하십시오. 대소문자도 구분합니다.",
        "Check the name and the path; capital and small letters differ.",
    ),
    "file.directory": entry(
        "EA-140",
        "'{path}'은(는) 파일이 아니라 폴더입니다.",
        "'{path}' is a folder, not a file.",
        "폴더 안의 파일 이름까지 적으십시오.",
        "Name the file inside the folder.",
    ),
    "file.special": entry(
        "EA-140",
        "'{path}'은(는) 일반 파일이 아닙니다.",
        "'{path}' is not a regular file.",
        "일반 파일의 경로를 적으십시오.",
        "Name a regular file.",
    ),
    "file.permission": entry(
        "EA-140",
        "파일 '{path}'을(를) 읽을 권한이 없습니다.",
        "The file '{path}' may not be read by this user.",
        "에이전트가 읽을 수 있게 하십시오. 예: sudo chmod a+r {path}",
        "Let the agent read it, for example: sudo chmod a+r {path}",
    ),
    "file.unreadable": entry(
        "EA-140",
        "파일 '{path}'을(를) 읽을 수 없습니다 ({reason}).",
        "The file '{path}' cannot be read ({reason}).",
        "경로와 저장 장치를 확인하십시오.",
        "Check the path and the disk.",
    ),
    "file.large": entry(
        "EA-141",
        "파일이 {limit} MiB보다 큽니다. 설정 파일이 맞는지 의심됩니다.",
        "The file is larger than {limit} MiB. It is probably not a configuration.",
        "파일을 확인하십시오. 태그가 많다면 링크별로 CSV를 나누십시오.",
        "Check the file. If there are that many tags, use one CSV per link.",
    ),
    "file.deep": entry(
        "EA-141",
        "묶음이 {limit}단계보다 깊습니다.",
        "The nesting is deeper than {limit} levels.",
        "들여쓰기와 괄호를 확인하십시오. 설정은 10단계를 넘지 않습니다.",
        "Check indentation and brackets; a configuration needs fewer than 10 levels.",
    ),
    "file.complex": entry(
        "EA-141",
        "&이름과 *이름을 펼치면 값이 {limit}개를 넘습니다.",
        "With all *names filled in there are more than {limit} values.",
        "&이름 안에서 *이름을 되풀이하지 마십시오.",
        "Do not repeat *names inside of &names.",
    ),
    "file.empty": entry(
        "EA-142",
        "설정 파일에 내용이 없습니다.",
        "The configuration file is empty.",
        "configs 폴더의 예제에서 시작하십시오. 필요한 키: site, machines, links.",
        "Start from an example in the folder configs. Needed keys: site, machines, links.",
    ),
    "file.no_mapping": entry(
        "EA-142",
        "설정 파일은 '키: 값'으로 이루어져야 하는데 다른 내용이 있습니다.",
        "The configuration must consist of 'key: value' pairs, but something else is there.",
        "configs 폴더의 예제와 비교하십시오. 맨 위 키는 site, machines, links 입니다.",
        "Compare it with an example in the folder configs. The top keys are site, machines, links.",
    ),
    "encoding.cp949": entry(
        "EA-143",
        "파일이 UTF-8이 아니라 CP949(EUC-KR, 윈도우 'ANSI')로 저장되어 있습니다.",
        "The file is saved in CP949 (EUC-KR, 'ANSI' on Korean Windows), not in UTF-8.",
        "편집기에서 '다른 이름으로 저장 → 인코딩: UTF-8'로 저장하거나, 다음을 실행하십시오: "
        "iconv -f CP949 -t UTF-8 {file} > new.yaml",
        "Save it again with the encoding UTF-8, or run: iconv -f CP949 -t UTF-8 {file} > new.yaml",
    ),
    "encoding.unknown": entry(
        "EA-143",
        "글자로 읽을 수 없는 바이트 {byte}이(가) 있습니다. 파일이 깨졌거나 UTF-8이 아닙니다.",
        "There is a byte {byte} that is no text. The file is damaged or not in UTF-8.",
        "파일을 다시 복사하거나 편집기에서 UTF-8로 저장하십시오.",
        "Copy the file again, or save it as UTF-8 in an editor.",
    ),
    "encoding.control": entry(
        "EA-143",
        "보이지 않는 제어 문자 {character}이(가) 있습니다.",
        "There is an invisible control character {character}.",
        "그 글자를 지우고 줄을 다시 입력하십시오. 텍스트 파일이 맞는지도 확인하십시오.",
        "Delete it and type the line again. Check that this is a text file at all.",
    ),
    # EA-144 … 145: tables.
    "table.header": entry(
        "EA-144",
        "{column}번째 열의 제목이 비어 있는데 값이 있습니다.",
        "Column {column} has values but no header.",
        "제목을 넣거나 열을 지우십시오. 쓸 수 있는 제목: 태그, 설비, 역할, 단위, 주소, 배율, 주기, 한글명, 영문명 …",
        "Give it a header or delete it. Headers: tag, machine, role, unit, address, scale, interval, "
        "label.ko, label.en …",
    ),
    "table.twice": entry(
        "EA-144",
        "'{header}': 같은 뜻의 열이 이미 있습니다 ({first}번째 열).",
        "'{header}': another column means the same (column {first}).",
        "두 열 가운데 하나를 지우십시오.",
        "Delete one of the two columns.",
    ),
    "table.both": entry(
        "EA-144",
        "'{header}' 열과 '{other}' 열을 함께 쓸 수 없습니다.",
        "The columns '{header}' and '{other}' exclude each other.",
        "한쪽만 남기십시오.",
        "Keep one of them.",
    ),
    "table.long": entry(
        "EA-145",
        "이 줄의 칸 수({cells})가 제목의 칸 수({headers})보다 많습니다.",
        "This line has {cells} cells, but the header has {headers}.",
        "값에 쉼표가 들어 있으면 큰따옴표로 묶고, 남는 칸은 지우십시오.",
        "Put a value that contains the separator in double quotes, and delete extra cells.",
    ),
    "table.broken": entry(
        "EA-145",
        '표의 큰따옴표(") 짝이 맞지 않아 여기부터 읽을 수 없습니다 ({problem}).',
        "The double quotes do not pair up; from here on the table cannot be read ({problem}).",
        '연 따옴표는 같은 칸에서 닫고, 값 안의 큰따옴표는 두 번("") 쓰십시오.',
        'Close each quote within its cell, and write a double quote inside a value twice ("").',
    ),
    "table.name": entry(
        "EA-146",
        "'tags_file': CSV 파일 이름이 와야 합니다.",
        "'tags_file' must be the name of a CSV file.",
        "예: tags_file: furnace.csv (설정 파일과 같은 폴더 기준)",
        "Write for example: tags_file: furnace.csv (looked for beside the configuration file).",
    ),
    # EA-149: the tail of a long list.
    "more": entry(
        "EA-149",
        "같은 종류의 오류 {code}이(가) {count}건 더 있습니다. 줄: {lines}",
        "{count} more faults {code} like these; lines: {lines}",
        "위의 항목과 같은 방법으로 고치십시오.",
        "Correct them in the same way as those above.",
    ),
    # EA-151 …: warnings; the agent starts all the same.
    "warn.signals": entry(
        "EA-151",
        "설비 '{machine}'의 태그가 {count}개입니다. 허브의 표 하나에는 180개까지가 알맞습니다.",
        "Machine '{machine}' has {count} tags; a measurement in the hub's database should have no more than 180.",
        "설비를 둘 이상으로 나누면 조회가 빨라집니다. 그대로 두어도 수집은 됩니다.",
        "Queries get faster when the machine is split into several. Collection works as it is.",
    ),
    "warn.sinks": entry(
        "EA-152",
        "전송 대상(sinks)이 없습니다. 값은 이 장비의 저널에만 남고, 오래된 것부터 지워집니다.",
        "There are no sinks: values stay in this gateway's journal only, and the oldest are deleted in time.",
        "허브로 보내려면 sinks에 influxdb를 추가하십시오.",
        "Add an influxdb entry to 'sinks' to send them to a hub.",
    ),
    "warn.link": entry("EA-154", "{cause}", "{cause}", "{cure}", "{cure}"),
    "warn.quarrel": entry(
        "EA-154",
        "링크 '{link}'은(는) {thing} 포트를 {settings} 로, 링크 '{other}'({first})은(는) {others} 로 씁니다. "
        "먼저 연 링크만 통신합니다.",
        "Link '{link}' wants {thing} with {settings}, link '{other}' ({first}) with {others}: "
        "only the one that opens it first will read.",
        "한 회선의 모든 장치를 같은 통신속도와 패리티로 맞추고, 두 링크에 같은 값을 쓰십시오.",
        "Set all devices of the line to the same baud rate and parity, and write the same in both links.",
    ),
    "warn.shares": entry(
        "EA-155",
        "'shares': '{utility}'을(를) 함께 쓰는 다른 설비가 없습니다.",
        "'shares': no other machine shares '{utility}'.",
        "함께 쓰는 설비에도 같은 이름으로 적으십시오. 다른 설비에 적힌 이름: {others}",
        "Write it at the machines that share it, by the same name. Named at other machines: {others}",
    ),
    "warn.machine": entry(
        "EA-153",
        "설비 '{machine}'에는 태그가 없습니다.",
        "Machine '{machine}' has no tags.",
        "태그를 연결하거나 설비를 지우십시오.",
        "Give it tags, or delete it.",
    ),
    "warn.profile": entry("EA-154", "{cause}", "{cause}", "{cure}", "{cure}"),
}
