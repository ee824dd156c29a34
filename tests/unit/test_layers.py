"""Who decides on each setting: the project, the environment, the stack, or two of them together."""

from pathlib import Path
from typing import Any

import pytest

from stack import merged
from stack.layers import lay
from stack.rules import NOTHING, Value
from stack.runtime import logs
from stack.runtime.project import Project

PROJECT = Project(dir="/srv/app/shop", settings="shop.settings", celery="", requirements="", name="shop")
# Of the process alone, so that no file of this machine has a say.
ENV = {"SECRET_KEY": "k" * 50, "RUN_DIR": "/nowhere"}
OWN = "a key of the project's own, which it has signed with for years"
INSECURE = "django-insecure-" + "x" * 50


def laid(given: dict[str, Any], **env: str) -> dict[str, Value]:
    return lay(given, ENV | env, PROJECT)


def values(given: dict[str, Any], *names: str, **env: str) -> list[Any]:
    found = laid(given, **env)
    return [found[name].value for name in names]


def test_what_no_table_names_is_the_projects() -> None:
    given = {
        "AUTH_USER_MODEL": "people.User",
        "LANGUAGES": [("de", "Deutsch")],
        "CACHES": {"default": {"BACKEND": "x"}},
        "SESSION_ENGINE": "django.contrib.sessions.backends.cache",
        "STORAGES": {"default": {"BACKEND": "y"}},
        "SHOP_COLOUR": "red",
        "MEDIA_URL": "/media/",
    }
    found = laid(given)
    assert {name: found[name].value for name in given} == given
    assert {found[name][1:4] for name in given} == {("project", "shop.settings", NOTHING)}


@pytest.mark.parametrize(
    ("name", "variable", "text", "value", "theirs", "default"),
    [
        ("TIME_ZONE", "TIME_ZONE", "Asia/Tokyo", "Asia/Tokyo", "Europe/Berlin", "UTC"),
        ("CSRF_TRUSTED_ORIGINS", "CSRF_TRUSTED_ORIGINS", "https://a.example", ["https://a.example"], ["https://b"], []),
        ("SESSION_COOKIE_SECURE", "INSECURE_COOKIES", "true", False, True, True),
        ("CSRF_COOKIE_SECURE", "INSECURE_COOKIES", "true", False, True, True),
    ],
)
def test_a_variable_wins_where_it_is_set_then_the_project_then_the_default(
    name: str, variable: str, text: str, value: Any, theirs: Any, default: Any
) -> None:
    over = laid({name: theirs}, **{variable: text})[name]
    assert over[:4] == (value, "environment", variable, theirs)
    assert f"{name} of shop.settings is not used, {variable} decides: take {variable} out" in over.advice
    assert laid({name: theirs})[name] == Value(theirs, "environment", "shop.settings")
    assert laid({}, **{variable: ""})[name] == Value(default, "environment", "default")


def test_a_value_that_agrees_with_the_variable_has_not_lost() -> None:
    assert laid({"TIME_ZONE": "Asia/Tokyo"}, TIME_ZONE="Asia/Tokyo")["TIME_ZONE"].lost is NOTHING


@pytest.mark.parametrize(
    ("theirs", "env", "key", "source"),
    [
        ("", {}, "k" * 50, "SECRET_KEY"),
        (OWN, {}, "k" * 50, "SECRET_KEY"),
        (OWN, {"SECRET_KEY": ""}, OWN, "shop.settings"),
        (OWN, {"SECRET_KEY": "", "SECRET_KEY_FILE": "/run/secrets/secret_key"}, OWN, "shop.settings"),
        (OWN, {"SECRET_KEY": "", "SECRET_KEY_FILE": "{chosen}"}, "chosen", "SECRET_KEY_FILE"),
        (INSECURE, {"SECRET_KEY": "", "RUN_DIR": "{run}"}, "made", "the key that `make up` made"),
        (OWN, {"SECRET_KEY": "", "RUN_DIR": "{run}"}, OWN, "shop.settings"),
    ],
)
def test_a_key_that_was_made_never_replaces_the_projects_own(
    theirs: str, env: dict[str, str], key: str, source: str, tmp_path: Path
) -> None:
    (tmp_path / "chosen").write_text("chosen")
    made = tmp_path / "run/secrets/web/secret_key"
    made.parent.mkdir(parents=True)
    made.write_text("made")
    env = {name: text.format(chosen=tmp_path / "chosen", run=tmp_path / "run") for name, text in env.items()}

    found = laid({"SECRET_KEY": theirs} if theirs else {}, **env)["SECRET_KEY"]
    assert (found.value, found.source) == (key, source)
    assert (found.lost is NOTHING) == (theirs in ("", key))


