"""The file of destinations: what it says, and how it is refused."""

from pathlib import Path

import pytest

from infra.deliver.destinations import DestinationError, Mail, Webhook, read_destinations

SECRET = "whsec_aW52ZW50ZWQtc2VjcmV0LW9mLTI0LWJ5"
MAIL = 'kind="mail"\nname="m"\nhost="h"\nsender="a@b"\nto=["c@d"]\n'


def written(folder: Path, text: str) -> Path:
    path = folder / "d.toml"
    path.write_text("[[destination]]\n" + text.replace("FOLDER", str(folder)))
    return path


def test_all_kinds_are_read(tmp_path: Path) -> None:
    """Secrets stay in their files."""
    (tmp_path / "s").write_text(SECRET + "\n")
    path = written(
        tmp_path,
        'kind="webhook"\nname="erp"\nurl="https://erp.example/in"\nsecret_files=["FOLDER/s"]\n'
        f"[[destination]]\n{MAIL}"
        '[[destination]]\nkind="csv"\nname="c"\nfolder="FOLDER"\nsuppliers=["acme"]\n'
        '[[destination]]\nkind="edifact"\nname="e"\nfolder="FOLDER"\nbuyer="1"\nsupplier="2"\n'
        'deliver_to="3"\n'
        '[[destination]]\nkind="x12"\nname="x"\nfolder="FOLDER"\nbuyer="1"\nsupplier="2"\n'
        'buyer_name="S"\nbuyer_code="C"\ndeliver_to_name="W"\n',
    )
    found = read_destinations(path)
    assert list(found) == ["erp", "m", "c", "e", "x"]
    assert isinstance(found["erp"], Webhook)
    assert isinstance(found["m"], Mail)
    assert [one.asks_first for one in found.values()] == [False, True, False, False, False]
    assert SECRET not in repr(found)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("kind=", "must be TOML"),
        ('kind="fax"\nname="f"\n', "must be as documented: Invalid value 'fax'"),
        ('kind="webhook"\nname="f"\n', "missing required field `url`"),
        ('kind="webhook"\nname="f"\nurl="http://erp.example/"\n', "f.url must be https://"),
        ('kind="webhook"\nname="f"\nurl="ftp://erp.example/"\n', "f.url must be https://"),
        (
            'kind="webhook"\nname="f"\nurl="https://e/"\nsecret_files=["FOLDER/no"]\n',
            "f: a secret must be in a readable file",
        ),
        (
            'kind="webhook"\nname="f"\nurl="https://e/"\nsecret_files=["FOLDER/d.toml"]\n',
            "base64 of 24 to 64 bytes",
        ),
        ('kind="csv"\nname="c"\nfolder="FOLDER/no"\n', "c.folder must be a folder that is there"),
        ('kind="csv"\nname="c"\nfolder="FOLDER"\ncolor="red"\n', "unknown field `color`"),
        ('kind="csv"\nname=""\nfolder="FOLDER"\n', "name must be given, and different"),
        (MAIL + 'security="maybe"\n', "m.security must be starttls, tls or none"),
        (MAIL + "at_most_days_old=0\n", "m.at_most_days_old must be > 0"),
        (MAIL.replace('["c@d"]', "[]"), "m.to must be at least one address"),
        (MAIL.replace("c@d", "c@d\\nBcc: e@f"), "m.to must be printable"),
    ],
)
def test_file_that_cannot_be_used_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    """By field, rule and value, before anything is sent."""
    with pytest.raises(DestinationError) as caught:
        read_destinations(written(tmp_path, text))
    assert complaint in str(caught.value)


def test_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """And a file without destinations is no success."""
    with pytest.raises(DestinationError, match="a readable file"):
        read_destinations(tmp_path / "no.toml")
    (tmp_path / "empty.toml").write_text("destination = []\n")
    with pytest.raises(DestinationError, match="given at least once"):
        read_destinations(tmp_path / "empty.toml")
