"""What the models of requests are made of, and how they say what is wrong."""

import re
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def wrong(detail: str) -> PydanticCustomError:
    """Make the error of a validator; the field is known from where it is raised."""
    # As a value of the template, so that braces in the detail mean nothing.
    return PydanticCustomError("wrong", "{detail}", {"detail": detail[:500]})


def wrong_fields(errors: Iterable[tuple[tuple[str | int, ...], str]]) -> ValidationError:
    """Make one error of several within the value that is being validated, each by its place."""
    return ValidationError.from_exception_data(
        "content",
        [InitErrorDetails(type=wrong(detail), loc=place, input=None) for place, detail in errors],
    )


def _printable(value: str) -> str:
    if _CONTROL.search(value):
        raise wrong("holds a control character")
    return value


Text = Annotated[str, AfterValidator(_printable)]


def anew(default: list[Any] | dict[str, Any]) -> Any:  # noqa: ANN401 - as `Field` has it
    """Make the default of a field that each model gets one of its own of.

    The library would copy it deeply, which takes a tenth of what reading a job takes.
    """
    return Field(default_factory=default.copy, json_schema_extra={"default": default})


class Body(BaseModel):
    """What every request body has in common."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True
    )

    def __repr__(self) -> str:
        """Show nothing of what may hold secrets; the library writes every argument down."""
        return f"{type(self).__name__}(…)"
