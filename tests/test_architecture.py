"""The plan of the house, kept: who may import whom, what stands where, what must not be here.

Each check is a function from sources to a list of complaints, so that a bad snippet can show that
it is able to complain.
"""

import ast
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("streams", "policy", "infra")

Sources = Mapping[str, str]  # path from the root of the tree, with slashes -> text

FORBIDDEN_IMPORTS = {
    # Numbers in, numbers out: no Kafka, Redis, clock, settings, files or logging.
    "policy": (
        *("streams", "infra", "tests", "aiokafka", "faust", "mode", "redis", "aiohttp"),
        *("prometheus_client", "pydantic_settings", "cyclopts", "rich", "confluent_kafka"),
        *("logging", "time", "datetime", "asyncio", "socket", "subprocess", "threading"),
    ),
    "streams": ("infra", "tests", "confluent_kafka"),
    "infra": ("tests", "confluent_kafka"),
}

# The rooms of each package, which are its folders and the modules at its top. A room imports only
# those above it; rooms of one line do not import each other.
ORDER = {
    "streams": (
        "types",
        "hashing index_set exact_sums",
        "timestamps",
        "settings",
        "contracts",
        "ingest",
        "state",
        "demand",
        "detection replenishment",
        "incidents",
        "groups handover",
        "timeline",
        "shard",
        "worker",
    ),
    "infra": (
        "sale settings replay supervisor wording alertmanager contract_files compile",
        "admin connect kafka settings_reference asyncapi",
        "local redis receiver",
        "control deliver",
        "campaigns",
        "page metrics",
        "bootstrap",
        "cli",
    ),
    "policy": (
        "errors compiled codes",
        "rounding solver sourcing dual_index",
        "review_inputs",
        "decisions dual fit gap parameters policy_cache price_breaks",
        "slow_lean",
        "live_decision",
        "allocation classic record",
        "studies",
        "joint",
        "campaigns pressure",
    ),
}
MAPPED = ("streams", "infra")  # their docstring draws the order
MOST_MODULES_IN_A_FOLDER = 20

KNOWS_INSIDES = (
    *("streams/ingest/transport.py", "streams/ingest/record_batches.py"),
    "infra/kafka/log_identities.py",  # the wire format of a version that aiokafka does not speak
)
AIOKAFKA_PUBLIC = ("abc", "admin", "errors", "helpers", "partitioner", "ssl", "structs")

