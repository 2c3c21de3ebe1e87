"""What may stand where: the sections' models, asked by path. For did-you-mean and for the columns of tables."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

Step = str | int


def models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The sections that a value of this annotation can be, directly or as items of a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models(part)


def fields(sections: Iterable[type[BaseModel]]) -> dict[str, FieldInfo]:
    """The keys that may stand in any of these sections, as they are written in the file."""
    return {field.alias or name: field for section in sections for name, field in section.model_fields.items()}


def sections_at(section: Any, path: Sequence[Step]) -> list[type[BaseModel]]:
    """The sections that can stand at `path` below `section`; none where something else stands there."""
    return list(models(annotation_at(section, path)))


def annotation_at(section: Any, path: Sequence[Step]) -> Any:
    """The annotation of the value at `path` below `section`; None where the path leaves the schema.

    A list and its items share an annotation.
    """
    found = section
    for step in path:
        if isinstance(step, str):
            field = fields(models(found)).get(step)
            if field is None:
                return None
            found = field.annotation
    return found


def field_at(section: Any, path: Sequence[Step]) -> FieldInfo | None:
    """The field whose value stands at `path`; None for list items and where the path leaves the schema."""
    if not path or not isinstance(path[-1], str):
        return None
    return fields(models(annotation_at(section, path[:-1]))).get(path[-1])


def takes_text(annotation: Any) -> bool:
    """Whether a value of this annotation can be a text; types of a connector's own are read from text."""
    if isinstance(annotation, type):
        return annotation is not type(None) and not issubclass(
            annotation, int | float | tuple | list | dict | BaseModel
        )
    if get_origin(annotation) is Literal:
        return any(isinstance(choice, str) for choice in get_args(annotation))
    return any(takes_text(part) for part in get_args(annotation))
