"""Mail with a password: a worker sends it by a server that asks for one, which stands in a file and nowhere else."""

import base64
import socketserver
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import wait_until

PASSWORD = "p/of+mail"


class Server(socketserver.ThreadingTCPServer):
    """An SMTP server that takes mail from whoever has logged in."""

    daemon_threads = True

    def __init__(self) -> None:
        self.logins: list[str] = []
        self.mails: list[str] = []
        super().__init__(("127.0.0.1", 0), Session)


class Session(socketserver.StreamRequestHandler):
    server: Server

    def handle(self) -> None:
        known = False
        self.say("220 test")
        while line := self.rfile.readline().decode().strip():
            word = line.partition(" ")[0].upper()
            if word == "EHLO":
                self.say("250-test")
                self.say("250 AUTH PLAIN")
            elif word == "AUTH":
                self.server.logins.append(base64.b64decode(line.split()[2]).decode())
                known = self.server.logins[-1] == f"\0shop\0{PASSWORD}"
                self.say("235 welcome" if known else "535 no")
            elif word == "DATA" and known:
                self.say("354 go on")
                self.server.mails.append(b"".join(iter(self.rfile.readline, b".\r\n")).decode())
                self.say("250 taken")
            elif word == "QUIT":
                return self.say("221 bye")
            else:
                self.say("250 fine" if known else "530 log in first")

    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize("whole", [True, False], ids=["EMAIL_URL", "EMAIL_PASSWORD"])
def test_a_worker_sends_mail_with_a_password_from_a_file(
    server: Server, run_role: Callable[..., Any], send: Callable[..., str], tmp_path: Path, whole: bool
) -> None:
    secrets = tmp_path / "own" / "secrets"
    secrets.mkdir(parents=True)
    address = "smtp://shop{}@127.0.0.1:" + str(server.server_address[1])
    variables = {"SECRETS_DIR": str(secrets)}
    if whole:
        (secrets / "EMAIL_URL").write_text(address.format(":p%2Fof%2Bmail") + "\n")
    else:
        (secrets / "EMAIL_PASSWORD").write_text(PASSWORD + "\n")
        variables["EMAIL_URL"] = address.format("")
    run_role("worker", **variables)
    send("send_mail", "ada@example.com", "A subject", "A body")
    wait_until(lambda: server.mails, 30)
    assert server.logins == [f"\0shop\0{PASSWORD}"]
    assert "Subject: A subject" in server.mails[0]
