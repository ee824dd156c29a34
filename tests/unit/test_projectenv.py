"""The project's own secrets: which files are some, what each role gets of them, and what ends a start."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stack.runtime.env import PROJECT_DIR, BadValue
from stack.runtime.projectenv import LARGEST, export, project_variables, secret_files
from stack.runtime.roles import problems

APP = Path(PROJECT_DIR, "app")
WHOLE = {"SECRET_KEY": "k" * 50, "REDIS_PASSWORD": "r" * 50}


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A secret of a payment service, as an operator would lay it down."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "stripe_key").write_text("sk_live_1\n")
    return folder / "stripe_key"


def test_a_file_in_a_folder_of_secrets_is_the_text_of_its_variable(key: Path) -> None:
    for role in ("web", "worker", "beat", "migrate", "wait", "manage.py"):
        assert project_variables(role, {"STRIPE_KEY_FILE": str(key)}) == {"STRIPE_KEY": "sk_live_1"}
    assert project_variables("flower", {"STRIPE_KEY_FILE": str(key)}) == {}


def test_a_file_of_a_variables_name_is_that_variable_and_no_other_is(key: Path) -> None:
    (key.parent / "PAY_KEY").write_text("pay_1\n")
    (key.parent / "WEB").mkdir()
    (key.parent / "Readme.md").write_text("no secret")
    env = {"SECRETS_DIR": str(key.parent)}
    found = {"PAY_KEY": "pay_1", "PAY_KEY_FILE": str(key.parent / "PAY_KEY")}
    assert project_variables("worker", env) == found
    assert project_variables("flower", env) == {}
    assert project_variables("web", {"RUN_DIR": str(key.parent.parent)}) == found, "where `make up` has its own"
    assert project_variables("web", env | found) == {"PAY_KEY": "pay_1"}, "as in a process that a role has started"
    with pytest.raises(BadValue, match="PAY_KEY and PAY_KEY_FILE are both set"):
        project_variables("web", env | {"PAY_KEY": "pay_2"})
    with pytest.raises(BadValue, match="take one of them out"):
        project_variables("web", env | {"PAY_KEY_FILE": str(key)})


def test_a_mail_server_with_a_password_may_be_one_file(key: Path) -> None:
    (key.parent / "EMAIL_URL").write_text("smtp+tls://shop:p@mail.example.com:587")
    env = WHOLE | {"SECRETS_DIR": str(key.parent)}
    assert problems("worker", env) == []
    (key.parent / "EMAIL_URL").write_text("mail.example.com:p")
    assert [reason for reason in problems("worker", env) if reason.startswith("EMAIL_URL: it must be smtp")]


def test_a_relative_path_counts_from_the_projects_folder() -> None:
    assert secret_files({"STRIPE_KEY_FILE": "run/secrets/stripe_key"}) == {
        "STRIPE_KEY": f"{PROJECT_DIR}/run/secrets/stripe_key"
    }


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SSL_CERT_FILE", "/etc/ssl/cert.pem"),
        ("LOG_FILE", "/var/log/shop.log"),
        ("DJANGO_READ_DOT_ENV_FILE", "True"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/secrets/eks.amazonaws.com/serviceaccount/token"),
        ("AZURE_FEDERATED_TOKEN_FILE", "/var/run/secrets/azure/tokens/azure-identity-token"),
        ("SECRET_KEY_FILE", "/run/secrets/secret_key"),
        ("API_TOKEN_FILE", "run/secrets/web/api_token"),
        ("PGPASSFILE", "/run/secrets/pgpass"),
        ("EMPTY_FILE", ""),
        ("_FILE", "/run/secrets/nameless"),
    ],
)
def test_a_file_that_others_read_themselves_is_left_to_them(variable: str, value: str) -> None:
    assert secret_files({variable: value}) == {}


def test_a_variable_beside_its_file_must_say_the_same(key: Path) -> None:
    both = {"STRIPE_KEY_FILE": str(key), "STRIPE_KEY": "sk_live_1"}
    assert project_variables("web", both) == {"STRIPE_KEY": "sk_live_1"}, "as in a process that a role has started"
    with pytest.raises(BadValue, match="STRIPE_KEY and STRIPE_KEY_FILE are both set") as raised:
        project_variables("web", both | {"STRIPE_KEY": "sk_test_2"})
    assert "sk_" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "cannot be read: No such file"),
        (b" \n", "is empty"),
        (b"\xff\xfe", "is no text"),
        (b"a\0b", "no variable can"),
        (b"k" * (LARGEST + 1), "no variable can"),
    ],
    ids=["missing", "empty", "no text", "zero bytes", "too large"],
)
def test_a_file_that_cannot_be_a_variable_ends_the_start(key: Path, content: bytes | None, why: str) -> None:
    if content is None:
        key.unlink()
    else:
        key.write_bytes(content)
    env = WHOLE | {"STRIPE_KEY_FILE": str(key)}

    (problem,) = problems("worker", env)
    assert problem.startswith(f"STRIPE_KEY_FILE='{key}' ")
    assert why in problem
    assert problems("flower", env | {"FLOWER_PASSWORD": "f" * 20}) == []


def test_each_role_and_manage_py_have_them_and_no_command_line_does(key: Path, tmp_path: Path) -> None:
    """`service.py` becomes the role's process: what runs as Python here is a program that shows what it was given."""
    show = tmp_path / "python"
    show.write_text(
        f"#!{sys.executable}\nimport os, sys\nprint(os.environ.get('STRIPE_KEY'), os.environ['COLOUR'], sys.argv)\n"
    )
    show.chmod(0o755)
    patched = f"import sys; sys.executable = {str(show)!r}; import service; sys.exit(service.main(sys.argv[1:]))"
    env = {"PATH": os.environ["PATH"], "RUN_DIR": str(tmp_path), "STRIPE_KEY_FILE": str(key), "COLOUR": "red"}
    for role in ("web", "worker", "beat", "migrate", "wait", "flower"):
        command = [sys.executable, "-c", patched, "run", role]
        done = subprocess.run(
            command,
            cwd=APP,
            env=env | WHOLE | {"FLOWER_PASSWORD": "f" * 20},
            capture_output=True,
            text=True,
            check=True,
        )
        has, colour, arguments = done.stdout.split(maxsplit=2)
        assert (has, colour) == ("None" if role == "flower" else "sk_live_1", "red"), role
        assert "sk_live_1" not in arguments

    shell = [sys.executable, "manage.py", "shell", "--no-imports", "-c", "import os; print(os.environ['STRIPE_KEY'])"]
    done = subprocess.run(shell, cwd=APP, env=env | WHOLE, capture_output=True, text=True, check=False)
    assert done.stdout == "sk_live_1\n", done.stderr


def test_settings_that_are_imported_by_hand_find_them_too(key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STRIPE_KEY", "COLOUR"):
        monkeypatch.setenv(name, "")  # so that the end of the test takes them away
    for _ in range(2):
        export({"STRIPE_KEY_FILE": str(key), "COLOUR": "red"})
    assert (os.environ["STRIPE_KEY"], os.environ["COLOUR"]) == ("sk_live_1", "red")
    monkeypatch.delenv("STRIPE_KEY_FILE")


@pytest.mark.parametrize("content", ["sk_live_2", None], ids=["changed", "taken out"])
def test_a_running_role_keeps_a_secret_whose_file_has_changed(
    key: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    """As a web server's process that is started anew: it has what the role was started with, like its neighbours."""
    env = {"SERVICE_ROLE": "web", "STRIPE_KEY": "sk_live_1", "STRIPE_KEY_FILE": str(key)}
    key.write_text(content) if content else key.unlink()
    for name in env:
        monkeypatch.setenv(name, "")
    export(env)
    assert os.environ["STRIPE_KEY"] == "sk_live_1"
