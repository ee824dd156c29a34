# shellcheck shell=bash
# Sourced by the image of PostgreSQL when the volume is new, on compose and on Kubernetes.
# A first start that fails must leave nothing: the next one would find a database and take it for a whole one.
if ! psql -v ON_ERROR_STOP=1 --no-psqlrc -U postgres -d postgres -f /first-start/database.sql ||
  ! psql -v ON_ERROR_STOP=1 --no-psqlrc -U postgres -d app -f /first-start/extensions.sql; then
  echo "first-start: the line above is of database.sql or extensions.sql; the volume is emptied again" >&2
  pg_ctl -D "$PGDATA" -m immediate stop
  find "$PGDATA" -mindepth 1 -delete
  exit 1
fi
