"""What an event says to a technician, in Korean and English, with the figures that prove it."""

import math
from dataclasses import dataclass

from analytics.kernels import layout as at
from analytics.kernels.layout import Float64, Int64
from edge_agent.detect.deviation import Deviation, span
from edge_agent.model import EventClass, Label, Machine, Tag
from edge_agent.model.status import status_name


@dataclass(frozen=True, slots=True)
class Figures:
    """What is known of a tag at the moment its event opens; `low` and `high` are the limits of the detector named."""

    value: float
    low: float
    high: float
    score: float
    sigma: float
    slow: float
    fast: float
    seconds: float

    def evidence(self, deviation: Deviation) -> dict[str, float]:
        """Finite figures only: they go into databases."""
        if deviation.bits & at.QUALITY_BITS:
            out = {"status": float(deviation.status), "seconds": self.seconds}
        elif deviation.bits & at.FLAT:
            out = {"value": self.value, "seconds": self.seconds}
        else:
            out = {"value": self.value, "low": self.low, "high": self.high, "score": self.score}
            out |= {"sigma": self.sigma, "level": self.fast, "normal_level": self.slow} if self.sigma > 0 else {}
        return {key: figure for key, figure in out.items() if math.isfinite(figure)}


def figures(deviation: Deviation, i: Int64, f: Float64, p: Float64, score: float, seconds: float) -> Figures:
    """Reads one tag's state (`i`, `f`) and parameters (`p`)."""
    learned = bool(p[at.P_STAT])
    resolution = f[at.F_RES] if f[at.F_RES] <= at.HUGE else 0.0
    sigma = max(math.sqrt(f[at.F_VAR]), float(p[at.P_FLOOR]), float(resolution)) if learned else 0.0
    low, high = _limits(deviation, i, f, p, sigma)
    value = float(f[at.F_LAST]) if learned else deviation.value
    return Figures(value, low, high, score, sigma, float(f[at.F_SLOW]), float(f[at.F_FAST]), seconds)


def _limits(deviation: Deviation, i: Int64, f: Float64, p: Float64, sigma: float) -> tuple[float, float]:
    if deviation.bits & at.RANGE or not deviation.bits & at.LEARNED_BITS:
        return float(p[at.P_LOW]), float(p[at.P_HIGH])
    young = 1.0 + at.YOUNG * p[at.P_LEARN_ROWS] / max(int(i[at.I_ROWS]), 1)
    if deviation.bits & at.LEARNED:
        reach = young * sigma / f[at.F_EASE]
        return float(f[at.F_LO] - reach), float(f[at.F_HI] + reach)
    reach = young * sigma / f[at.F_EASE + 3]
    return float(f[at.F_SLOW] - reach), float(f[at.F_SLOW] + reach)


def name_of(tag: Tag) -> Label:
    """Machine and tag, as people call them."""
    machine = name_of_machine(tag.machine)
    ko, en = tag.label.in_language("ko", tag.name), tag.label.in_language("en", tag.name)
    return Label(f"{machine.ko} {ko}", f"{machine.en} {en}")


def name_of_machine(machine: Machine) -> Label:
    """The machine's label, or its name."""
    return Label(machine.label.in_language("ko", machine.name), machine.label.in_language("en", machine.name))


def sentence(tag: Tag, deviation: Deviation, known: Figures) -> Label:
    """What happened to this tag."""
    name = name_of(tag)
    text = _cause(tag, deviation, known)
    return Label(f"{name.ko}: {text.ko}", f"{name.en}: {text.en}")


