"""Run a role, check its health, or say where a setting comes from.

Every runtime passes the role's word and an environment, nothing else.

python app/service.py run web|worker|beat|flower|migrate|wait
python app/service.py check web|worker|beat|flower [--ready]
python app/service.py settings [NAME...] [--json]

A role's options are environment variables, as LOG_LEVEL or WORKER_CONCURRENCY: .env.example has each with its meaning.
"""

import os
import sys

from stack.runtime.env import APP_DIR, BadValue, environment
from stack.runtime.variables import CAN_FORK

USAGE = __doc__


def run(role, env):
    """Become the process of `role`; returns an exit code only where it could not start, and on Windows."""
    from stack.runtime.project import project, variables
    from stack.runtime.projectenv import project_variables
    from stack.runtime.roles import ROLES, argv, problems

    if role not in ROLES:
        return fail(f"unknown role {role!r}: it must be one of {', '.join(ROLES)}.")
    env["SERVICE_ROLE"] = role
    if found := problems(role, env):
        return fail("\nservice: ".join(found))
    env.update(project_variables(role, env))
    command, folder = argv(role, env), APP_DIR
    if role == "flower":
        env.pop("DJANGO_SETTINGS_MODULE", None)  # it runs none of the project's code, and has no secret for it
    else:
        place = project(env)
        env |= variables(place, env)
        folder = place.dir
    # Celery and gunicorn are started as modules, so the project must be importable from anywhere.
    env["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(filter(None, [folder, APP_DIR, env.get("PYTHONPATH")])))
    os.chdir(folder)
    if not CAN_FORK:
        # exec on Windows starts a second process and ends this one, and the console would not wait for it. Ctrl+C
        # reaches both; the role decides how to stop.
        import signal
        import subprocess

        for name in ("SIGINT", "SIGBREAK"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), lambda *_: None)
        return subprocess.Popen(command, env=env).wait()
    os.execvpe(command[0], command, env)


def fail(reason):
    print(f"service: {reason}", file=sys.stderr)
    return 1


def main(arguments):
    match arguments:
        case ["run", role]:
            return run(role, environment())
        case ["check", role] | ["check", role, "--ready"]:
            from stack.runtime.checks import check

            reason = check(role, environment() | {"SERVICE_ROLE": role}, ready=len(arguments) == 3)
            return fail(f"{role}: {reason}") if reason else 0
        case ["settings", *names]:
            from stack.explain import explain

            return explain(names)
        case ["-h" | "--help" | "help"]:
            print(USAGE)
            return 0
    print(USAGE, file=sys.stderr)
    return 2


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except BadValue as reason:
        sys.exit(f"service: {reason}")
