"""The settings of every role: the project's own module, whole, with what stack/layers.py lays on top.

The variables are declared in stack/runtime/variables.py; `.env.example` lists them with their meaning.
"""

import warnings
from pathlib import Path

from stack.adopted import settings_of
from stack.layers import lay
from stack.runtime.env import environment, get
from stack.runtime.project import enter

STACK_ENV = environment()
STACK_ROLE = get("SERVICE_ROLE", STACK_ENV)
STACK_RUN_DIR = Path(get("RUN_DIR", STACK_ENV))
STACK_PROJECT = enter(STACK_ENV)
# Short names of the same, which are the project's where it has settings that are called so.
ENV, ROLE, RUN_DIR, PROJECT = STACK_ENV, STACK_ROLE, STACK_RUN_DIR, STACK_PROJECT

# In small letters, so that no page of errors shows it as a setting: it holds each secret once more.
laid = lay(settings_of(STACK_PROJECT, STACK_ENV), STACK_ENV, STACK_PROJECT)
# Of what is laid, those that the stack's own code reads have a type for mypy.
PROJECT_URLCONF: str
ROOT_URLCONF: str
STATIC_ROOT: str
globals().update({name: each.value for name, each in laid.items()})

if laid["WHITENOISE_USE_FINDERS"].value:
    warnings.filterwarnings("ignore", "No directory at", UserWarning)
