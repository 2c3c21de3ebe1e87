"""Report: one HTML file with everything in it, for a browser without a network: figures, events, a picture a tag."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

import numpy as np

from edge_agent.backtest.comparison import Comparison
from edge_agent.backtest.trace import Trace
from edge_agent.cli.backtest import screen
from edge_agent.cli.backtest.account import Account
from edge_agent.cli.backtest.plot import Curves, Scale, plot
from edge_agent.cli.journal.moment import local_texts
from edge_agent.cli.speech import Speech
from edge_agent.cli.view_words import SEVERITY
from edge_agent.detect.deviation import span
from edge_agent.detect.sentence import name_of
from edge_agent.model import Event

MOST_PLOTS: Final = 200
MOST_EVENTS: Final = 2_000
_STYLE: Final = """
:root{color-scheme:light dark;--fg:#1c2430;--soft:#5b6675;--line:#d5dbe3;--bg:#fff;--value:#1f6fb5;--score:#7a5bb0}
@media(prefers-color-scheme:dark){:root{--fg:#e4e8ee;--soft:#9aa5b3;--line:#3a4450;--bg:#14181d;--value:#6db3f2;
--score:#b79bea}}
body{font:15px/1.5 "Noto Sans KR","Malgun Gothic","NanumGothic",system-ui,sans-serif;color:var(--fg);
background:var(--bg);margin:0 auto;padding:1.5rem;max-width:1080px}
h1{font-size:1.4rem;margin:0 0 .3rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}h3{font-size:.95rem;margin:1.2rem 0 .1rem}
.soft{color:var(--soft)}ul{margin:.3rem 0;padding-left:1.2rem}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:.5rem;margin:1rem 0}
dl div{border:1px solid var(--line);border-radius:6px;padding:.4rem .7rem}dt{color:var(--soft);font-size:.8rem}
dd{margin:0;font-size:1.15rem;font-variant-numeric:tabular-nums}
table{border-collapse:collapse;width:100%;font-size:.86rem}
td,th{text-align:left;padding:.25rem .5rem;border-bottom:1px solid var(--line);vertical-align:top}
th{white-space:nowrap}td.t{white-space:nowrap;font-variant-numeric:tabular-nums}
.mark{display:inline-block;width:.7em;height:.7em;border-radius:2px;margin-right:.4em}
svg{width:100%;height:auto;display:block}svg text{font-size:11px;fill:var(--soft)}
path{fill:none}path.grid{stroke:var(--line);stroke-width:.6}path.value{stroke:var(--value);stroke-width:1.3}
path.score{stroke:var(--score);stroke-width:1}path.limit{stroke:var(--soft);stroke-width:.7;stroke-dasharray:4 3}
rect.learn{fill:#8a94a3;opacity:.22}.notice{fill:#e0b000;background:#e0b000}.warning{fill:#e8710a;background:#e8710a}
.critical{fill:#d32020;background:#d32020}rect.notice,rect.warning,rect.critical{opacity:.3}
"""


def report(account: Account, other: Account | None, comparison: Comparison | None, speech: Speech) -> str:
    """The whole file. Whatever comes from data or configuration is escaped."""
    say = speech.say
    title = f"{say('백테스트', 'Backtest')}: {account.source.name}"
    body = "".join(
        [
            f"<h1>{escape(title)}</h1>",
            f'<p class="soft">{escape(_subtitle(account, speech))}</p>',
            _figures(account, speech),
            _list(screen.notice_lines(account, speech)),
            _guessed(account, speech),
            _compared(account, other, comparison, speech),
            f"<h2>{say('이벤트', 'Events')} ({len(account.outcome.told)})</h2>",
            _events(account.outcome.events, speech),
            _plots(account, speech),
        ]
    )
    return (
        f'<!doctype html><html lang="{speech.language}"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>{body}</body></html>\n"
    )


def _subtitle(account: Account, speech: Speech) -> str:
    ends = local_texts(np.array([account.outcome.first, account.outcome.last], np.int64), speech.zone).tolist()
    config = account.config or speech.say("설정 없이", "without a configuration")
    return f"{config} · {ends[0][:19]} … {ends[1][:19]}"


def _figures(account: Account, speech: Speech) -> str:
    say, outcome = speech.say, account.outcome
    figures = (
        (say("값", "values"), f"{outcome.values:,}"),
        (say("태그", "tags"), f"{int((outcome.seen > 0).sum())} / {len(outcome.tags)}"),
        (say("기간", "span"), span(outcome.days * 86_400, speech.language)),
        (say("이벤트", "events"), f"{len(outcome.told)}"),
        (say("태그·주당 이벤트", "events a tag and week"), f"{outcome.events_per_tag_week:.3g}"),
        (say("실시간의 배수", "times real time"), f"{account.times_real:,.0f}"),
    )
    cells = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(figure)}</dd></div>" for name, figure in figures)
    return f"<dl>{cells}</dl>"


def _list(lines: Iterator[str]) -> str:
    items = "".join(f"<li>{escape(line.removeprefix('! '))}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""


def _guessed(account: Account, speech: Speech) -> str:
    if not account.guessed:
        return ""
    title = speech.say("열마다 추정한 역할", "What each column was taken for")
    return f"<h2>{title}</h2>" + _list(line.strip() for line in screen.guessed_lines(account.outcome.tags, speech))


def _compared(account: Account, other: Account | None, comparison: Comparison | None, speech: Speech) -> str:
    if other is None or comparison is None:
        return ""
    say = speech.say
    parts = [
        f"<h2>{say('설정 비교', 'Two configurations')}</h2><p>{escape(account.config)} ↔ {escape(other.config)}: "
        f"{say('공통', 'in both')} <b>{len(comparison.both)}</b></p>"
    ]
    for config, events in ((account.config, comparison.first_only), (other.config, comparison.second_only)):
        parts.append(f"<h3>{say('여기에만', 'Only in')} {escape(config)}: {len(events)}</h3>{_events(events, speech)}")
    return "".join(parts)


def _events(events: Sequence[Event], speech: Speech) -> str:
    say = speech.say
    if not events:
        return f'<p class="soft">{say("이벤트 없음", "No events")}</p>'
    heads = (say("시작", "start"), say("지속", "lasted"), say("심각도", "severity"), say("탐지기", "detector"))
    rows = [f"<tr>{''.join(f'<th>{head}</th>' for head in (*heads, say('내용', 'what')))}</tr>"]
    rows += [_event(event, speech) for event in events[:MOST_EVENTS]]
    rest = len(events) - MOST_EVENTS
    more = f"<p>… +{rest} (events.csv)</p>" if rest > 0 else ""
    return f"<table>{''.join(rows)}</table>{more}"


def _event(event: Event, speech: Speech) -> str:
    when = local_texts(np.array([event.start], np.int64), speech.zone)[0][:19]
    lasted = span((event.end - event.start) * 1e-9, speech.language) if event.end else "…"
    severity = event.severity.name.lower()
    return (
        f'<tr><td class="t">{when}</td><td class="t">{lasted}</td><td class="t"><span class="mark {severity}"></span>'
        f"{SEVERITY[speech.language][severity]}</td><td>{escape(event.detector)}</td>"
        f'<td title="{escape(event.path, quote=True)}">{escape(event.text.in_language(speech.language))}</td></tr>'
    )


def _plots(account: Account, speech: Speech) -> str:
    say, outcome, trace = speech.say, account.outcome, account.outcome.trace
    if trace is None:
        return ""
    events: dict[str, list[Event]] = defaultdict(list)
    for event in outcome.events:
        events[event.path].append(event)
    tags = outcome.tags
    shown = [number for number in np.flatnonzero(outcome.seen).tolist() if np.isfinite(trace.low[number]).any()]
    shown.sort(key=lambda number: (tags.paths[number] not in events, number))
    scale = Scale(outcome.first, outcome.last, speech.zone)
    legend = say(
        "파랑: 값(최소…최대), 보라: 점수(점선이 한계), 회색: 학습 중, 노랑·주황·빨강: 이벤트",
        "blue: values (least to largest), violet: score (dashed: its limit), grey: learning, yellow to red: events",
    )
    parts = [f'<h2>{say("태그", "Tags")}</h2><p class="soft">{legend}</p>']
    for number in shown[:MOST_PLOTS]:
        tag = tags[number]
        title = f"{name_of(tag).in_language(speech.language)} {f'({tag.unit})' if tag.unit else ''}"
        own = [*events.get(tag.path, ()), *events.get(tag.machine.path, ())]
        learning = outcome.learning.spans(number, outcome.first, outcome.last) if tag.role.value in ("pv", "mv") else ()
        picture = plot(scale, _curves(trace, number, tag.interval_ns), own, learning, title)
        parts.append(f'<h3>{escape(title)} <span class="soft">{escape(tag.path)}</span></h3>{picture}')
    if len(shown) > MOST_PLOTS:
        rest = len(shown) - MOST_PLOTS
        parts.append(
            f"<p>{say(f'그림은 {MOST_PLOTS}개까지. 나머지 {rest}개', f'{MOST_PLOTS} pictures; {rest} more tags')}</p>"
        )
    return "".join(parts)


def _curves(trace: Trace, number: int, interval: int) -> Curves:
    apart = max(3 * trace.width, 10 * interval, 2_000_000_000)
    return Curves(trace.times(), trace.low[number], trace.high[number], trace.top[number], apart)
