"""How a fault looks on a terminal."""

from edge_agent.config.report import error_text, fault_text
from edge_agent.config.source import Source, masked
from edge_agent.errors import ConfigError, Fault, Words


def fault(excerpt: str, column: int) -> Fault:
    return Fault("EA-105", "a.yaml", 3, column, Words("원인", "cause"), Words("조치", "cure"), excerpt)


def quoted(excerpt: str, column: int) -> tuple[str, str]:
    _, line, caret, _ = fault_text(fault(excerpt, column), "ko").split("\n")
    return line.removeprefix("    | "), caret.removeprefix("    | ")


def test_parts() -> None:
    assert fault_text(fault("a: b", 4), "en") == "a.yaml:3:4: [EA-105] cause\n    | a: b\n    |    ^\n    → cure"
    assert fault_text(fault("", 0), "ko") == "a.yaml:3: [EA-105] 원인\n    → 조치"


def test_caret_stands_under_the_fault_behind_wide_letters() -> None:
    assert quoted("ko: 온도 x", 8) == ("ko: 온도 x", " " * 9 + "^")


def test_invisible_letters_are_made_visible() -> None:
    assert quoted("\ta: b", 1) == ("⇥a: b", "^")
    assert quoted("a\x07b", 3) == ("a▯b", "  ^")


def test_long_lines_are_cut_around_the_fault() -> None:
    line, caret = quoted("x" * 500 + "FAULT" + "y" * 500, 501)
    assert line.startswith("…x")
    assert line.endswith("y…")
    assert line[len(caret) - 1 :].startswith("FAULT")
    assert len(line) <= 102


def test_all_faults_then_their_number() -> None:
    error = ConfigError("a.yaml", (fault("a", 1), fault("b", 1)))
    assert error_text(error, "en").endswith("\n\na.yaml: 2 faults. Correct the items above and check again.")
    assert error_text(error, "ko").count("[EA-105]") == 2


def test_secrets_are_masked() -> None:
    assert masked("    token: abc def # x") == "    token: **** # x"
    assert masked("  password: 'a b'") == "  password: ****"
    assert masked("user: {name: op, password: hunter2}") == "user: {name: op, password: ****}"
    assert masked("url: opc.tcp://op:pw@10.0.0.1:4840") == "url: opc.tcp://****@10.0.0.1:4840"
    assert masked("token: {credential: influx-token}") == "token: {credential: influx-token}"
    assert masked("비밀번호: 가나다") == "비밀번호: ****"


def test_lines_are_counted_as_yaml_counts_them() -> None:
    source = Source("a.yaml", "a\r\nb\rc\x85d\u2028e\n")
    assert [source.line(number) for number in range(1, 7)] == ["a", "b", "c", "d", "e", ""]
    assert (source.place_at(5).line, source.place_at(5).column) == (3, 1)


def test_a_fault_behind_a_masked_secret_is_not_quoted_at_the_wrong_spot() -> None:
    source = Source("agent.yaml", "site: {token: abcdefghijkl}}")
    assert source.place(1, 28).excerpt == ""
    assert source.place(1, 8).excerpt == "site: {token: ****}}"
