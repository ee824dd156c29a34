"""Which ASGI application of a project is served, in a process of its own as in a web role."""

import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
SERVED = """
import sys
from django.conf import settings
import stack.asgi as served
print(served.application.app.__module__)
settings.ASGI_APPLICATION = ""
print(served.project_application("shop.settings") is sys.modules["shop.asgi"].application)
print(served.project_application("demo.settings") is served._django)
settings.ASGI_APPLICATION = "nowhere.asgi.application"
try:
    served.project_application("shop.settings")
except Exception as error:
    print(error)
"""


def test_what_is_named_is_served_else_asgi_py_else_django(tmp_path: Path) -> None:
    env = os.environ | {
        "DJANGO_SETTINGS_MODULE": "stack.settings",
        "PROJECT_SETTINGS": "asgi_settings",
        "PYTHONPATH": os.pathsep.join(map(str, [PROJECT / "app", PROJECT / "tests/roles/modules"])),
        "RUN_DIR": str(tmp_path),
        "SERVICE_ROLE": "web",
    }
    command = [sys.executable, "-W", "ignore", "-c", SERVED]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    named, beside, django, error = done.stdout.splitlines() or [done.stderr] * 4
    assert (named, beside, django) == ("asgi_app", "True", "True")
    assert error.startswith("ASGI_APPLICATION = 'nowhere.asgi.application' of shop.settings cannot be imported: No mod")
