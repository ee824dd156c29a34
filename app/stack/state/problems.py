"""What is wrong with a call, in a text that stays short whatever was sent: a 422 under 16 KB."""

import json
from collections.abc import Iterable
from typing import Any

SHOWN = 10  # problems that one answer names
COUNTED = 1_000  # problems after which nobody looks for more: each costs time and memory
_BYTES = 1_000  # of one of them, as JSON


class Problems:
    """Collects problems, and says the first of them and how many more there are."""

    def __init__(self, partly: bool = False) -> None:
        self.partly = partly  # whether there may be more than are added
        self._first: list[str] = []
        self.count, self._cost = 0, 0

    @property
    def enough(self) -> bool:
        """Whether so many are known that it is not worth looking for more."""
        self.partly |= self._cost >= COUNTED
        return self.partly

    def add(self, text: str, cost: int = 1) -> None:
        """Note a problem; `cost` is how many had to be found for it."""
        self.count += 1
        self._cost += cost
        if len(self._first) < SHOWN:
            self._first.append(cut(text))

    def text(self) -> str:
        """All of it on one line; empty where there is no problem."""
        more = self.count - len(self._first)
        rest = [f"and {'at least ' if self.partly else ''}{more} more"] if more else []
        return "; ".join(self._first + rest)


class Wrong(ValueError):
    """Problems as an exception: its text, and how many they are."""

    def __init__(self, problems: Problems):
        super().__init__(problems.text())
        self.count = problems.count


def listed(texts: Iterable[str], partly: bool = False) -> Problems:
    """These problems; `partly` where they are not all that there are."""
    problems = Problems(partly)
    for text in texts:
        problems.add(text)
    return problems


def cut(text: str, size: int = _BYTES) -> str:
    """The text, or its beginning where it takes more than `size` bytes as JSON, where a character may take twelve."""
    short = text[:size]
    while len(json.dumps(short)) > size:
        short = short[: len(short) * 3 // 4]
    return text if short == text else f"{short}..."


def describe(item: Any, skip: int = 0) -> str:
    """One of pydantic's errors as "argument: reason", without the first `skip` parts of its place."""
    place = ".".join(cut(str(part), 200) for part in item["loc"][skip:] or item["loc"][:1])
    return f"{place}: {item['msg']}" if place else str(item["msg"])
