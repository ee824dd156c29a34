"""Variables and secrets of a project in `.env`, under supervisord; compose and Kubernetes have tests of theirs."""

import psutil
import pytest

from tests.e2e.supervisor import Supervisor

KEY, MAPS = "sk_live_of_this_test", "the key that a variable names"
ENV = "SHOP_COLOUR=red\nMAPS_KEY_FILE=run/secrets/maps_key"


@pytest.mark.slow
def test_a_role_has_the_projects_own_and_does_not_start_without(vm: Supervisor) -> None:
    secret, named = (vm.root / "run" / "secrets" / name for name in ("STRIPE_KEY", "maps_key"))
    secret.write_text(KEY + "\n")
    named.write_text(MAPS + "\n")
    try:
        with vm.restarted_with("beat", ENV):
            process = psutil.Process(vm.pid("beat"))
            seen = process.environ()
            assert (seen["SHOP_COLOUR"], seen["STRIPE_KEY"], seen["MAPS_KEY"]) == ("red", KEY, MAPS)
            assert KEY not in " ".join(process.cmdline())
            code = "import os; print(os.environ['SHOP_COLOUR'], os.environ['STRIPE_KEY'])"
            assert vm.manage("shell", "--no-imports", "-c", code) == f"red {KEY}\n"

            secret.write_text("")
            done = vm.run([".venv/bin/python", "app/service.py", "run", "beat"])
            assert (done.returncode, done.stderr) == (1, f"service: STRIPE_KEY_FILE='{secret}' is empty.\n")
            secret.write_text(KEY)
            assert KEY not in vm.logs()
    finally:
        secret.unlink()
        named.unlink()
