"""Mail over real sockets: 250, 421, 451, 550, and a server that is gone after the text."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy

import pytest

from infra.deliver.mail import Mailbox, make_mail, send
from infra.deliver.outcome import End
from tests.infra.deliver.orders import message


class Server:
    """A mail server that answers each command as a test wants, for one connection."""

    def __init__(self, answers: dict[str, str | None]) -> None:
        self.answers = answers
        self.mail = b""
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._socket.accept()
        with connection, connection.makefile("rwb") as lines:

            def say(text: str) -> None:
                lines.write(f"{text}\r\n".encode())
                lines.flush()

            say(self.answers.get("connect") or "220 here")
            for line in lines:
                verb = line.split()[0].upper().decode()
                if verb == "DATA" and "DATA" not in self.answers:
                    say("354 go on")
                    while (part := lines.readline()) not in (b".\r\n", b""):
                        self.mail += part
                    if self.answers.get("end", "250 taken") is None:
                        return
                    say(str(self.answers.get("end", "250 taken")))
                elif verb == "QUIT":
                    say("221 bye")
                    return
                else:
                    say(str(self.answers.get(verb, "250 fine")))

    def close(self) -> None:
        self._socket.close()
        self._thread.join(5)


@contextmanager
def serving(**answers: str | None) -> Iterator[tuple[Server, Mailbox]]:
    server = Server(answers)
    box = Mailbox(
        host="127.0.0.1",
        port=server.port,
        sender="buyer@example.com",
        to=("sales@lean.example",),
        reply_to="ada@example.com",
        security="none",
        domain="tidegate.example",
        timeout_s=5,
    )
    try:
        yield server, box
    finally:
        server.close()


def test_mail_has_headers_and_parts_of_the_sample() -> None:
    """One id for each version; text, HTML and the sheet."""
    with serving() as (server, box):
        assert send(make_mail(message(), box), box).end == End.DELIVERED
    came = message_from_bytes(server.mail, policy=policy.default)
    assert came["Message-ID"] == "<po-0d42234752cf8a81a419.v1@tidegate.example>"
    subject = "Purchase order po-0d42234752cf8a81a419 - Lean GmbH - 2026-11-18"
    assert came["Subject"] == subject
    assert came["Auto-Submitted"] == "auto-generated"
    assert (came["X-Tidegate-PO"], came["Reply-To"]) == (
        "po-0d42234752cf8a81a419",
        "ada@example.com",
    )
    kinds = [one.get_content_type() for one in came.walk() if not one.is_multipart()]
    assert kinds == ["text/plain", "text/html", "text/csv"]
    (sheet,) = came.iter_attachments()
    assert sheet.get_filename() == "purchase-order.csv"


def test_second_mail_of_unknown_end_says_so() -> None:
    """The same Message-ID, another subject, and a line that people read."""
    with serving() as (server, box):
        send(make_mail(message(), box, is_repeat=True), box)
    came = message_from_bytes(server.mail, policy=policy.default)
    assert came["Subject"].startswith("Copy: Purchase order")
    assert "order once only" in came.get_body(("plain",)).get_content()


@pytest.mark.parametrize(
    ("answers", "end"),
    [
        ({"end": "451 try later"}, End.AGAIN),
        ({"end": "550 no such box"}, End.REFUSED),
        ({"RCPT": "550 no such box"}, End.REFUSED),
        ({"RCPT": "451 greylisted"}, End.AGAIN),
        ({"connect": "421 too busy"}, End.AGAIN),
        ({"MAIL": "421 closing"}, End.AGAIN),
        ({"end": None}, End.UNKNOWN),
    ],
)
def test_answers_of_the_server_are_judged(answers: dict[str, str | None], end: End) -> None:
    """4xx again, 5xx refused; a connection that is lost after the text is of unknown end."""
    with serving(**answers) as (_, box):
        assert send(make_mail(message(), box), box).end == end


def test_server_that_is_not_there_was_certainly_not_reached() -> None:
    """The mail waits; nothing is unknown."""
    box = Mailbox("127.0.0.1", 1, "a@b.example", ("c@d.example",), security="none")
    assert send(make_mail(message(), box), box).end == End.AGAIN


def test_texts_of_an_order_cannot_become_headers_or_markup() -> None:
    """A supplier's name with a line break is refused by the library; markup is escaped."""
    box = Mailbox("127.0.0.1", 1, "a@b.example", ("c@d.example",))
    mail = make_mail(message(sku="<script>"), box)
    page = mail.get_body(("html",))
    assert page is not None
    assert "&lt;script&gt;" in page.get_content()
    with pytest.raises(ValueError, match=r"linefeed|CR|newline"):
        make_mail(message(supplier="x\r\nBcc: all@example.com"), box)
