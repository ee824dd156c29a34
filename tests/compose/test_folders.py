"""The folders that a role may write: uploads, which web and worker share, and a small /tmp."""

from tests.e2e.compose import Compose


def test_what_web_saves_the_worker_reads_and_it_outlives_both(stack: Compose) -> None:
    stack.exec("web", "sh", "-c", "mkdir -p $MEDIA_ROOT/photos && echo seen > $MEDIA_ROOT/photos/dot.png")
    try:
        assert stack.exec("worker", "sh", "-c", "cat $MEDIA_ROOT/photos/dot.png").strip() == "seen"
        stack.compose("up", "-d", "--no-deps", "--force-recreate", "--wait", "worker")
        assert stack.exec("worker", "sh", "-c", "cat $MEDIA_ROOT/photos/dot.png").strip() == "seen"
    finally:
        stack.exec("worker", "sh", "-c", "rm -r $MEDIA_ROOT/photos")


def test_every_role_may_write_a_small_tmp_and_uploads_do_not_go_there(stack: Compose) -> None:
    code = "import os, tempfile; open('/tmp/x', 'w').close(); os.remove('/tmp/x'); print(tempfile.gettempdir())"
    for role in ("web", "worker", "beat", "flower"):
        assert stack.exec(role, "python", "-c", code).strip() == "/run/app", role
        size = stack.exec(role, "df", "--output=size", "/tmp").split()[-1]
        assert int(size) == 64 * 1024, role


def test_migrate_collects_nothing_anew_in_the_image(stack: Compose) -> None:
    (container,) = stack.containers("migrate", stopped=True)
    assert "collecting static files" not in stack.logs("migrate")
    assert stack.inspect(container)["State"]["ExitCode"] == 0
