#!/usr/bin/env bash
# Make .venv from the locked requirements and the project's own, with a Redis in it where the machine has none.
# Usage: deploy/venv.sh [python [anew]]    (default: python3; `anew` makes a .venv of another version again)
set -euo pipefail
cd "$(dirname "$0")/.."
python=${1:-python3}

# Packages that change under running processes end in errors that name neither.
if [ -S run/supervisor.sock ] && .venv/bin/python .venv/bin/supervisorctl -c supervisord.conf pid >/dev/null 2>&1; then
  echo "what .venv is made from has changed since the stack was started: make down, then make up, installs it" >&2
  exit 0
fi

if ! "$python" -c '' 2>/dev/null; then
  echo "There is no Python '$python' here. Install it (sudo apt install python3 python3-venv, or brew install python)," \
    "or name yours: make up PYTHON=/path/to/python3.13" >&2
  exit 1
fi
"$python" docker/python_fits.py
missing=() redis=()
"$python" -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
if ! "$python" deploy/redis_server.py --find >/dev/null 2>&1; then
  if "$python" -c 'import sys; sys.exit(sys.version_info[:2] not in [(3, 11), (3, 12)])'; then
    redis=(-r requirements/redis.txt)
  else
    missing+=(redis-server)
  fi
fi
if [ ${#missing[@]} -gt 0 ]; then
  echo "This machine lacks what the stack needs. Debian, Ubuntu: sudo apt install ${missing[*]}" \
    "   macOS: brew install python redis" >&2
  exit 1
fi

# One that was broken off has a Python and no pip.
if [ "${2:-}" = anew ] || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
  echo "making .venv ..."
  # venv empties what a link leads to, which others may use, and refuses the link after that.
  [ ! -L .venv ] || rm .venv
  "$python" -m venv --clear .venv
fi
.venv/bin/python docker/requirements.py read app .venv/wanted
echo "installing the locked requirements into .venv (half a minute the first time) ..."
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
  -r .venv/wanted/lock.txt -r requirements/vm.txt ${redis[@]+"${redis[@]}"}
.venv/bin/python docker/requirements.py install .venv/wanted
.venv/bin/python deploy/redis_server.py --find >/dev/null
echo "${LISTS:-}" >.venv/.lists
touch .venv/.installed
