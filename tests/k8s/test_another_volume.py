"""The data of the database moves to another volume by the commands of its page. Only the database runs here."""

import re
import subprocess
from collections.abc import Iterator

import pytest

from tests.bundle.example import options, written
from tests.bundle.rendering import K8S
from tests.k8s.places import ASLEEP, Place
from tests.machine import patience

pytestmark = pytest.mark.slow

PAGE = (K8S / "components" / "postgres" / "README.md").read_text()
(COMMANDS,) = re.findall(r"^## Another volume\n.*?^```\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


class Shop(Place):
    """An overlay `shop`, as the page has it, in a namespace of our own."""

    def write_shop(self, size: str) -> None:
        """The overlay with the database's volume in this size."""
        (grown,) = [option for option in options() if option.name == "The size of a volume"]
        text = written(grown).replace("20Gi", size) + ASLEEP.replace("StatefulSet}", "StatefulSet, name: '[^d].*'}")
        self.write_files("shop", text.replace("namespace: django-celery-stack\n", f"namespace: {self.namespace}\n", 1))

    def sql(self, statement: str) -> str:
        """The answer of the project's database to its superuser."""
        command = ("psql", "-v", "ON_ERROR_STOP=1", "-qAtU", "postgres", "-d", "app", "-c", statement)
        return self.kubectl("exec", "db-0", "-c", "app", "--", *command).strip()

    def size(self) -> str:
        """What the database's claim asks for."""
        return self.kubectl("get", "pvc", "data-db-0", "-o", "jsonpath={.spec.resources.requests.storage}")


@pytest.fixture
def shop() -> Iterator[Shop]:
    target = Shop()
    try:
        target.write_shop("2Gi")
        target.kubectl("apply", "-k", str(target.overlay.parent / "shop"))
        target.wait_ready("db")
        yield target
    finally:
        target.remove()


def test_the_data_moves_to_a_smaller_volume_by_the_commands_of_the_page(shop: Shop) -> None:
    shop.sql("CREATE EXTENSION pg_trgm")
    shop.sql("SET ROLE app; CREATE TABLE kept AS SELECT generate_series(1, 1000) AS number")

    shop.write_shop("1Gi")
    script = COMMANDS.replace("-n shop ", f"-n {shop.namespace} ")
    command = ["bash", "-euo", "pipefail", "-c", script]
    done = subprocess.run(
        command, cwd=shop.root, env=shop.env, capture_output=True, text=True, timeout=patience(200), check=False
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"

    assert shop.size() == "1Gi"
    assert shop.sql("SELECT count(*) FROM kept") == "1000"
    assert shop.sql("SELECT tableowner FROM pg_tables WHERE tablename = 'kept'") == "app"
    assert shop.replicas("web") == 2
