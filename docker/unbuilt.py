"""What to install where pip or uv could not build a package; docker/requirements.py asks."""

import re

# As pip and uv say it; a version that is not there, or two that do not fit, are other errors.
FAILED = re.compile(
    r"Failed building wheel for (\S+)|metadata-generation-failed|subprocess-exited-with-error"
    r"|Failed to build:? (?!installable wheels)[`']?([A-Za-z][\w.-]*)|The build backend returned an error"
)
# What the compilers of known packages ask for, and the Debian package that has it.
HAS = {
    r"Python\.h": "python3-dev",
    r"libpq-fe\.h|pg_config": "libpq-dev",
    r"mysql\.h|mysql_config|mysqlclient": "default-libmysqlclient-dev pkg-config",
    r"ldap\.h|lber\.h": "libldap2-dev libsasl2-dev",
    r"xmlsec1?\b": "libxmlsec1-dev pkg-config",
    r"libxml/\w+\.h": "libxml2-dev libxslt1-dev",
    r"\bcairo": "libcairo2-dev pkg-config",
    r"ffi\.h": "libffi-dev",
    r"jpeglib\.h|The headers or library files could not be found for jpeg": "libjpeg-dev zlib1g-dev",
    r"pkg-config": "pkg-config",
}
COMPILER = (
    r"command '?\S*(gcc|cc|g\+\+|c\+\+)'? failed: No such file|No such file or directory: '(gcc|cc)'|unable to execute"
)


def unbuilt(output: str, image: bool) -> str:
    """What to do about a package that could not be built, "" where that is not what went wrong.

    Args:
        output: what the installer said.
        image: whether an image is being built, whose Debian packages docker/apt.txt lists.
    """
    if not FAILED.search(output):
        return ""
    names = dict.fromkeys(name for pair in re.findall(FAILED, output) for name in pair if name)
    what = f"{', '.join(names)} could not be built" if names else "A package could not be built"
    header = re.search(r"fatal error: (\S+\.h\w*): No such file", output)
    asked = "\n".join(
        line for line in output.splitlines() if re.search("error|not found|No such file|No package", line)
    )
    packages = {word: None for asks, has in HAS.items() if re.search(asks, asked) for word in has.split()}
    also = "" if packages else " and what its documentation names for Debian"
    if image or re.search(COMPILER, output) or not packages:  # the image has no compiler
        packages = dict.fromkeys(["build-essential", *packages])
    why = f", {header[1]} is not there" if header else ""
    listed = " ".join(packages)
    if image:
        return (
            f"{what}{why}. Write {listed}{also} into docker/apt.txt, one a line with the word `build` behind it, and "
            "the library that it needs when it runs without the word; or take a version of it that has a wheel."
        )
    return (
        f"{what}{why}. Debian, Ubuntu: sudo apt install {listed}{also}; for an image they go into docker/apt.txt. Or "
        "take a version of it that has a wheel."
    )