def test_a_key_that_startproject_wrote_signs_nothing() -> None:
    found = laid({"SECRET_KEY": INSECURE})["SECRET_KEY"]
    assert found.value == "k" * 50
    assert "begins with 'django-insecure-'" in found.advice


def test_debug_is_on_only_where_the_environment_says_so() -> None:
    found = laid({"DEBUG": True})["DEBUG"]
    assert found.value is False
    assert "set DEBUG=true in .env" in found.advice
    assert laid({"DEBUG": False}, DEBUG="true")["DEBUG"].value is True
    assert laid({"DEBUG": True}, DEBUG="true")["DEBUG"].advice == ""


def test_hosts_of_the_project_are_served_beside_this_machines_names() -> None:
    local = ["localhost", "127.0.0.1", "[::1]"]
    assert values({"ALLOWED_HOSTS": []}, "ALLOWED_HOSTS") == [local]
    assert values({"ALLOWED_HOSTS": ["shop.example", "localhost"]}, "ALLOWED_HOSTS") == [
        ["shop.example", "localhost", "127.0.0.1", "[::1]"]
    ]
    assert values({"ALLOWED_HOSTS": "shop.example"}, "ALLOWED_HOSTS") == ["shop.example"], "Django refuses a text"
    assert values({"ALLOWED_HOSTS": ["x"]}, "ALLOWED_HOSTS", ALLOWED_HOSTS="shop.example") == [["shop.example"]]


POSTGIS = {
    "ENGINE": "django.contrib.gis.db.backends.postgis",
    "NAME": "shop",
    "HOST": "old",
    "ATOMIC_REQUESTS": True,
    "CONN_MAX_AGE": 60,
    "OPTIONS": {"pool": True},
}


def test_a_database_url_wins_and_the_rest_of_the_database_stays() -> None:
    given = {"DATABASES": {"default": POSTGIS, "archive": {"ENGINE": "django.db.backends.mysql", "NAME": "a"}}}
    found = laid(given, DATABASE_URL="postgres://app@db:5432/app", DATABASE_PASSWORD="hidden")["DATABASES"]

    default = found.value["default"]
    assert (default["HOST"], default["USER"], default["PASSWORD"], default["NAME"]) == ("db", "app", "hidden", "app")
    assert default["ENGINE"] == POSTGIS["ENGINE"]
    assert (default["ATOMIC_REQUESTS"], default["CONN_MAX_AGE"]) == (True, 60)
    assert default["OPTIONS"] == {"connect_timeout": 1, "pool": True}
    tenants = {"ENGINE": "django_tenants.postgresql_backend", "NAME": "shop"}
    assert (
        values({"DATABASES": {"default": tenants}}, "DATABASES", DATABASE_URL="postgres://app@db:5432/app")[0][
            "default"
        ]["ENGINE"]
        == tenants["ENGINE"]
    )
    assert found.value["archive"] == given["DATABASES"]["archive"]
    assert found.lost == {"default": POSTGIS}
    assert "take DATABASE_URL out" in found.advice
    assert POSTGIS["HOST"] == "old", "what the project's own module holds is not touched"


