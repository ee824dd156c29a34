"""The Celery app that every role runs: the project's own, whatever it is called and however it was made.

`celery -A stack.celery` finds it here. Nothing of the project's app is replaced: `configure` lays the stack's
settings around its settings, and the stack's classes over its classes.
"""

from importlib import import_module
from typing import Any

from celery import Celery, signals
from celery.app.task import Task
from celery.utils.imports import symbol_by_name

from stack.adopted import celery_app
from stack.broker import breaker, precedence, publishing, sent, transport
from stack.broker.configuration import above, defaults
from stack.broker.events import Events
from stack.broker.mailboxes import Control
from stack.broker.routing import Named, Sender, over
from stack.runtime.env import environment, get
from stack.runtime.native import break_is_interrupt
from stack.runtime.project import Project, enter
from stack.runtime.unclaimed import unclaimed
from stack.state import patient, records, starting
from stack.worker.steps import install_steps

# What an app makes once, by the class that the project chose, and what is laid over that.
PARTS = {"amqp": Sender, "events": Events, "control": Control}
ENV = environment()
PROJECT = enter(ENV)


def made(project: Project) -> Celery:
    """An app for a project that has none."""
    app = Celery(project.name)
    app.config_from_object("django.conf:settings", namespace="CELERY")
    app.autodiscover_tasks()
    # What `startproject` makes is none of INSTALLED_APPS, and a first task may well be in it.
    app.autodiscover_tasks([project.settings.partition(".")[0]])
    return app


def configure(app: Celery, env: dict[str, str] = ENV) -> Celery:
    """Make `app` the stack's: its settings, what it sends, how its tasks start, its worker's steps.

    It may be used before: what it has made is kept and taken over. Called twice, it does nothing.

    Args:
        env: mapping of environment variables.
    """
    if "stack_configured" in app.__dict__:
        return app
    app.__dict__["stack_configured"] = True
    role = get("SERVICE_ROLE", env)
    break_is_interrupt()

    def lay(sender: Any = None, source: Any = None, **_: Any) -> None:
        conf = source if source is not None else app.conf
        before = _of_tasks(conf)
        precedence.lay(conf, above(role, env, lambda name: precedence.given(conf, name)), defaults(env))
        _renew_tasks(app, before, _of_tasks(conf))

    # Before the project's own receivers, which may send tasks; it loads its settings when they are first asked for.
    app.on_after_configure.connect(lay, weak=False)
    app.on_after_configure.receivers.insert(0, app.on_after_configure.receivers.pop())
    for part, layer in PARTS.items():
        setattr(app, f"{part}_cls", over(layer, symbol_by_name(getattr(app, f"{part}_cls"))))
    if app.configured:
        lay()
    else:
        precedence.adopt(app._conf)
    _take_over(app)
    signals.import_modules.connect(_import_own_tasks, sender=app, weak=False)
    publishing.install(records.note, records.undo)
    starting.install(app)
    if role == "worker":
        patient.install(app)
    transport.install()
    (breaker if role == "web" else transport).install_connections()
    install_steps(app)
    sent.install()
    return app


def _import_own_tasks(**_: Any) -> None:
    import_module("stack.tasks")


def _of_tasks(conf: Any) -> dict[str, Any]:
    """The settings that a task takes as its own options when it is bound to the app."""
    return {option: conf.get(name) for option, name in Task.from_config}


def _remember(bind: Any) -> Any:
    """Have each task remember the options that it has by itself: once it is bound, it has them all."""

    def remembering(cls: Any, app: Celery) -> Any:
        if "stack_own_options" not in cls.__dict__:
            cls.stack_own_options = {option for option, _ in cls.from_config if getattr(cls, option, None) is not None}
        return bind(cls, app)

    return classmethod(remembering)


def _renew_tasks(app: Celery, before: dict[str, Any], after: dict[str, Any]) -> None:
    """Give the tasks that were bound before the options that they would get now."""
    changed = {option: value for option, value in after.items() if value != before[option]}
    for task in app._tasks.values():
        for option, value in changed.items():
            own = option in getattr(task, "stack_own_options", ())
            if not own and getattr(task, option, None) == before[option]:
                setattr(task, option, value)


def _take_over(app: Celery) -> None:
    """Drop what was made before with the project's own addresses; the queues that it added stay."""
    app._pool = app._backend_cache = None
    app._local.__dict__.pop("backend", None)
    app.__dict__.pop("events", None)
    app.__dict__.pop("control", None)
    if amqp := app.__dict__.get("amqp"):
        amqp.__class__ = over(Sender, type(amqp))
        amqp._producer_pool = None
        for made in ("router", "send_task_message", "create_task_message", "_event_dispatcher"):
            amqp.__dict__.pop(made, None)
        if queues := amqp.__dict__.get("queues"):
            queues.__class__ = over(Named, type(queues))


def not_found() -> str:
    """What to write where the stack made an app although the project makes one; "" where all is well."""
    return "" if OWN else unclaimed(PROJECT)


Task.bind = _remember(Task.bind.__func__)
OWN = celery_app(PROJECT)
app = configure(OWN or made(PROJECT))
app.set_current()
# In every thread: who asked for the current app before the project's was made has made another one the default.
app.set_default()
