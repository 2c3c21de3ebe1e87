"""The catalogue of faults, first part: the file is no YAML."""

from typing import Final

from edge_agent.config.entry import Entry, entry

SYNTAX: Final[dict[str, Entry]] = {
    # EA-101: the file is no YAML.
    "syntax.tab": entry(
        "EA-101",
        "줄 앞에 탭(Tab)이 있습니다. YAML은 탭으로 들여쓸 수 없습니다.",
        "There is a tab at the start of the line. YAML cannot be indented with tabs.",
        "탭을 지우고 빈칸(스페이스) 2칸씩 들여쓰십시오. 편집기에서 '탭을 공백으로 변환'을 켜 두면 편합니다.",
        "Replace the tab by spaces, two per level. Most editors can convert tabs to spaces.",
    ),
    "syntax.wide": entry(
        "EA-101",
        "전각 문자 또는 특수 문자 '{sign}' ({character})이(가) 있습니다. YAML 기호로 읽히지 않습니다.",
        "There is a full-width or typographic character '{sign}' ({character}). YAML does not read it as a sign.",
        "키보드를 영문 상태로 바꾸고 같은 기호(: \" ' , - 또는 빈칸)를 다시 입력하십시오.",
        "Switch the keyboard to English and type the plain sign again (: \" ' , - or a space).",
    ),
    "syntax.colon_space": entry(
        "EA-101",
        "'{key}:' 뒤에 빈칸이 없습니다.",
        "There is no space after '{key}:'.",
        "쌍점(:) 뒤를 한 칸 띄우십시오. 예: {key}: 값",
        "Put one space after the colon, like this: {key}: value",
    ),
    "syntax.colon_twice": entry(
        "EA-101",
        "한 줄에 '키: 값'이 두 번 나옵니다.",
        "There are two 'key: value' pairs on one line.",
        '값 안에 쌍점이 들어간다면 값 전체를 큰따옴표로 묶고(예: {key}: "A: B"), 아니라면 줄을 나누십시오.',
        'If the colon belongs to the value, quote the whole value ({key}: "A: B"); otherwise start a new line.',
    ),
    "syntax.indent": entry(
        "EA-101",
        "이 줄의 들여쓰기가 윗줄과 맞지 않습니다. 윗줄에 이미 값이 있는데 그 아래로 들여썼거나, 윗줄의 "
        "쌍점(:)이 빠졌습니다.",
        "The indentation does not fit the line above: that line already has a value, or its colon is missing.",
        "같은 묶음의 키는 첫 글자를 같은 칸에 맞추십시오. 하위 항목이라면 윗줄을 '키:'로 끝내십시오.",
        "Start the keys of one group in the same column. If this line belongs below the one above, end "
        "that with 'key:'.",
    ),
    "syntax.quote_open": entry(
        "EA-101",
        "여기서 연 따옴표가 닫히지 않았습니다.",
        "The quotation mark opened here is never closed.",
        "값이 끝나는 곳에 같은 따옴표를 넣으십시오.",
        "Put the same quotation mark where the value ends.",
    ),
    "syntax.bracket_open": entry(
        "EA-101",
        "대괄호 [ 로 시작한 목록에 쉼표(,)나 닫는 대괄호 ] 가 빠졌습니다.",
        "A list that starts with [ lacks a comma or its closing ].",
        "항목 사이에 쉼표를, 끝에 ] 를 넣으십시오. 예: [0, 1200]",
        "Put commas between the items and ] at the end, like this: [0, 1200]",
    ),
    "syntax.brace_open": entry(
        "EA-101",
        "중괄호 {{ 로 시작한 묶음에 쉼표(,)나 닫는 중괄호 }} 가 빠졌습니다.",
        "A group that starts with {{ lacks a comma or its closing }}.",
        "항목 사이에 쉼표를, 끝에 }} 를 넣으십시오. 예: {{ko: 온도, en: Temperature}}",
        "Put commas between the pairs and }} at the end, like this: {{ko: 온도, en: Temperature}}",
    ),
    "syntax.unclosed": entry(
        "EA-101",
        "여기서 연 괄호 '{sign}' 이(가) 닫히지 않은 채 다음 줄로 넘어갑니다.",
        "The bracket '{sign}' opened here is not closed before the next line.",
        "이 묶음이 끝나는 곳에 '{closing}' 을(를) 넣으십시오. 안쪽 괄호의 짝도 확인하십시오.",
        "Put '{closing}' where this group ends, and check that the brackets inside it pair up.",
    ),
    "syntax.flow_colon": entry(
        "EA-101",
        "괄호 안의 쌍점(:) 뒤에 빈칸이나 값이 없습니다.",
        "Inside brackets a colon has no space or no value after it.",
        "'키: 값'처럼 한 칸 띄우고 값을 쓰십시오. 값이 없으면 키를 지우십시오.",
        "Write 'key: value' with a space; delete a key that has no value.",
    ),
    "syntax.dash": entry(
        "EA-101",
        "목록 기호 '-'가 '키:'와 같은 줄에 있거나 들여쓰기가 맞지 않습니다.",
        "The list sign '-' is on the same line as 'key:', or is indented wrongly.",
        "'-' 항목을 다음 줄로 내리고 빈칸 2칸 들여쓰십시오.",
        "Move the '-' to the next line and indent it by two spaces.",
    ),
    "syntax.list_indent": entry(
        "EA-101",
        "목록 중간에 '-'로 시작하지 않는 줄이 있거나 '-'의 칸이 서로 다릅니다.",
        "A line in the list does not start with '-', or the '-' signs are not in the same column.",
        "같은 목록의 '-'는 모두 같은 칸에 맞추고, 항목에 딸린 키는 '-' 다음 글자와 같은 칸에 맞추십시오.",
        "Put all '-' of a list in one column, and the keys of an item under the first letter after its '-'.",
    ),
    "syntax.colon_missing": entry(
        "EA-101",
        "이 줄에는 '키: 값'의 쌍점(:)이 없습니다.",
        "This line has no colon, but a 'key: value' pair is expected.",
        "키 뒤에 쌍점과 빈칸을 넣으십시오. 예: name: furnace-1. 설명이라면 줄 앞에 #을 붙이십시오.",
        "Put a colon and a space after the key (name: furnace-1). If the line is a comment, start it with #.",
    ),
    "syntax.quote_sign": entry(
        "EA-101",
        "'{sign}' 기호로 시작하는 값은 따옴표 없이 쓸 수 없습니다.",
        "A value cannot start with the sign '{sign}' unless it is quoted.",
        '값을 큰따옴표로 묶으십시오: "{word}"',
        'Put the value in double quotes: "{word}"',
    ),
    "syntax.key_expected": entry(
        "EA-101",
        "여기에는 '키: 값'이 와야 합니다. 들여쓰기가 맞지 않거나, 닫는 따옴표 뒤에 글자가 더 있거나, "
        "괄호가 하나 더 있습니다.",
        "A 'key: value' pair is expected here. The indentation is off, or text follows a closing quote or bracket.",
        "이 줄의 첫 글자를 같은 묶음의 윗줄과 같은 칸에 맞추고, 따옴표와 괄호의 짝을 확인하십시오.",
        "Start this line in the same column as its neighbours above, and check that quotes and brackets pair up.",
    ),
    "syntax.content": entry(
        "EA-101",
        "값이 와야 할 자리에 다른 기호가 있습니다.",
        "Another sign stands where a value is expected.",
        "빠진 값을 넣거나 남는 기호(쉼표, 괄호)를 지우십시오. 기호가 값이라면 큰따옴표로 묶으십시오.",
        "Add the missing value or delete the extra comma or bracket. If the sign is the value, put it in "
        "double quotes.",
    ),
    "syntax.root_indent": entry(
        "EA-101",
        "파일의 첫 묶음이 끝난 뒤에 내용이 더 있습니다. 이 줄의 들여쓰기가 첫 줄보다 앞으로 나왔습니다.",
        "There is more after the end of the first group: this line starts further left than the first one.",
        "맨 위 키(site, machines, links …)는 모두 첫 칸에서 시작하십시오.",
        "Start all top keys (site, machines, links …) in the first column.",
    ),
    "syntax.escape": entry(
        "EA-101",
        "큰따옴표 안의 역슬래시(\\)는 특수 문자로 읽힙니다.",
        "A backslash inside double quotes starts an escape sequence.",
        "작은따옴표를 쓰십시오. 예: 'C:\\data'",
        "Use single quotes, like this: 'C:\\data'",
    ),
    "syntax.block_text": entry(
        "EA-101",
        "'|' 또는 '>' 뒤에 글자가 있습니다.",
        "There is text after '|' or '>'.",
        '값을 큰따옴표로 묶으십시오. 예: "|A|"',
        'Put the value in double quotes, like this: "|A|"',
    ),
    "syntax.documents": entry(
        "EA-101",
        "파일 중간에 문서 구분선 '---'이 있습니다. 설정은 한 파일에 하나입니다.",
        "There is a second document ('---') in the file. A file holds one configuration.",
        "'---' 줄을 지우거나 아래 내용을 다른 파일로 옮기십시오.",
        "Delete the '---' line, or move what follows into a file of its own.",
    ),
    "syntax.tag": entry(
        "EA-101",
        "'{tag}': 지원하지 않는 YAML 형식 표시입니다.",
        "'{tag}': this YAML type mark is not supported.",
        "'!'로 시작하는 표시를 지우거나, 값이라면 큰따옴표로 묶으십시오.",
        "Delete the mark that starts with '!', or put it in double quotes if it is a value.",
    ),
    "syntax.alias": entry(
        "EA-101",
        "'*{name}': 가리키는 &{name} 이(가) 이 줄 위에 없습니다.",
        "'*{name}' points to &{name}, which does not exist above this line.",
        '위쪽에 &{name} 을(를) 정의하십시오. 값이라면 큰따옴표로 묶으십시오. 예: "*{name}"',
        'Define &{name} further up. If it is a value, put it in double quotes: "*{name}"',
    ),
    "syntax.key": entry(
        "EA-101",
        "키 자리에 목록이나 묶음이 있습니다. 키는 글자여야 합니다.",
        "A list or a group stands in the place of a key. A key must be a word.",
        "'? ' 표시나 괄호를 지우고 '키: 값'으로 쓰십시오.",
        "Delete the '? ' or the brackets and write 'key: value'.",
    ),
    "syntax.merge": entry(
        "EA-101",
        "'<<'에는 다른 묶음을 가리키는 *이름만 쓸 수 있습니다.",
        "'<<' takes only a *name that points to another group.",
        "예: '<<: *기본값'. 필요 없으면 줄을 지우십시오.",
        "Write '<<: *defaults', or delete the line.",
    ),
    "syntax.other": entry(
        "EA-101",
        "YAML 문법 오류입니다 ({problem}).",
        "This is not valid YAML ({problem}).",
        "이 줄과 바로 윗줄의 들여쓰기, 쌍점(:), 따옴표, 괄호를 확인하십시오.",
        "Check indentation, colons, quotes and brackets of this line and the one above.",
    ),
}
