"""What is wrong with a setting, and the cure, in both languages: raised by validators of the sections."""

from typing import Any, NoReturn

from pydantic_core import PydanticCustomError

from edge_agent.api import Words


def fault(code: str, cause: Words, cure: Words) -> NoReturn:
    """Refuses a setting; `code` is the fault's short name in the report."""
    words = {"ko": cause.ko, "en": cause.en, "cure_ko": cure.ko, "cure_en": cure.en}
    raise PydanticCustomError(code, "{en}", words)


def some(items: tuple[Any, ...]) -> tuple[Any, ...]:
    """`items`, refused where there are none."""
    if not items:
        fault(
            "list_empty",
            Words("목록이 비어 있습니다", "the list is empty"),
            Words("항목을 하나 이상 쓰십시오", "write at least one entry"),
        )
    return items