def _cause(tag: Tag, deviation: Deviation, known: Figures) -> Label:
    bits, value = deviation.bits, _shown(tag, known.value)
    lasting_ko, lasting_en = span(known.seconds, "ko"), span(known.seconds, "en")
    if bits & at.BAD:
        return _bad(deviation)
    if bits & at.INVALID:
        return Label(
            "받은 값이 쓸 수 있는 숫자가 아닙니다(NaN 등). 센서와 기기를 확인하십시오.",
            "the value received is no usable number (NaN or the like); check the sensor and the device.",
        )
    if bits & at.STALE and deviation.event_class is EventClass.INSTRUMENT:
        return Label(
            f"값이 {lasting_ko} 동안 갱신되지 않았습니다. 같은 설비의 다른 값은 계속 들어옵니다. 마지막 값은 현재값이 "
            "아닙니다. 센서와 기기를 확인하십시오.",
            f"no update for {lasting_en}, while other values of the machine keep coming; the last value is not the "
            "present one. Check sensor and device.",
        )
    if bits & at.STALE:
        return Label(
            f"값이 {lasting_ko} 동안 갱신되지 않았습니다. 마지막 값은 현재값이 아닙니다. 기기와 통신을 확인하십시오.",
            f"no update for {lasting_en}; the last value is not the present one. Check device and communication.",
        )
    if bits & at.FLAT:
        return Label(
            f"고정값: 평소 변하던 값이 {lasting_ko} 동안 {value.ko}에 멈춰 있습니다. 센서와 기기를 확인하십시오.",
            f"flat line: a value that normally moves has stood at {value.en} for {lasting_en}; "
            "check sensor and device.",
        )
    return _process(tag, bits, known)


def _bad(deviation: Deviation) -> Label:
    code = status_name(deviation.status)
    if deviation.event_class is EventClass.COMMUNICATION:
        return Label(
            f"통신 두절: 값을 받지 못하고 있습니다({code}). 배선, 전원, 주소를 확인하십시오.",
            f"communication loss: the value does not arrive ({code}); check wiring, power and address.",
        )
    return Label(
        f"품질 불량: 기기가 값을 쓸 수 없다고 알립니다({code}). 센서(단선)와 기기를 확인하십시오.",
        f"quality bad: the device says that the value cannot be used ({code}); check the sensor (burn-out) and device.",
    )


def _process(tag: Tag, bits: int, known: Figures) -> Label:
    unit = tag.unit
    value, low, high = _shown(tag, known.value), _number(known.low, unit), _number(known.high, unit)
    if bits & at.RANGE:
        return Label(
            f"값 {value.ko}이(가) 계기 범위 {low} … {high}를 벗어났습니다.",
            f"the value {value.en} is outside the instrument's range {low} … {high}.",
        )
    if bits & at.LEARNED:
        return Label(
            f"값 {value.ko}이(가) 학습된 범위 {low} … {high}를 벗어났습니다.",
            f"the value {value.en} is outside the learned range {low} … {high}.",
        )
    slow, fast, times = _number(known.slow, unit), _number(known.fast, unit), f"{known.score:.2g}"
    if bits & at.RATE:
        return Label(
            f"급변: 값이 한계의 {times}배 속도로 변해 {value.ko}이(가) 되었습니다(평소 {slow}).",
            f"step: the value changed at {times} times the limit of its rate, to {value.en} (normally {slow}).",
        )
    if bits & at.HAMPEL:
        return Label(
            f"값 {value.ko}이(가) 최근 값들의 중앙값에서 한계의 {times}배만큼 벗어났습니다(평소 {slow}).",
            f"the value {value.en} is off the median of the latest values by {times} times the limit "
            f"(normally {slow}).",
        )
    what = Label("수준 이동", "shift of level") if bits & at.EWMA else Label("점진 변화", "drift")
    return Label(
        f"{what.ko}: 평균이 {slow}에서 {fast}(으)로 옮겨 갔습니다(관리 한계 {low} … {high}).",
        f"{what.en}: the mean went from {slow} to {fast} (control limits {low} … {high}).",
    )


def outage_sentence(machine: Machine, link: str, gone: int, of: int) -> Label:
    """What happened to a whole machine."""
    name = name_of_machine(machine)
    return Label(
        f"{name.ko}: 통신 두절. 링크 {link}의 태그 {of}개 중 {gone}개의 값이 들어오지 않습니다. "
        "기기 전원, 케이블, 네트워크를 확인하십시오.",
        f"{name.en}: communication loss. {gone} of {of} tags of link {link} have no usable value; "
        "check the device's power, the cable and the network.",
    )


def _shown(tag: Tag, value: float) -> Label:
    """A value of this tag: the number with its unit, or what it means where it is a state."""
    number, meaning = _number(value, tag.unit), tag.meaning(value)
    if meaning is None:
        return Label(number, number)
    return Label(f"{meaning.in_language('ko')}({number})", f"{meaning.in_language('en')} ({number})")


def _number(value: float, unit: str) -> str:
    if math.isinf(value):
        return "-∞" if value < 0 else "∞"
    return f"{value:.6g} {unit}".rstrip()