TOP = {
    *PACKAGES,
    *("grafana", "tests", ".ci"),
    *("pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "Makefile"),
}
TOP_PATTERNS = (r"\.[^/]+", r"[\w.-]+\.lock", r"requirements[\w.-]*\.txt")

# An address of a package registry, known by its shape, whatever its host is called.
REGISTRIES = re.compile(
    # an option or a setting that names an index, with its address
    r"(?:index[-_]url|registry|find[-_]links|(?<!\S)-i)[\"']?\s*[=:\s]\s*[\"']?(?:https?:)?//"
    # a line of a lock file with an address: where a package was found, or what follows its name
    r"|\bresolved[\"']?:?\s+[\"']https?://|\s@\s+https?://"
    # an address whose path goes through a registry's folders, or ends in a package
    r"|https?://[^\s\"'<>]*/(?:simple|packages|pypi|wheels|npm|crates|maven2|debian[\w-]*|ubuntu)/"
    r"|https?://[^\s\"'<>]+\.(?:whl|tar\.gz|tgz|crate|jar|deb)\b",
    re.IGNORECASE,
)
THIS_MACHINE = re.compile(r"(?<![\w.~}])/(?:work|root|home/\w+)/")
CODE_FROM_DATA = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve"}


# --- what the tree holds ---------------------------------------------------------------------


@cache
def tree() -> Sources:
    """Every text file that is, or would be, committed."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    files = {}
    for name in filter(None, listed.stdout.decode().split("\0")):
        path = ROOT / name
        if path.is_file():
            files[name] = _text(path)
    return files


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""  # a binary file


def python_files(sources: Sources, package: str = "") -> Iterator[tuple[str, ast.Module]]:
    for name, text in sources.items():
        if name.endswith(".py") and (not package or name.startswith(f"{package}/")):
            yield name, parsed(text, name)


@cache
def parsed(text: str, name: str) -> ast.Module:
    """A module, read once for all checks."""
    return ast.parse(text, filename=name)


def imported(module: ast.Module, path: str) -> Iterator[str]:
    """The dotted names that a module imports anywhere, with `a.b` for `from a import b`."""
    here = PurePosixPath(path).parts[:-1]
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else ()
            start = ".".join([*base, *([node.module] if node.module else [])])
            yield start
            yield from (f"{start}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and called(node) in ("__import__", "import_module"):
            yield from (str(a.value) for a in node.args if isinstance(a, ast.Constant))


def called(call: ast.Call) -> str:
    """The last part of the name of what is called."""
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def is_under(name: str, *roots: str) -> bool:
    return any(name == root or name.startswith(f"{root}.") for root in roots)


# --- the checks ------------------------------------------------------------------------------


def import_direction(sources: Sources) -> list[str]:
    """`streams -> policy`, `infra -> streams, policy`, `policy` imports nothing that connects."""
    return [
        f"{path} imports {name}"
        for package, forbidden in FORBIDDEN_IMPORTS.items()
        for path, module in python_files(sources, package)
        for name in imported(module, path)
        if is_under(name, *forbidden)
    ]


def order_of_rooms(sources: Sources) -> list[str]:
    """A room imports only those above it in `ORDER`."""
    complaints = []
    for package, lines in ORDER.items():
        lines_of = {room: number for number, line in enumerate(lines) for room in line.split()}
        for path, module in python_files(sources, package):
            if (room := room_of(path)) == "__init__":
                continue  # what the package offers comes from all of its rooms
            if room not in lines_of:
                complaints.append(f"{path}: {room} has no place in ORDER[{package!r}]")
                continue
            for name in imported(module, path):
                root, _, rest = name.partition(".")
                other = rest.partition(".")[0]
                if root != package or other in ("", room):
                    continue
                if lines_of.get(other, len(lines)) >= lines_of[room]:
                    complaints.append(f"{path} imports {name}, which is not above {room}")
    return complaints


def room_of(path: str) -> str:
    """The folder of a package, or the module at its top, that a file belongs to."""
    return PurePosixPath(path).parts[1].removesuffix(".py")


def maps(sources: Sources) -> list[str]:
    """The docstring of a package names each of its rooms."""
    return [
        f"the docstring of {package}/__init__.py does not name {room}"
        for package in MAPPED
        for room in sorted({room_of(path) for path, _ in python_files(sources, package)})
        if room != "__init__" and not re.search(rf"\b{room}\b", map_of(sources, package))
    ]


def map_of(sources: Sources, package: str) -> str:
    return ast.get_docstring(ast.parse(sources.get(f"{package}/__init__.py", ""))) or ""


def folders(sources: Sources) -> list[str]:
    """No folder has more modules side by side than a reader can survey."""
    counts = Counter(str(PurePosixPath(path).parent) for path in sources if is_module(path))
    return [
        f"{folder} has {count} modules, at most {MOST_MODULES_IN_A_FOLDER}: make folders in it"
        for folder, count in counts.items()
        if count > MOST_MODULES_IN_A_FOLDER
    ]


def is_module(path: str) -> bool:
    name = PurePosixPath(path).name
    return name.endswith(".py") and not name.startswith("__")


def library_insides(sources: Sources) -> list[str]:
    """Only `KNOWS_INSIDES` know the insides of Faust's transport and of aiokafka."""
    public = tuple(f"aiokafka.{name}" for name in AIOKAFKA_PUBLIC)
    complaints = []
    for package in PACKAGES:
        for path, module in python_files(sources, package):
            if path in KNOWS_INSIDES:
                continue
            for name in imported(module, path):
                # `from aiokafka import X`: classes are public, lower-case names are modules.
                inside = name.startswith("aiokafka.") and name.split(".")[1][0].islower()
                if is_under(name, "faust.transport") or (inside and not is_under(name, *public)):
                    complaints.append(f"{path} imports {name}")
    return complaints


def top_of_tree(sources: Sources) -> list[str]:
    """At the top there is only what DESIGN.md names."""
    names = sorted({PurePosixPath(path).parts[0] for path in sources})
    return [
        f"{name} does not belong at the top of the tree"
        for name in names
        if name not in TOP and not any(re.fullmatch(pattern, name) for pattern in TOP_PATTERNS)
    ]


def places(sources: Sources) -> list[str]:
    """No file has an address of a package registry or a path of one machine."""
    return [
        f"{path}:{number} names {found.group()!r}"
        for path, text in sources.items()
        for number, line in enumerate(text.splitlines(), 1)
        for pattern in (REGISTRIES, THIS_MACHINE)
        if (found := pattern.search(line))
    ]


def code_from_data(sources: Sources) -> list[str]:
    """Nothing reads data that can run as code."""
    complaints = []
    for path, module in python_files(sources):
        for name in imported(module, path):
            if name.split(".")[0] in CODE_FROM_DATA:
                complaints.append(f"{path} imports {name}")
        for node in ast.walk(module):
            if isinstance(node, ast.keyword) and isinstance(node.value, ast.Constant):
                name, value = node.arg or "", node.value.value
                if (name == "allow_pickle" and value) or (
                    name.endswith("serializer") and value == "pickle"
                ):
                    complaints.append(f"{path}:{node.value.lineno} has {name}={value!r}")
    return complaints


_IMPORT_EVERYTHING = """
import importlib, json, os, sys, traceback
complaints, current = [], ""

def hook(event, arguments):
    if event in ("socket.connect", "socket.bind", "socket.getaddrinfo"):
        complaints.append(f"{current} does {event} at import: {arguments[1:]}")
    elif event == "subprocess.Popen":
        # The one that called `subprocess`, not one that imports a library which does.
        callers = traceback.extract_stack()[-6:-1]
        if any(caller.filename.startswith(os.getcwd() + os.sep) for caller in callers):
            complaints.append(f"{current} starts a process at import: {arguments[1]}")

sys.addaudithook(hook)
for current in sys.argv[1:]:
    try:
        importlib.import_module(current)
    except BaseException as error:
        complaints.append(f"{current} cannot be imported: {type(error).__name__}: {error}")
print(json.dumps(complaints))
"""


def imports_alone(root: Path, sources: Sources) -> list[str]:
    """Every module can be imported, and nothing connects while it is."""
    names = []
    for path in sources:
        parts = PurePosixPath(path).with_suffix("").parts
        if path.endswith(".py") and parts[0] in PACKAGES and parts[-1] != "__main__":
            names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    command = [sys.executable, "-c", _IMPORT_EVERYTHING, *sorted(names)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    complaints: list[str] = json.loads(done.stdout.splitlines()[-1])
    return complaints


CHECKS = (
    *(import_direction, order_of_rooms, maps, folders),
    *(library_insides, top_of_tree, places, code_from_data),
)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_tree_keeps_the_plan(check):
    """No source breaks a rule of the plan."""
    assert check(tree()) == []


def test_modules_import_without_connecting():
    """Every file of the packages imports, and opens no connection doing so."""
    assert imports_alone(ROOT, tree()) == []


def test_the_tree_was_read():
    """An empty listing would make every check pass."""
    assert {"pyproject.toml", "streams/contracts/events.py", "tests/test_architecture.py"} <= set(
        tree()
    )


BAD = [
    (import_direction, "policy/a.py", "import streams.contracts.events"),
    (import_direction, "policy/a.py", "from infra import settings"),
    (import_direction, "policy/deep/a.py", "def f():\n    from streams.hashing import g"),
    (import_direction, "policy/a.py", "import logging"),
    (import_direction, "policy/a.py", "from ..streams import fold"),
    (import_direction, "policy/a.py", "import importlib\nimportlib.import_module('infra.x')"),
    (import_direction, "streams/a.py", "from infra.redis.shard_store import Store"),
    (import_direction, "infra/a.py", "import tests.bench"),
    # No detector imports incidents, the page never the command line, the solver nothing above it.
    (order_of_rooms, "streams/detection/a.py", "from streams.incidents.kinds import KINDS"),
    (order_of_rooms, "streams/detection/a.py", "from streams.replenishment import reviews"),
    (order_of_rooms, "streams/detection/a.py", "from ..incidents import kinds"),
    (order_of_rooms, "streams/types.py", "def f():\n    import streams.hashing"),
    (order_of_rooms, "streams/shard/a.py", "from streams import Something"),
    (order_of_rooms, "streams/nowhere/a.py", ""),
    (order_of_rooms, "infra/page/views/a.py", "from infra.cli.terminal.output import note"),
    (order_of_rooms, "infra/redis/a.py", "from infra.bootstrap import redis_pool"),
    (order_of_rooms, "infra/sale/a.py", "from infra.settings import Settings"),
    (order_of_rooms, "policy/solver/a.py", "from policy.live_decision import decide"),
    (order_of_rooms, "policy/solver/a.py", "from policy import decide"),
    (order_of_rooms, "policy/solver/a.py", "from policy.sourcing.model import Model"),
    (maps, "streams/packing/a.py", ""),
    (library_insides, "streams/a.py", "from faust.transport.drivers import aiokafka"),
    (library_insides, "infra/a.py", "import aiokafka.consumer.fetcher"),
    (library_insides, "infra/a.py", "from aiokafka.consumer import fetcher"),
    (library_insides, "infra/a.py", "from aiokafka import consumer"),
    (top_of_tree, "notes.txt", ""),
    (top_of_tree, "scripts/run.py", ""),
    (places, "README.md", "see https://index.example/" + "simple/x"),
    (places, "Makefile", "pip install --extra-index-url" + " https://index.example/x"),
    (places, ".ci/run", "PIP_INDEX_URL" + "=https://index.example"),
    (places, "pip.conf", "index-url" + " = https://index.example"),
    (places, ".npmrc", "registry" + "=https://index.example"),
    (places, "pom.xml", "<url>https://index.example/" + "maven2/</url>"),
    (places, "Dockerfile", "deb http://index.example/" + "debian/ stable main"),
    (places, "package-lock.json", '"resolved"' + ': "https://index.example/x"'),
    (places, "yarn.lock", "resolved" + ' "https://index.example/x"'),
    (places, "x.lock", "x @" + " https://index.example/x"),
    (places, "x.lock", 'url = "https://index.example/x-1-py3-none-any' + '.whl"'),
    (places, "infra/a.py", "PATH = '/" + "root/x'"),
    (code_from_data, "infra/a.py", "import pickle"),
    (code_from_data, "tests/a.py", "from pickle import loads"),
    (code_from_data, "infra/a.py", "np.load(f, allow_pickle=True)"),
    (code_from_data, "streams/a.py", "app.topic('x', value_serializer='pickle')"),
]
GOOD = [
    (import_direction, "streams/a.py", "from policy.errors import E\nfrom . import text"),
    (order_of_rooms, "streams/incidents/a.py", "from streams.detection.surge import test"),
    (order_of_rooms, "streams/detection/a.py", "from streams.detection.surge import test"),
    (
        order_of_rooms,
        "infra/cli/a.py",
        "from infra.page.contracts import Now\nfrom infra import cli",
    ),
    (
        order_of_rooms,
        "policy/solver/a.py",
        "from policy.compiled import compiled\nimport streams.x",
    ),
    (order_of_rooms, "policy/__init__.py", "from policy.live_decision import decide"),
    (maps, "streams/__init__.py", "'The live system.'"),
    (library_insides, KNOWS_INSIDES[0], "import aiokafka.consumer.fetcher, faust.transport.base"),
    (library_insides, "infra/a.py", "from aiokafka import AIOKafkaConsumer, TopicPartition"),
    (library_insides, "infra/a.py", "from aiokafka.errors import KafkaError"),
    (top_of_tree, ".gitignore", ""),
    (top_of_tree, "requirements-dev.txt", ""),
    (places, "README.md", "cd ~/work/x; ${HOME}/work/y; ../shared/data"),
    (places, "Makefile", "pip-compile --no-emit-index-url --output-file x.lock"),
    (places, "infra/a.py", "registry = CollectorRegistry()  # http://127.0.0.1:8080/metrics"),
    (places, "infra/a.py", "state = 'resolved'; url = 'https://shop.example/simply/packages.html'"),
    (code_from_data, "infra/a.py", "np.load(f, allow_pickle=False)"),
]


@pytest.mark.parametrize(("check", "path", "text"), BAD)
def test_a_broken_rule_is_seen(check, path, text):
    """Each check complains of a snippet that breaks its rule."""
    assert check({path: text})


@pytest.mark.parametrize(("check", "path", "text"), GOOD)
def test_what_is_allowed_is_not_complained_of(check, path, text):
    """The checks leave in peace what the plan allows."""
    assert check({path: text}) == []


def test_a_crowded_folder_is_seen():
    """One module more than a folder may hold is complained of; package files do not count."""
    full = {f"tests/a/m{number}.py": "" for number in range(MOST_MODULES_IN_A_FOLDER)}
    assert folders({**full, "tests/a/__init__.py": "", "tests/a/b/c.py": ""}) == []
    assert folders({**full, "tests/a/one_more.py": ""})


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("import no_such_module", "cannot be imported"),
        ("import socket; socket.socket().connect_ex(('127.0.0.1', 9))", "does socket.connect"),
        ("import subprocess; subprocess.run(['true'])", "starts a process at import"),
    ],
)
def test_a_module_that_connects_at_import_is_seen(tmp_path, text, complaint):
    """The import check complains of a module that fails, connects or starts a process."""
    (tmp_path / "infra").mkdir()
    (tmp_path / "infra" / "__init__.py").touch()
    (tmp_path / "infra" / "bad.py").write_text(text)
    (seen,) = imports_alone(tmp_path, {"infra/bad.py": text})
    assert complaint in seen
