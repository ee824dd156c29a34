"""Who uses which secret, for `make rotate-secret` on compose and on Kubernetes."""

# Django's roles, in the order in which a deploy replaces them.
DJANGO = ("worker", "web", "beat")
# Which roles read a secret that is not one role's own; a role's own Redis password needs no line here.
READERS = {
    "secret_key": DJANGO,
    "database_password": DJANGO,
    "cache_password": DJANGO,
    "flower_password": ("flower",),
    "api_token": ("web",),
    "postgres_password": (),
    "admin_password": (),
}
# PostgreSQL is told the new password of these users.
DATABASE_USERS = {"database_password": "app", "postgres_password": "postgres"}
