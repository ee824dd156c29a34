"""Write a bill of materials for each image that this stack builds: `make sbom`, into dist/sbom/<image>.cdx.json.

CycloneDX 1.6 in JSON: Debian's packages, Python itself, and the Python packages, as they are in the image and not as
some file says they should be. Needs the images (`make image`) and no network.
"""

import json
import sys
from pathlib import Path
from typing import Any

from cyclonedx.factory.license import LicenseFactory
from cyclonedx.model import Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from checkout import PROJECT, Stop
from containers import docker, needs_engine

FOLDER = PROJECT / "dist" / "sbom"
# Runs in the image, by a Python of whichever version that has.
PYTHON = """
import importlib.metadata as metadata, json, platform
found = [(each.metadata["Name"], each.version, each.metadata["License-Expression"] or each.metadata["License"])
         for each in metadata.distributions()]
print(json.dumps({"python": platform.python_version(), "packages": found}))
"""
# Three parts, the last one empty in an image without Python.
LOOK = """
set -e
. /etc/os-release; echo "$ID $VERSION_ID"
dpkg-query --show --showformat '${db:Status-Abbrev} ${Package} ${Version} ${Architecture}\\n'
echo
if command -v python >/dev/null; then python -c "$1"; fi
"""


def built() -> list[str]:
    """The names of the images of compose.yaml that are built here.

    Raises:
        Stop: no engine answers, or none of them is there.
    """
    needs_engine("make sbom looks into the images")
    services = json.loads(docker("compose", "config", "--format", "json"))["services"].values()
    names = sorted({service["image"] for service in services if "build" in service})
    there = [name for name in names if docker("image", "ls", "--quiet", name).strip()]
    if not there:
        raise Stop(f"the image {names[-1]} is not built: make image, then make sbom")
    for name in set(names) - set(there):
        print(f"no bill of {name}, which is not built: make image TARGET=compose builds it")
    return there


def bill(image: str) -> str:
    """The bill of materials of one image, as text.

    Raises:
        Stop: the image cannot be read, or the bill would not be valid.
    """
    about = json.loads(docker("image", "inspect", image))[0]
    place, _, tag = image.rpartition(":")
    root = Component(
        type=ComponentType.CONTAINER,
        name=place,
        version=tag,
        bom_ref=image,
        properties=[Property(name=f"image:{name}", value=value) for name, value in labels(about).items()],
    )
    look = docker("run", "--rm", "--network", "none", "--entrypoint", "sh", image, "-c", LOOK, "sh", PYTHON)
    debian, _, python = look.partition("\n\n")
    bom = Bom(components=debian_packages(debian) + (python_packages(json.loads(python)) if python else []))
    bom.metadata.component = root
    bom.register_dependency(root, bom.components)
    text = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=2)
    if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise Stop(f"the bill of {image} is not valid CycloneDX: {error}")
    return text


def labels(about: dict[str, Any]) -> dict[str, str]:
    """What says which image this is: its id, and the commit that its labels name."""
    found = {"id": about["Id"]}
    named = about["Config"].get("Labels") or {}
    if revision := named.get("org.opencontainers.image.revision"):
        found["revision"] = revision
    return found


def debian_packages(text: str) -> list[Component]:
    """The system, and each package that is installed in it."""
    first, *lines = text.splitlines()
    system, release = first.split()
    found = [Component(type=ComponentType.OPERATING_SYSTEM, name=system, version=release, bom_ref=first)]
    for state, name, version, architecture in map(str.split, lines):
        if state == "ii":
            marks = {"arch": architecture, "distro": f"{system}-{release}"}
            found.append(package(PackageURL("deb", system, name, version, marks)))
    return found


def python_packages(seen: dict[str, Any]) -> list[Component]:
    """The interpreter, which is no package of Debian's here, and each package that it can import."""
    found = [package(PackageURL("generic", None, "python", seen["python"]), type=ComponentType.PLATFORM)]
    for name, version, terms in seen["packages"]:
        # Older packages have the whole text of their licence there.
        licenses = [LicenseFactory().make_from_string(terms)] if terms and len(terms) < 80 else []
        found.append(package(PackageURL("pypi", None, name, version), licenses=licenses))
    return found


def package(purl: PackageURL, **about: Any) -> Component:
    fields = {"type": ComponentType.LIBRARY} | about
    return Component(name=purl.name, version=purl.version, purl=purl, bom_ref=purl.to_string(), **fields)


def main() -> None:
    for image in built():
        file = FOLDER / f"{Path(image).name.partition(':')[0]}.cdx.json"
        text = bill(image)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
        print(f"{file.relative_to(PROJECT)}: {len(json.loads(text)['components'])} components of {image}")


if __name__ == "__main__":
    try:
        main()
    except Stop as reason:
        sys.exit(str(reason))