def test_without_a_url_the_projects_databases_are_used_as_they_are() -> None:
    given = {"DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "/shop.sqlite3"}}}
    found = laid(given)["DATABASES"]
    assert found.value["default"]["NAME"] == "/shop.sqlite3"
    assert found.value["default"]["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert (found.source, found.lost) == ("shop.settings", NOTHING)
    assert "OPTIONS" not in given["DATABASES"]["default"], "what the project's own module holds is not touched"
    assert laid({})["DATABASES"].value["default"]["NAME"] == "/nowhere/db.sqlite3"


def test_a_database_of_the_project_that_the_url_names_too_has_not_lost() -> None:
    given = {"DATABASES": {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "app", "HOST": "db"}}}
    assert laid(given, DATABASE_URL="postgres://app@db/app")["DATABASES"].lost is NOTHING


MAIL = ("EMAIL_BACKEND", "EMAIL_HOST", "EMAIL_USE_TLS", "EMAIL_USE_SSL", "EMAIL_TIMEOUT")


def test_mail_is_all_the_urls_or_all_the_projects() -> None:
    given = {"EMAIL_HOST": "old.example", "EMAIL_USE_SSL": True, "EMAIL_TIMEOUT": 5}
    assert "EMAIL_BACKEND" not in laid(given)
    assert values(given, "EMAIL_HOST", "EMAIL_USE_SSL") == ["old.example", True]

    smtp = "django.core.mail.backends.smtp.EmailBackend"
    assert values(given, *MAIL, EMAIL_URL="smtp+tls://u@new.example:587") == [smtp, "new.example", True, False, 5]
    assert laid({})["EMAIL_BACKEND"].value == "django.core.mail.backends.console.EmailBackend"
    assert values(given, "EMAIL_HOST_PASSWORD", EMAIL_PASSWORD="hidden") == ["hidden"]


SECURITY = "django.middleware.security.SecurityMiddleware"
WHITENOISE = "whitenoise.middleware.WhiteNoiseMiddleware"
CSRF = "django.middleware.csrf.CsrfViewMiddleware"
STRUCTLOG = "django_structlog.middlewares.RequestMiddleware"
OUTER, INNER = list(merged.OUTERMOST), list(merged.INNER)


@pytest.mark.parametrize(
    ("given", "both"),
    [
        ([], [*OUTER, WHITENOISE, *INNER]),
        (["a", SECURITY, "b"], [*OUTER, "a", SECURITY, WHITENOISE, *INNER, "b"]),
        ([SECURITY, "cors", WHITENOISE, "b"], [*OUTER, SECURITY, "cors", WHITENOISE, *INNER, "b"]),
        ([WHITENOISE, "b", STRUCTLOG], [*OUTER, WHITENOISE, *INNER[1:], "b", INNER[0]]),
        ([*OUTER, WHITENOISE, *INNER, "b"], [*OUTER, WHITENOISE, *INNER, "b"]),
        # The limits of a body come before who reads it, wherever static files are.
        ([SECURITY, "b", CSRF, WHITENOISE], [*OUTER, SECURITY, "b", *INNER, CSRF, WHITENOISE]),
    ],
)
def test_middleware_keeps_the_projects_order_and_nothing_is_there_twice(given: list[str], both: list[str]) -> None:
    assert values({"MIDDLEWARE": given}, "MIDDLEWARE") == [both]


def test_apps_keep_the_projects_order_and_nothing_is_there_twice() -> None:
    given = [
        "daphne",
        "django.contrib.staticfiles",
        "shop.apps.ShopConfig",
        "django_structlog",
        "stack.apps.StackConfig",
    ]
    assert merged.apps(given) == ["stack", *given[:-1], "ninja"]
    own = "shop.apps.OurStaticFilesConfig"
    assert merged.apps([own]) == ["stack", own, "django_structlog", "ninja"]
    assert merged.apps([]) == ["stack", "django.contrib.staticfiles", "django_structlog", "ninja"]


def test_templates_are_the_projects_and_an_engine_comes_if_none_fits() -> None:
    own = {"BACKEND": merged.DJANGO, "APP_DIRS": True, "OPTIONS": {"x": 1}}
    loaders = {"BACKEND": merged.DJANGO, "OPTIONS": {"loaders": ["django.template.loaders.app_directories.Loader"]}}
    jinja = {"BACKEND": "django.template.backends.jinja2.Jinja2", "APP_DIRS": True}
    assert laid({"TEMPLATES": [jinja, own]})["TEMPLATES"] == Value([jinja, own], "project", "shop.settings")
    assert merged.templates([loaders]) == [loaders]
    assert [each.get("NAME") for each in merged.templates([jinja])] == [None, "stack"]


def test_upload_handlers_are_the_projects_with_one_that_knows_a_full_disk() -> None:
    given = ["shop.Own", "django.core.files.uploadhandler.TemporaryFileUploadHandler"]
    assert merged.handlers(given) == ["shop.Own", "stack.http.uploads.TemporaryFile"]


def test_logging_of_the_project_wins_and_no_line_comes_twice() -> None:
    stack = logs.logging_config("INFO", "json")
    assert merged.logging({}, stack) == stack
    given = {
        "version": 1,
        "handlers": {"file": {"class": "logging.NullHandler"}},
        "loggers": {
            "django": {"handlers": ["file"], "propagate": True},
            "django.request": {"handlers": ["file"]},
            "shop": {"level": "DEBUG"},
        },
    }
    both = merged.logging(given, stack)
    assert both["handlers"].keys() == {"stdout", "file"}
    assert both["root"] == stack["root"]
    assert both["loggers"]["django"] == {"handlers": ["file"], "propagate": False}
    assert both["loggers"]["django.request"] == {"handlers": ["file"]}
    assert both["loggers"]["shop"] == {"level": "DEBUG"}
    assert both["loggers"]["gunicorn.access"] == stack["loggers"]["gunicorn.access"]
    assert both["disable_existing_loggers"] is False
    assert given["loggers"]["django"]["propagate"] is True, "what the project's own module holds is not touched"

    for root in ({"root": {"handlers": ["file"]}}, {"loggers": {"": {"handlers": ["file"]}}}):
        assert merged.logging({"handlers": given["handlers"]} | root, stack)["root"] == {"handlers": ["file"]}


def test_the_stack_serves_the_projects_urls_and_wsgi_application() -> None:
    given = {"ROOT_URLCONF": "shop.urls", "WSGI_APPLICATION": "shop.wsgi.application"}
    names = ("ROOT_URLCONF", "PROJECT_URLCONF", "WSGI_APPLICATION", "PROJECT_WSGI")
    assert values(given, *names) == ["stack.root_urls", "shop.urls", "stack.wsgi.application", "shop.wsgi.application"]


def test_folders_are_where_the_place_says_without_a_word_of_warning() -> None:
    theirs = {"STATIC_ROOT": Path("/srv/app/shop/collected"), "MEDIA_ROOT": "/srv/app/shop/media"}
    image = {"STATIC_ROOT": "/srv/static", "MEDIA_ROOT": "/srv/media"}

    found = laid(theirs, **image)

    assert {name: found[name][1:4] for name in theirs} == {name: ("environment", name, theirs[name]) for name in theirs}
    assert {name: found[name].value for name in theirs} == image
    assert {found[name].advice for name in theirs} == {""}
    assert values(theirs, *theirs) == list(theirs.values())
    places = [Path(value).parts[-2:] for value in values({"MEDIA_ROOT": ""}, *theirs)]
    assert places == [("run", "static"), ("run", "media")]


def test_static_files_are_served_from_where_they_are_unless_collected() -> None:
    assert values({}, "STATIC_URL") == ["static/"]
    assert values({}, "WHITENOISE_USE_FINDERS") == [True]
    assert values({}, "WHITENOISE_USE_FINDERS", STATIC_ROOT="/srv/static") == [False]
    assert values({"WHITENOISE_USE_FINDERS": True}, "WHITENOISE_USE_FINDERS", STATIC_ROOT="/srv/static") == [True]
