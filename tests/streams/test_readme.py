"""The map of the packages in `streams/README.md` is that of the tree."""

import ast
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

STREAMS = Path(__file__).parents[2] / "streams"


def rooms_of(readme: str) -> list[str]:
    """Packages and modules in the order of the table of the README."""
    table = readme.partition("| package |")[2].partition("\n\n")[0]
    return [name for row in table.splitlines()[2:] for name in named(row.split("|")[1])]


def named(cell: str) -> list[str]:
    return re.findall(r"`(\w+)`", cell)


def upward_imports(rooms: list[str], sources: Mapping[str, str]) -> list[str]:
    """Imports of a room that stands below the one that imports it."""
    return [
        f"{path} imports {node.module}"
        for path, source in sources.items()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("streams.")
        if rooms.index(str(node.module).split(".")[1]) > rooms.index(room_of(path))
    ]


def room_of(path: str) -> str:
    """The package, or the module outside of packages, that a file belongs to.

    >>> room_of("ingest/decode.py"), room_of("types.py")
    ('ingest', 'types')
    """
    return path.split("/")[0].removesuffix(".py")


def sources() -> dict[str, str]:
    """Every module of `streams`."""
    files = {str(file.relative_to(STREAMS)): file for file in STREAMS.rglob("*.py")}
    return {name: file.read_text() for name, file in files.items() if name != "__init__.py"}


def test_the_map_names_every_package():
    """A new stage gets a line in the README."""
    rooms = rooms_of((STREAMS / "README.md").read_text())
    assert set(rooms) == {room_of(path) for path in sources()}
    assert len(set(rooms)) == len(rooms)


@pytest.mark.slow
def test_no_package_imports_from_one_below_it():
    """The order of the table is the order of the imports."""
    assert upward_imports(rooms_of((STREAMS / "README.md").read_text()), sources()) == []


def test_an_import_from_below_is_seen():
    """The check complains of a detector that reads the worker."""
    source = {"detection/a.py": "from streams.worker.ports import Store"}
    assert upward_imports(["detection", "worker"], source)
    assert not upward_imports(["worker", "detection"], source)
