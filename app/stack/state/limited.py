"""pydantic's schemas, made so that a long list of wrong elements costs neither time nor memory.

As they are, each wrong element becomes an error, two of a union: the 422 of one call took seconds and 256 MB.
"""

from collections.abc import Callable
from typing import Any

from pydantic import ValidationError
from pydantic_core import SchemaValidator, core_schema

from stack.state.problems import COUNTED

# What holds any number of elements, as pydantic names it.
_MANY = ("list", "deque", "tuple", "set", "frozenset", "dict", "frozendict", "ordered-dict", "counter")
_ELEMENTS = ("items_schema", "keys_schema", "values_schema")


def validator(schema: Any) -> SchemaValidator:
    """What validates by such a copy; by itself it would take the one that each model has made of its own schema."""
    return SchemaValidator(schema, _use_prebuilt=False)


def failing_fast(schema: Any) -> Any:
    """A copy of a core schema that takes the same, and stops at the first error of each list or dictionary."""
    return _changed(schema, lambda many: many | {"fail_fast": True})


def counting(schema: Any) -> Any:
    """A copy that takes any element once COUNTED were wrong: for the text of an error, never to say what fits.

    Its context must be an empty list.
    """

    def counted(many: dict[str, Any]) -> dict[str, Any]:
        return many | {name: _counted(many[name]) for name in _ELEMENTS if name in many}

    return _changed(schema, counted)


def _counted(schema: Any) -> Any:
    if isinstance(schema, list):  # of a tuple, whose places have schemas of their own
        return [_counted(each) for each in schema]
    return core_schema.with_info_wrap_validator_function(_element, schema)


def _element(value: Any, validate: Callable[[Any], Any], info: Any) -> Any:
    if len(info.context) >= COUNTED:
        return value
    try:
        return validate(value)
    except ValidationError:
        info.context.append(None)
        raise


def readable(text: str) -> str:
    """The text of an error by a `counting` copy, whose places name a choice of a union by what it holds."""
    return text.replace(f"function-wrap[{_element.__name__}()]", "...")


def _changed(schema: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """The schema, with each part that holds any number of elements changed."""
    # Of these very types: a member of an enumeration may be a list, a tuple or a dictionary too.
    if type(schema) is list:
        return [_changed(each, change) for each in schema]
    if type(schema) is tuple:  # a choice of a union, with its label
        return tuple(_changed(each, change) for each in schema)
    if type(schema) is not dict:
        return schema
    kept = ("metadata", "serialization", "default", "expected", "config")  # data, in which nothing is a schema
    copy = {name: value if name in kept else _changed(value, change) for name, value in schema.items()}
    return change(copy) if copy.get("type") in _MANY else copy
