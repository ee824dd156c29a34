#!/usr/bin/env bash
# Print a Python that Django 6 runs on, 3.12 to 3.14: of PATH, else of pyenv. Ends with 1 where there is none.
# Usage: deploy/newer_python.sh
set -euo pipefail

for python in python3.14 python3.13 python3.12 python3 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.{14,13,12}.*/bin/python; do
  # A name that pyenv keeps on PATH for a version that is not chosen here runs nothing.
  if "$python" -c 'import sys; sys.exit(not (3, 12) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null; then
    echo "$python"
    exit 0
  fi
done
echo "Django 6 needs Python 3.12 or newer, and there is none here." >&2
exit 1
