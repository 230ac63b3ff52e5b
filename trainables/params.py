"""Validation of params, with errors that say what was expected."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from trainables.naming import unknown


class Params(BaseModel):
    """Params of a trainable as typed fields with ranges and defaults."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


P = TypeVar("P", bound=Params)


def validated(kind: type[P], params: Mapping[str, Any]) -> P:
    """The params as an instance of `kind`.

    Raises:
        ValueError: If a param is unknown, missing or invalid.
    """
    for name in params:
        if name not in kind.model_fields:
            raise ValueError(unknown("param", name, kind.model_fields))
    try:
        return kind.model_validate(dict(params))
    except ValidationError as error:
        errors = error.errors()
        name = str(errors[0]["loc"][0])
        # Of a union there is a message per kind of value.
        expected = dict.fromkeys(each["msg"] for each in errors if each["loc"][0] == name)
        message = " or ".join(expected).replace(" or Input should be", " or")
        given = f", got {params[name]!r}" if name in params else ""
        raise ValueError(f"{name}: {message}{given}") from None
