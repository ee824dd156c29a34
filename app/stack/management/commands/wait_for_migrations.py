"""Return when every migration is applied, so that a role can wait for the `migrate` role."""

import time
from typing import Any

from django.core.management.base import BaseCommand
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor


class Command(BaseCommand):
    help = "Wait until the database answers and every migration is applied."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--timeout", type=float, default=600, help="seconds until it gives up (default 600)")

    def handle(self, *args: Any, **options: Any) -> None:
        end, said = time.monotonic() + options["timeout"], ""
        while (missing := self.missing()) and time.monotonic() < end:
            if missing != said:
                self.stdout.write(f"waiting: {missing}")
                said = missing
            time.sleep(0.5)
        if missing:
            raise SystemExit(f"gave up after {options['timeout']:g} s: {missing}")

    @staticmethod
    def missing() -> str:
        """What is not there yet, or an empty string."""
        try:
            executor = MigrationExecutor(connection)
            plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
        except DatabaseError as error:
            return f"the database does not answer ({str(error).strip().splitlines()[0]})"
        finally:
            connection.close()
        return f"{len(plan)} migrations are not applied" if plan else ""
