"""The rules by which one setting is decided: each makes a function of what the project says and of the environment.

stack/layers.py has the table that names the rule of each setting.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from stack.runtime.env import environment, get

PROJECT, ENVIRONMENT, STACK, MERGED = "project", "environment", "stack", "merged"
DEFAULT = "default"  # the source of what neither the environment nor the project says
NOTHING: Any = object()


class Value(NamedTuple):
    """One setting as the roles have it."""

    value: Any
    group: str
    source: str  # the module, variable or file that decided
    lost: Any = NOTHING  # what the project says, where that is not used
    advice: str = ""  # what to do about it, as a sentence


Given = dict[str, Any]
Env = dict[str, str]
Laid = dict[str, Value]
# Takes the name of the setting, the project's settings, the environment, and the name of the project's module.
Rule = Callable[[str, Given, Env, str], Value]


def environments(variable: str) -> Rule:
    """The environment's: the variable where it is set, else the project's value, else the variable's default."""

    def make(name: str, given: Given, env: Env, module: str) -> Value:
        ours = get(variable, env)
        if env.get(variable):
            return over(name, ours, ENVIRONMENT, origin(variable, env), given, module, f"take {variable} out")
        # An empty one says nothing: `startproject` writes ALLOWED_HOSTS = [].
        if given.get(name) in (None, "", [], ()):
            return Value(ours, ENVIRONMENT, DEFAULT)
        return Value(given[name], ENVIRONMENT, module)

    return make


def folder(variable: str) -> Rule:
    """As `environments`, without a word about a folder of the project's that is not used: an image has its own."""
    make = environments(variable)
    return lambda name, given, env, module: make(name, given, env, module)._replace(advice="")


def projects(default: Any) -> Rule:
    """The project's, with a default of the stack where it says nothing.

    Args:
        default: a value, or a function that makes it of the project's settings and the environment.
    """

    def make(name: str, given: Given, env: Env, module: str) -> Value:
        if name in given:
            return Value(given[name], PROJECT, module)
        return Value(default(given, env) if callable(default) else default, PROJECT, DEFAULT)

    return make


def both(merge: Callable[[Any], Any], default: Any) -> Rule:
    """The project's and the stack's together.

    Args:
        merge: adds the stack's to the project's value, or to `default` where that is not there.
    """

    def make(name: str, given: Given, env: Env, module: str) -> Value:
        together = merge(given.get(name, default))
        if name in given and together == given[name]:
            return Value(together, PROJECT, module)
        return Value(together, MERGED, f"{module} + stack" if name in given else STACK)

    return make


def stacks(value: Any) -> Rule:
    """The stack's, which keeps the project's inside its own."""

    def make(name: str, given: Given, env: Env, module: str) -> Value:
        return Value(value, STACK, STACK)

    return make


def kept(theirs: str) -> Rule:
    """The project's value of the setting `theirs`, which the stack's takes in."""

    def make(name: str, given: Given, env: Env, module: str) -> Value:
        return Value(given.get(theirs) or "", PROJECT, module)

    return make


def over(name: str, ours: Any, group: str, source: str, given: Given, module: str, fix: str) -> Value:
    """`ours`, and what to say where the project has another value.

    Args:
        group, source: as in `Value`.
        fix: what to do to have the project's, as the beginning of a sentence.
    """
    theirs = given.get(name, NOTHING)
    if theirs is NOTHING or theirs in (ours, None, "", [], (), {}):
        return Value(ours, group, source)
    return Value(
        ours, group, source, theirs, f"{name} of {module} is not used, {decider(source)} decides: {fix} to use it."
    )


def decider(source: str) -> str:
    """A source as the subject of a sentence."""
    return f"the {source}" if source in (STACK, DEFAULT) else source


def origin(variable: str, env: Env) -> str:
    """Where a variable was set, for people: its name or that of its file, and whether `.env` has it."""
    name = variable if env.get(variable) else f"{variable}_FILE"
    in_file = environment(base={}).get(name)
    return f"{name} in .env" if in_file and in_file == env.get(name) else name
