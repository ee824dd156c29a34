"""Settings that raise when they are imported: the place in the project, and one line of what to do."""

from pathlib import Path

import pytest

from stack.runtime.raised import explained
from tests.unit.test_adopted import Copy, add


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


def test_a_missing_variable_is_named_by_each_role_with_the_line_to_write(copy: Copy) -> None:
    settings = copy.start() / "settings.py"
    add(settings, "import os\nSTRIPE = os.environ['STRIPE_KEY']\n")
    for words in (["run", "migrate"], ["run", "worker"], ["settings"]):
        done = copy.run("service.py", *words)
        assert done.returncode > 0
        *_, place, code, _, last = done.stderr.strip().splitlines()
        assert place.startswith(f'  File "{settings}", line ')
        assert code.strip() == "STRIPE = os.environ['STRIPE_KEY']"
        assert last == (
            "The settings module shop.settings raised KeyError: 'STRIPE_KEY': write STRIPE_KEY=... into .env."
        )
        assert "Traceback" not in done.stderr or "worker" in words


def test_an_error_that_django_would_hide_does_not_blame_an_option(copy: Copy) -> None:
    add(copy.start() / "settings.py", "import environ\nSTRIPE = environ.Env()('STRIPE_KEY')\n")
    done = copy.run("service.py", "run", "migrate")
    assert done.returncode == 1
    assert "unrecognized" not in done.stderr
    assert done.stderr.endswith("Set the STRIPE_KEY environment variable: write STRIPE_KEY=... into .env.\n")


def test_settings_may_start_django_and_may_not_import_models(copy: Copy) -> None:
    settings = copy.start() / "settings.py"
    text = settings.read_text()
    settings.write_text(f"{text}\nimport django\ndjango.setup()\n")
    assert copy.run("manage.py", "check").returncode == 0

    settings.write_text(f"{text}\nfrom django.contrib.auth.models import User\n")
    done = copy.run("service.py", "settings", "DEBUG")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.endswith(
        "raised AppRegistryNotReady: Apps aren't loaded yet. Django starts after its settings: move what needs models "
        "out of them, into functions or ready() of an AppConfig.\n"
    )


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (KeyError("host"), "raised KeyError: 'host'."),
        (KeyError("SENTRY_DSN"), "raised KeyError: 'SENTRY_DSN': write SENTRY_DSN=... into .env."),
        # As django-environ, python-decouple and environs say it.
        (
            LookupError("S3_KEY not found. Declare it as envvar or define a default value."),
            "define a default value: write S3_KEY=... into .env.",
        ),
        (ValueError('Environment variable "S3_KEY" not set'), "not set: write S3_KEY=... into .env."),
        (AttributeError("module 'x' has no attribute 'S3_KEY'"), "has no attribute 'S3_KEY'."),
        (ValueError(), "The settings module shop.settings raised ValueError."),
    ],
)
def test_only_a_variable_that_is_missing_is_to_be_written(error: Exception, line: str) -> None:
    assert explained(error, "shop.settings", "/srv/app/shop").splitlines()[-1].endswith(line)


def test_a_mistake_in_the_code_is_shown_where_it_is(tmp_path: Path) -> None:
    try:
        compile("DEBUG = = 1\n", str(tmp_path / "settings.py"), "exec")
    except SyntaxError as error:
        said = explained(error, "shop.settings", str(tmp_path))
    assert f'File "{tmp_path / "settings.py"}", line 1\n    DEBUG = = 1' in said
