"""Changes of some fields of a thing: JSON merge patches (RFC 7386)."""

from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from punctual.api.schemas import field_errors
from punctual.core.errors import InvalidRequest

M = TypeVar("M", bound=BaseModel)


def merged(value: Any, patch: Any) -> Any:  # noqa: ANN401 - JSON
    """Return what a patch makes of a value: objects field by field, all else whole.

    A field that the patch says is null goes, and so has its default again.
    """
    if not isinstance(patch, dict):
        return patch
    result = dict(value) if isinstance(value, dict) else {}
    for name, change in patch.items():
        if change is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), change)
    return result


def read_as(
    model: type[M],
    value: Any,  # noqa: ANN401 - JSON
    *,
    cloud: bool,
    tenant: Callable[[], str],
) -> M:
    """Read a value as a request would be that held it; see `Reader`.

    Raises:
        InvalidRequest: It is not one; the error names every field at fault.
    """
    try:
        return model.model_validate(value, context={"cloud": cloud, "tenant": tenant})
    except ValidationError as error:
        raise InvalidRequest(field_errors(error)) from None
