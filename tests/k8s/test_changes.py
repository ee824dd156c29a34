"""Each option of k8s/overlays/example on a real API server: over what is there, once more, and back.

Nobody but the Job runs here: the other pods wait for a scheduler that does not exist, and cost nothing.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.bundle.example import Option, options
from tests.bundle.matches import matches
from tests.bundle.rendering import K8S
from tests.k8s.places import Place
from tests.waiting import wait_until

# What takes something of the base away, what waits for a Secret of its owner's, and an image that is nowhere.
APART = {"external-services", "no-flower", "given-secrets", "external-secrets", "sealed-secrets"}
APART |= {"autoscaling-keda", "A mirror for the images that are not yours"}
BY_NAME = {option.name: option for option in options()}
GROWN = BY_NAME["The size of a volume"]
TOGETHER = [each for each in options() if not each.only_at_first and not ({each.name} | each.needs) & APART]
# The Job is made anew when the last one is gone; a budget is sent each time, which changes nothing.
CHATTY = {"job.batch/make-secrets", "poddisruptionbudget.policy/web", "poddisruptionbudget.policy/worker"}


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    target = Place()
    try:
        target.from_its_owner()
        target.apply(target.rendered("before", target.text()))
        wait_until(lambda: target.kubectl("get", "pvc", "-o", "jsonpath={..phase}") == "Bound Bound", 30)
        yield target
    finally:
        target.remove()


def refusals(place: Place, wanted: list[Option]) -> dict[str, str]:
    """What the API server says against an option over what is there, by the option's name."""
    before = place.rendered("before", place.text())

    def changed(option: Option) -> list[dict[str, Any]]:
        objects = place.rendered(f"option-{options().index(option)}", place.text(option))
        return [item for item in objects if item not in before]

    with ThreadPoolExecutor(3) as pool:
        found = dict(zip((option.name for option in wanted), pool.map(changed, wanted), strict=True))
    place.job_is_gone()
    # All in one question, as each object in it is asked about by itself; one by one where the answer is no.
    if not place.refused([item for objects in found.values() for item in objects]):
        return {}
    said = {name: place.refused(objects) for name, objects in found.items() if objects}
    return {name: why for name, why in said.items() if why}


@pytest.mark.slow
def test_each_option_is_accepted_over_what_is_there(place: Place) -> None:
    assert refusals(place, [option for option in options() if not option.only_at_first]) == {}


def test_an_option_that_stands_apart_is_accepted_over_what_is_there(place: Place) -> None:
    assert refusals(place, [option for option in options() if option.name in APART]) == {}


def test_what_is_for_the_first_apply_is_accepted_in_an_empty_namespace() -> None:
    place = Place()
    try:
        place.kubectl("create", "namespace", place.namespace)
        text = place.text(*(option for option in options() if option.only_at_first))
        assert place.refused(place.rendered("first", text)) == ""
    finally:
        place.remove()


def test_all_of_them_apply_twice_and_go_back(place: Place) -> None:
    before = place.live()
    objects = place.rendered("together", place.text(*TOGETHER))
    place.job_is_gone()

    place.apply(objects)
    changed = place.live()
    assert len([name for name, item in before.items() if changed[name] != item]) > 20
    again = place.apply(objects)
    assert {name for name, verb in again.items() if verb != "unchanged"} <= CHATTY
    assert place.live() == changed

    # With the size: no volume shrinks.
    place.job_is_gone()
    place.apply(place.rendered("back", place.text(GROWN)))
    after = place.live()
    assert after["PersistentVolumeClaim/data-db-0"]["spec"]["resources"]["requests"]["storage"] == "20Gi"
    assert {name for name, item in before.items() if after[name] != item} == {"PersistentVolumeClaim/data-db-0"}


def test_the_page_says_what_the_api_server_refuses(place: Place) -> None:
    page = (K8S / "overlays.md").read_text().partition("## What the API server refuses\n")[2].partition("\n\n## ")[0]
    wanted = [phrase.split(" … ") for phrase in matches(r"^\| `([^`]+)`", page, least=5)]

    def parts(text: str, kind: str) -> list[dict[str, Any]]:
        return [item for item in place.rendered("refused", text) if item["kind"] == kind]

    place.job_is_gone()
    place.apply([*parts(place.text(GROWN), "PersistentVolumeClaim"), *parts(place.text(), "Job")])
    said = [
        place.refused(parts(place.text(BY_NAME["The Secret with which images are pulled"]), "Job")),
        place.refused(parts(place.text(), "PersistentVolumeClaim")),
        place.refused(parts(place.text(GROWN, storage="other"), "PersistentVolumeClaim")),
        place.refused(parts(place.text(BY_NAME["Two stacks in one namespace"]), "Deployment")),
    ]
    place.kubectl("patch", "storageclass", place.namespace, "-p", json.dumps({"allowVolumeExpansion": False}))
    larger = parts(place.text(GROWN).replace("20Gi", "30Gi"), "PersistentVolumeClaim")
    said.append(place.refused(larger))
    missing = [phrase for phrase in wanted if not any(all(part in text for part in phrase) for text in said)]
    assert (missing, all(said)) == ([], True), said
