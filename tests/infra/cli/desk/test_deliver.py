"""`tidegate deliver`: what is not delivered, each try, and a person's word."""

import json
from pathlib import Path

import pytest

from infra.cli.app import run
from infra.cli.terminal.failures import ExitCode
from infra.deliver.outbox import DestinationState, Outbox, State
from tests.infra.deliver.orders import NOW_S, message, put_in
from tests.infra.deliver.test_edifact import SAMPLES

Capture = pytest.CaptureFixture[str]
PERSON = ["--who", "ada", "--why", "asked them"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An outbox with one message that is refused, and a dead destination."""
    outbox = Outbox(tmp_path / "box")
    put_in(outbox, message())
    (one,) = outbox.listed()
    outbox.begin(one, NOW_S)
    outbox.end(one, State.REFUSED, "HTTP 422: no such item", NOW_S, NOW_S)
    outbox.set_destination(DestinationState("erp", "HTTP 410: moved", NOW_S, 0.0, 1))
    outbox.close()
    return tmp_path / "box"


def said(arguments: list[str], folder: Path, capsys: Capture) -> tuple[int, str]:
    code = run(["deliver", *arguments, "--outbox", str(folder)])
    reported = capsys.readouterr()
    return code, reported.out + reported.err


def test_list_has_what_is_not_delivered_and_dead_destinations(
    folder: Path, capsys: Capture
) -> None:
    """Exit code 1: somebody has to look."""
    code, text = said(["list", "--json"], folder, capsys)
    listed = json.loads(text)
    assert code == ExitCode.NO
    (row,) = listed["messages"]
    assert (row["message_id"], row["state"]) == ("po-0d42234752cf8a81a419:1", "refused")
    assert listed["dead_destinations"][0]["stopped"] == "HTTP 410: moved"
    code, text = said(["list"], folder, capsys)
    assert "DEAD since" in text
    assert "erp: 1 refused" in text


def test_retry_and_skip_are_kept_with_their_author(folder: Path, capsys: Capture) -> None:
    """A retry revives the destination; show has each try and who spoke."""
    code, text = said(["retry", "po-0d42234752cf8a81a419", *PERSON], folder, capsys)
    assert (code, text) == (0, "po-0d42234752cf8a81a419:1 is sent again to erp\n")
    assert said(["list"], folder, capsys)[0] == ExitCode.OK
    assert said(["skip", "po-0d42234752cf8a81a419:1", *PERSON], folder, capsys)[0] == 0
    _, text = said(["show", "po-0d42234752cf8a81a419:1", "--json"], folder, capsys)
    (shown,) = json.loads(text)
    assert shown["state"] == "skipped"
    assert [(one["what"], one["who"]) for one in shown["events"]] == [
        ("refused", ""),
        ("waiting", "ada"),
        ("skipped", "ada"),
    ]
    _, text = said(["show", "po-0d42234752cf8a81a419"], folder, capsys)
    assert "asked them" in text


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["retry", "po-9", *PERSON], "id must be of a message or an order"),
        (["skip", "po-9", *PERSON], "id must be of a message or an order"),
        (["retry", "po-0d42234752cf8a81a419", "--who", " ", "--why", "x"], "who must be a text"),
        (["retry", "po-0d42234752cf8a81a419", "--who", "ada"], "why"),
        (["show", "po-0d42234752cf8a81a419", "--destination", "fax"], "id must be of a message"),
    ],
)
def test_word_that_is_not_possible_is_refused(
    folder: Path, capsys: Capture, arguments: list[str], complaint: str
) -> None:
    """By field, rule and value."""
    code, text = said(arguments, folder, capsys)
    assert code == ExitCode.USAGE
    assert complaint in text


def test_outbox_that_is_not_there_is_not_made(tmp_path: Path, capsys: Capture) -> None:
    """Looking at a misspelt folder does not look like an empty outbox."""
    code, text = said(["list"], tmp_path / "no", capsys)
    assert code == ExitCode.USAGE
    assert "--outbox must be the folder of an outbox" in text
    assert not (tmp_path / "no").exists()


def test_edi_answer_becomes_events(tmp_path: Path, capsys: Capture) -> None:
    """JSON Lines for `tidegate replay`; a file with a wrong count is refused whole."""
    answer = str(SAMPLES / "desadv-d96a.edi")
    more = ["--supplier", "lean", "--item", "9521234001201=85123A"]
    assert run(["deliver", "edi", answer, *more]) == 0
    (event,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (event["topic"], event["kind"], event["quantity"]) == ("shipments", "advised", 96)
    wrong = tmp_path / "wrong.edi"
    wrong.write_bytes(Path(answer).read_bytes().replace(b"UNT+13+1", b"UNT+12+1"))
    assert run(["deliver", "edi", str(wrong), *more]) == ExitCode.USAGE
    assert "UNT must be 13 segments" in capsys.readouterr().err
    assert run(["deliver", "edi", answer, "--supplier", "lean", "--item", "x"]) == ExitCode.USAGE


def test_destinations_that_cannot_be_used_end_the_run(tmp_path: Path, capsys: Capture) -> None:
    """Before a broker is asked."""
    code, text = said(["run", str(tmp_path / "no.toml")], tmp_path / "box", capsys)
    assert code == ExitCode.USAGE
    assert "destinations must be a readable file" in text
