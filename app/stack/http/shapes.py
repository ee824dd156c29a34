"""What every call of the API takes and answers: the base of its bodies, and an error."""

from typing import Any

from ninja import Schema
from pydantic import ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from stack.state.problems import SHOWN, listed


class Problem(Schema):
    error: dict[str, str]


class Body(Schema):
    """Base of what a call takes: an unknown field is refused, since a misspelt one would change nothing, silently."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _few_unknown(cls, sent: Any) -> Any:
        """A hundred thousand unknown fields are one error, not as many."""
        fields = getattr(sent, "_obj", sent)  # ninja's wrapper around what was sent
        if isinstance(fields, dict) and len(unknown := fields.keys() - cls.model_fields.keys()) > SHOWN:
            raise PydanticCustomError("unknown", "unknown fields: {names}", {"names": listed(sorted(unknown)).text()})
        return sent
