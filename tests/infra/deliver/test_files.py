"""Orders as files in a folder: whole, under a fixed name, never written over."""

from pathlib import Path

from infra.deliver.files import file_name, order_csv, put
from infra.deliver.outcome import End
from tests.infra.deliver.orders import message


def test_sheet_is_that_of_the_sample_but_for_what_tidegate_does_not_know() -> None:
    """A mark for Excel, semicolons, decimal commas; the supplier's item number is not known."""
    head, row, end = order_csv(message()).decode("utf-8").split("\r\n")
    assert head == (
        "\ufeffOrder;Line;Your item;Our item;Description;Units;Unit;Unit price;Currency;"
        "Line total;Deliver by;Deliver to"
    )
    assert row == "po-0d42234752cf8a81a419;1;;85123A;;120;EA;6,25;EUR;750,00;2026-11-18;MAIN"
    assert end == ""


def test_what_a_spreadsheet_would_run_is_text() -> None:
    """Formula injection by a sku; prices keep their digits."""
    sheet = order_csv(message(sku='=HYPERLINK("x")', unit_cost=0.1234), ",", ".").decode()
    assert '"\'=HYPERLINK(""x"")"' in sheet
    assert ",0.1234," in sheet


def test_cancelled_order_has_no_units() -> None:
    """Whoever reads only the sheet does not deliver."""
    assert ";0;EA;6,25;EUR;0,00;" in order_csv(message(kind="cancelled", version=2)).decode()


def test_file_is_written_once(tmp_path: Path) -> None:
    """The same again is delivered; other content under the name is refused and left alone."""
    name = file_name(message(), "csv")
    assert name == "po-0d42234752cf8a81a419.v1.csv"
    assert put(tmp_path, name, b"one").end == End.DELIVERED
    assert put(tmp_path, name, b"one").end == End.DELIVERED
    assert put(tmp_path, name, b"two").end == End.REFUSED
    assert [one.name for one in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == b"one"


def test_folder_that_is_away_is_tried_again(tmp_path: Path) -> None:
    """Nothing was taken; the reason is given."""
    outcome = put(tmp_path / "share", "a.csv", b"one")
    assert outcome.end == End.AGAIN
    assert "No such file" in outcome.said


def test_name_of_a_file_stays_in_its_folder() -> None:
    """Whatever an order is called."""
    assert "/" not in file_name(message("../../etc/po"), "csv")
