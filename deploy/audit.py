"""Ask whether a locked requirement has a known vulnerability: `make audit`. It fails where one has.

The question goes to OSV, over the Internet. AUDIT_URL is the address of another answerer of OSV's `/v1/query`, for a
place without Internet; AUDIT_IGNORE names vulnerabilities, by id, that you have judged and live with.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from checkout import PROJECT, Stop

AUDIT = Path(sys.executable).parent / "pip-audit"
LOCKED = re.compile(r"^([a-z0-9][a-z0-9.-]*)(?:\[[^]]*\])?==([^\s;]+)[^\n\\]*((?:\\\n +--hash=\S+ ?)+)", re.MULTILINE)

# Of each package and version, the hashes, and the files of requirements/ that have it.
Locked = dict[tuple[str, str], tuple[str, list[str]]]


def locked() -> Locked:
    """Every version that is locked anywhere, for whichever platform and Python."""
    found: Locked = {}
    for file in sorted((PROJECT / "requirements").glob("*.txt")):
        for name, version, hashes in LOCKED.findall(file.read_text()):
            found.setdefault((name, version), (hashes, []))[1].append(file.name)
    return found


def layers(requirements: Locked) -> list[str]:
    """Files of requirements that hold all of them: pip-audit takes one version of a package at a time.

    Markers are left out, so that it does not skip what other platforms install.
    """
    texts: list[str] = []
    seen: dict[str, int] = defaultdict(int)
    for (name, version), (hashes, _) in requirements.items():
        if seen[name] == len(texts):
            texts.append("")
        texts[seen[name]] += f"{name}=={version} {hashes}\n"
        seen[name] += 1
    return texts


def audit(text: str, url: str) -> list[dict[str, Any]]:
    """What pip-audit says of each package of one file.

    Raises:
        Stop: it could not ask.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "requirements.txt"
        file.write_text(text)
        options = ["--vulnerability-service", "osv", *(["--osv-url", url] if url else [])]
        command = [AUDIT, *options, "--require-hashes", "--disable-pip", "--strict", "--progress-spinner", "off"]
        command += ["--cache-dir", folder, "--format", "json", "--requirement", file]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        return list(json.loads(done.stdout)["dependencies"])
    except ValueError:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise Stop(
            f"no answer from {url or 'OSV'}: {last}\nmake audit needs the Internet, or AUDIT_URL=, the address of an "
            "answerer of OSV's /v1/query that this machine reaches"
        ) from None


def main() -> None:
    ignored, url = os.environ.get("AUDIT_IGNORE", "").split(), os.environ.get("AUDIT_URL", "")
    requirements = locked()
    found = []
    for package in [package for text in layers(requirements) for package in audit(text, url)]:
        version = f"{package['name']} {package['version']}"
        _, files = requirements.get((package["name"], package["version"]), ("", []))
        for hole in package["vulns"]:
            if not {hole["id"], *hole["aliases"]} & set(ignored):
                mended = ", ".join(hole["fix_versions"]) or "no version yet"
                where, about = ", ".join(files), hole["description"][:200]
                found.append(f"{version} ({where}): {hole['id']}, mended in {mended}: {about}")
    if found:
        raise Stop("\n".join([*found, f"{len(found)} known vulnerabilities: raise the versions (make lock), and test"]))
    print(f"{len(requirements)} locked packages, and no known vulnerability")


if __name__ == "__main__":
    try:
        main()
    except Stop as reason:
        sys.exit(str(reason))
