"""What is sent for a canvas: its signatures, each with its task's id before anything is sent."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from celery import chain, chord, group
from celery.canvas import Signature
from kombu.utils.uuid import uuid

from stack.state import queues


@dataclass
class Plan:
    """What a call sends, and the ids by which its progress is known.

    Attributes:
        signatures: sent one after the other; made as they are sent where there is much in them.
        members: ids of the tasks that count, in the order of their results.
        sizes: how many items each member stands for (1, or the length of a chunk).
        last: id of the task whose result is the canvas's; empty where the list of all results is.
    """

    kind: str
    signatures: Iterable[Any]
    members: list[str]
    sizes: list[int]
    last: str = ""
    id: str = field(default_factory=uuid)


def named(signature: Signature) -> str:
    """Give a signature its task id and return it."""
    task_id = uuid()
    signature.set(task_id=task_id)
    return task_id


def plan_group(tasks: list[Signature]) -> Plan:
    """All at once; the result is the list of theirs."""
    members = [named(task) for task in tasks]
    return Plan("group", [group(tasks)], members, [1] * len(members))


def plan_chain(tasks: list[Signature]) -> Plan:
    """One after the other, each with the result of the one before."""
    members = [named(task) for task in tasks]
    return Plan("chain", [chain(*tasks)], members, [1] * len(members), last=members[-1])


def plan_chord(header: list[Signature], body: Signature) -> Plan:
    """The header all at once, then the body with the list of its results."""
    members = [named(task) for task in (*header, body)]
    return Plan("chord", [chord(header, body)], members, [1] * len(members), last=members[-1])


def in_its_queue(signature: Signature, task: Any) -> Signature:
    """Send a map, starmap or chunk of a task where the task goes: Celery sends them to the default queue."""
    signature.set(queue=queues.of(task))
    return signature


def plan_map(kind: str, task: Any, items: Sequence[Any]) -> Plan:
    """`map` and `starmap` are one task that takes the items one after the other."""
    signature = in_its_queue(getattr(task, kind)(items), task)
    task_id = named(signature)
    return Plan(kind, [signature], [task_id], [len(items)], last=task_id)


class Pairs(Sequence[Any]):
    """The items (i, i) of a range, each made when it is asked for: a million need no memory."""

    def __init__(self, numbers: range):
        self.numbers = numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [(number, number) for number in self.numbers[place]]
        return (self.numbers[place], self.numbers[place])


def plan_chunks(task: Any, items: Sequence[Any], size: int) -> Plan:
    """Starmaps over `size` items each."""
    starts = range(0, len(items), size)
    members = [uuid() for _ in starts]
    sizes = [min(size, len(items) - start) for start in starts]
    signatures = (
        in_its_queue(task.starmap(items[start : start + size]), task).set(task_id=member)
        for start, member in zip(starts, members, strict=True)
    )
    return Plan("chunks", signatures, members, sizes)
