"""Who decides on each setting: the one table of what lies on top of the project's settings, and how it is laid.

A setting that is not named here is the project's. `python app/service.py settings` prints what came from where.
"""

from stack import caches, databases, merged, own_rules
from stack.rules import PROJECT, Env, Given, Laid, Rule, Value, both, environments, folder, kept, projects, stacks
from stack.runtime.project import Project

SILENCED = [
    "security.W004",  # HSTS is the proxy's to send: it knows whether every host of the domain has TLS
    "security.W008",  # the redirect to https is the proxy's too; health checks speak plain HTTP
]
UPLOADS = ["django.core.files.uploadhandler.MemoryFileUploadHandler", "stack.http.uploads.TemporaryFile"]

TABLE: dict[str, Rule] = {
    # The environment's
    "SECRET_KEY": own_rules.secret_key,
    "DEBUG": own_rules.debug,
    "ALLOWED_HOSTS": own_rules.hosts,
    "CSRF_TRUSTED_ORIGINS": environments("CSRF_TRUSTED_ORIGINS"),
    "DATABASES": databases.rule,
    "TIME_ZONE": environments("TIME_ZONE"),
    "STATIC_ROOT": folder("STATIC_ROOT"),
    "MEDIA_ROOT": folder("MEDIA_ROOT"),
    "CACHES": caches.rule,
    "SESSION_COOKIE_SECURE": own_rules.cookies,
    "CSRF_COOKIE_SECURE": own_rules.cookies,
    # The stack's; PROJECT_URLCONF and PROJECT_WSGI keep the project's, which these serve
    "ROOT_URLCONF": stacks("stack.root_urls"),
    "WSGI_APPLICATION": stacks("stack.wsgi.application"),
    "PROJECT_URLCONF": kept("ROOT_URLCONF"),
    "PROJECT_WSGI": kept("WSGI_APPLICATION"),
    # Both together
    "INSTALLED_APPS": both(merged.apps, []),
    "MIDDLEWARE": both(merged.middleware, []),
    "TEMPLATES": both(merged.templates, []),
    "FILE_UPLOAD_HANDLERS": both(merged.handlers, UPLOADS),
    "SILENCED_SYSTEM_CHECKS": both(lambda theirs: [*theirs, *(each for each in SILENCED if each not in theirs)], []),
    "LOGGING": own_rules.logging,
    # The project's, and what the stack takes where it says nothing. No SECURE_PROXY_SSL_HEADER: stack.http.proxies
    # knows which proxy may say that a request came by TLS.
    "STATIC_URL": projects("static/"),
    "WHITENOISE_USE_FINDERS": projects(own_rules.not_collected),
    "DATA_UPLOAD_MAX_MEMORY_SIZE": projects(6 * 1024 * 1024),  # stack.http.guard has the limit of each call
    "DJANGO_STRUCTLOG_CELERY_ENABLED": projects(True),
    "IPWARE_META_PRECEDENCE_ORDER": projects(("REMOTE_ADDR",)),  # where stack.http.proxies has put the client
    "STACK_API_ROUTERS": projects({}),
}


def lay(given: Given, env: Env, project: Project) -> Laid:
    """Every setting of the roles, with its origin.

    Args:
        given: the names and values of the project's settings module.
        env: mapping of environment variables.
        project: the project.

    Raises:
        BadValue: a variable holds what it does not accept, or there is no SECRET_KEY.
    """
    module = project.settings
    laid: Laid = {name: Value(value, PROJECT, module) for name, value in given.items()}
    for name, make in TABLE.items():
        laid[name] = make(name, given, env, module)
    return laid | own_rules.mail(given, env, module)
