"""End with 1 and a sentence where the stack does not run on this Python; asked before anything is installed.

Syntax and imports are old on purpose: a Python that does not fit has to come as far as the sentence.
"""

import os
import re
import sys

PYPROJECT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "pyproject.toml")


def refusal(version, pyproject=PYPROJECT):
    """What is wrong with a version, as (3, 15, 0), in one sentence with what to do; None where it fits."""
    with open(pyproject) as file:
        least, below = re.findall(r'^requires-python = ">=3\.(\d+),<3\.(\d+)"', file.read(), re.MULTILINE)[0]
    if (3, int(least)) <= tuple(version[:2]) < (3, int(below)):
        return None
    return (
        "Python {} does not fit: the stack runs on Python 3.{} to 3.{}. Name another: make up "
        "PYTHON=/path/to/python3.13, or for the image PYTHON_VERSION=3.13 in .env."
    ).format(".".join(map(str, version[:3])), least, int(below) - 1)


if __name__ == "__main__":
    sys.exit(refusal(sys.version_info))
