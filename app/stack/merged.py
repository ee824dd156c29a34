"""The settings that are the project's and the stack's together: the project's order, the stack's where they must be."""

from typing import Any

# The stack's `migrate` must win over Django's, so it comes first; the rest may come anywhere.
FIRST_APP = "stack"
NEEDED_APPS = ("django.contrib.staticfiles", "django_structlog", "ninja")
# What Django's documentation calls a project's own AppConfig of static files, to leave some files out.
OWN_CONFIG = {"django.contrib.staticfiles": "StaticFilesConfig"}
# Who the client is comes before everything, and probes are answered before anything else looks at a request.
OUTERMOST = ("stack.http.proxies.TrustedProxies", "stack.http.middleware.Probes")
STATIC = "whitenoise.middleware.WhiteNoiseMiddleware"
SECURITY = "django.middleware.security.SecurityMiddleware"
READERS = (
    "django.middleware.cache.FetchFromCacheMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
)
INNER = ("stack.http.middleware.Requests", "stack.http.uploads.Uploads", "stack.http.middleware.ApiErrors")
# The stack's own class in the place of the one that it is made from.
REPLACED = {
    "django_structlog.middlewares.RequestMiddleware": "stack.http.middleware.Requests",
    "django_structlog.middlewares.request.RequestMiddleware": "stack.http.middleware.Requests",
    "django.core.files.uploadhandler.TemporaryFileUploadHandler": "stack.http.uploads.TemporaryFile",
}
DJANGO = "django.template.backends.django.DjangoTemplates"


def apps(given: list[str]) -> list[str]:
    """INSTALLED_APPS: `stack`, then the project's in its order, then what the stack needs and the project has not."""
    theirs = [name for name in given if not _is(name, FIRST_APP)]
    return [FIRST_APP, *theirs, *(need for need in NEEDED_APPS if not any(_is(name, need) for name in theirs))]


def _is(name: str, app: str) -> bool:
    """Whether an entry of INSTALLED_APPS is `app`, by its name or by that of its AppConfig."""
    own = app in OWN_CONFIG and name.endswith(OWN_CONFIG[app])
    return name == app or name.startswith(f"{app}.apps.") or own


def middleware(given: list[str]) -> list[str]:
    """MIDDLEWARE: the stack's outermost, the project's in its order, the stack's inner ones behind static files.

    But never behind what may read a body or answer a request before them, as the check of the CSRF token does.
    """
    theirs = [REPLACED.get(name, name) for name in given if name not in OUTERMOST]
    if STATIC not in theirs:
        theirs.insert(theirs.index(SECURITY) + 1 if SECURITY in theirs else 0, STATIC)
    reader = next((place for place, name in enumerate(theirs) if name in READERS), len(theirs))
    place = min(theirs.index(STATIC) + 1, reader)
    return [*OUTERMOST, *theirs[:place], *(name for name in INNER if name not in theirs), *theirs[place:]]


def handlers(given: list[str]) -> list[str]:
    """FILE_UPLOAD_HANDLERS: the project's, with the one that knows what a full disk is in place of Django's."""
    return [REPLACED.get(name, name) for name in given]


def templates(given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """TEMPLATES: the project's; the stack's page needs an engine that looks into the apps, or brings one."""
    for engine in given:
        loaders = str(engine.get("OPTIONS", {}).get("loaders", ""))
        if engine.get("BACKEND") == DJANGO and (engine.get("APP_DIRS") or "app_directories" in loaders):
            return given
    return [*given, {"BACKEND": DJANGO, "NAME": "stack", "APP_DIRS": True}]


def logging(given: dict[str, Any], stack: dict[str, Any]) -> dict[str, Any]:
    """LOGGING: what the project says, and the stack's lines for all of which it says nothing.

    A logger to which the project gave handlers writes to these alone: in the stack's format each line would come twice.
    """
    if not given:
        return stack
    both = stack | {name: value for name, value in given.items() if name not in ("root", "loggers")}
    for name in ("formatters", "handlers", "filters"):
        both[name] = stack.get(name, {}) | given.get(name, {})
    loggers = {name: dict(logger) for name, logger in given.get("loggers", {}).items()}
    root = given.get("root") or loggers.pop("", None)
    both["root"] = root or stack["root"]
    if not root:
        for name, logger in loggers.items():
            above = [".".join(name.split(".")[:depth]) for depth in range(1, name.count(".") + 1)]
            if logger.get("handlers") and not any(loggers.get(each, {}).get("handlers") for each in above):
                logger["propagate"] = False
    both["loggers"] = stack["loggers"] | loggers
    return both
