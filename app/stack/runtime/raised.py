"""What to say of settings that raise when they are imported. Standard library only."""

import os
import re
import traceback

from stack.runtime.env import APP_DIR

NAME = "[A-Z][A-Z0-9_]{2,}"
MODELS = "move what needs models out of them, into functions or ready() of an AppConfig"


def explained(error: Exception, module: str, folder: str) -> str:
    """The place in the project, and last one line: the module, the error, and what to write where a variable lacks.

    Args:
        error: what the import raised.
        module: the name of the settings module.
        folder: the project's.
    """
    words = " ".join(str(error).split())[:500]
    line = f"The settings module {module} raised {type(error).__name__}{': ' * bool(words)}{words}"
    if name := _variable(error):
        line = f"{line.rstrip('.')}: write {name}=... into .env"
    elif type(error).__name__ == "AppRegistryNotReady":
        line += f" Django starts after its settings: {MODELS}"
    return f"The project's settings cannot be read.\n{_place(error, folder)}{line.rstrip('.')}."


def _variable(error: Exception) -> str:
    """The variable of the environment that is missing, "" where the error is another one."""
    if isinstance(error, KeyError):
        name = str(error.args[0]) if error.args else ""
        return name if re.fullmatch(NAME, name) else ""
    # As django-environ, environs and decouple say it.
    if re.search("environment variable|envvar", str(error), re.IGNORECASE):
        names = re.findall(rf"\b{NAME}\b", str(error))
        return next((name for name in names if name not in os.environ), "")
    return ""


def _place(error: Exception, folder: str) -> str:
    """The last lines of the traceback that are the project's own."""
    if isinstance(error, SyntaxError):
        return "".join(traceback.format_exception_only(error)[:-1])
    stack, frames = os.path.join(APP_DIR, "stack", ""), traceback.extract_tb(error.__traceback__)
    own = [
        frame
        for frame in frames
        if frame.filename.startswith(os.path.join(folder, "")) and not frame.filename.startswith(stack)
    ]
    return "".join(traceback.format_list((own or frames)[-1:]))
