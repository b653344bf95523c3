"""Files of every form, plain and compressed, as rows."""

import bz2
import gzip
import io
import json
import lzma
import zipfile

import pytest

from infra.connect.faults import FileError
from infra.connect.files import ReadOptions, open_source

TABLE = 'sku,price\n0085123,"1,50"\n\nb,2\n'


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress, None])
def test_compressed_files_are_read(tmp_path, pack):
    """What a file is follows from its bytes, not from its name."""
    content = TABLE.encode()
    if pack is None:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("export.csv", content)
        content = packed.getvalue()
    else:
        content = pack(content)
    path = tmp_path / "export.dat"
    path.write_bytes(content)
    if pack is None:
        pytest.importorskip("zipfile")
    source = open_source(path)
    rows = list(source.rows())
    assert [row.cells["sku"] for row in rows] == ["0085123", "b"]
    assert [(row.number, row.line) for row in rows] == [(2, 2), (4, 4)]


@pytest.mark.parametrize("mark", [";", ",", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_separators_and_marks_of_encodings(tmp_path, mark, encoding):
    """Whatever separates the cells, the first column keeps its name."""
    text = f"sku{mark}name{mark}qty\na{mark}Größe, XL; | \t{mark}3\n".replace("\t\t", "\t")
    text = f'sku{mark}name{mark}qty\na{mark}"x,;|"{mark}3\nb{mark}Größe{mark}4\n'
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode(encoding))
    rows = list(open_source(path).rows())
    assert rows[0].cells == {"sku": "a", "name": "x,;|", "qty": "3"}
    assert rows[1].cells["name"] == "Größe"


def test_a_line_break_in_a_cell_keeps_rows_and_lines_apart(tmp_path):
    """A clerk looks for the row, an editor for the line."""
    path = tmp_path / "a.csv"
    path.write_text('sku,note\na,"two\nlines"\nb,one\n')
    assert [(row.number, row.line) for row in open_source(path).rows()] == [(2, 2), (3, 4)]


def test_titles_repeated_headers_and_sep_lines(tmp_path):
    """What stands above a table is no row of it."""
    path = tmp_path / "a.csv"
    path.write_text("sep=;\nExport of 2026\n\nsku;qty;name\na;1;x\nsku;qty;name\nb;2;y\n")
    assert [row.cells["sku"] for row in open_source(path).rows()] == ["a", "b"]


def test_a_row_with_too_many_cells_is_a_fault(tmp_path):
    """A comma without quotes moves all later cells."""
    path = tmp_path / "a.csv"
    path.write_text("sku,qty\na,1\nb,1,2\n")
    faults = [row.fault for row in open_source(path).rows()]
    assert faults[0] == ""
    assert "2 cells" in faults[1]


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1}\n{"a": 2}\n',
        '[{"a": 1}, {"a": 2}]',
        '{"orders": [{"a": 1}, {"a": 2}]}',
        '{\n "a": 1\n}\n{\n "a": 2\n}\n',
        '\ufeff[\n{"a": 1},\n{"a": 2}\n]\n',
    ],
)
def test_json_in_every_form(tmp_path, text):
    """Lines, arrays, envelopes, and objects one after another."""
    path = tmp_path / "a.json"
    path.write_text(text)
    assert [row.cells for row in open_source(path).rows()] == [{"a": 1}, {"a": 2}]


def test_one_order_with_lines_is_no_envelope(tmp_path):
    """An order that holds a list of items stays one object."""
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"id": 7, "items": [{"sku": "a"}]}))
    (row,) = open_source(path).rows()
    assert row.cells["id"] == 7


def test_a_bad_line_of_json_lines_stops_nothing(tmp_path):
    """The next line goes on."""
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n{"a": \n{"a": 3}\n')
    assert [bool(row.fault) for row in open_source(path).rows()] == [False, True, False]


def test_json_that_is_larger_than_a_block(tmp_path):
    """An array is read piece by piece."""
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{"n": number, "pad": "x" * 900} for number in range(4_000)]))
    assert [row.cells["n"] for row in open_source(path).rows()] == list(range(4_000))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"\xd0\xcf\x11\xe0 old", ".xlsx"),
        (b"\x28\xb5\x2f\xfd....", "Zstandard"),
        (b"\x1f\x8b broken", "readable"),
        (b"PK\x03\x04 broken", "readable|workbook"),
        (b'{"a": 1', "JSON"),
    ],
)
def test_files_that_cannot_be_read_say_why(tmp_path, content, says):
    """An error says what the file must be."""
    path = tmp_path / "bad"
    path.write_bytes(content)
    with pytest.raises(FileError, match=says):
        list(open_source(path).rows())


def test_a_cut_file_says_that_it_is_damaged(tmp_path):
    """A download that broke off is no shorter file."""
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(("sku,qty\n" + "a,1\n" * 50_000).encode())[:-20])
    with pytest.raises(FileError, match=r"a\.csv\.gz"):
        list(open_source(path, ReadOptions(encoding="utf-8")).rows())


def test_parquet_says_what_it_needs(tmp_path):
    """The library for Parquet is large and is not installed by default."""
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1....")
    with pytest.raises(FileError, match="Parquet"):
        list(open_source(path).rows())
