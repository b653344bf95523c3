"""What `tidegate connect run` reads: each mistake is named by field, rule and value."""

from pathlib import Path

import pytest

from infra.receiver.config import Config, load_config
from infra.settings import SettingsError

GOOD = """
[[source]]
name = "eu"
kind = "shopify"
shop = "eu.example"
secret_files = ["secret"]
"""
TOPIC = '[[source]]\nname = "db"\nkind = "kafka"\n'


def load(tmp_path: Path, text: str, secret: str = "a-secret-of-tests") -> Config:
    """Read a file with its secret beside it."""
    (tmp_path / "secret").write_text(secret)
    (tmp_path / "mapping.toml").write_text('[[emit]]\nto = "lines"\n')
    (tmp_path / "sources.toml").write_text(text)
    return load_config(tmp_path / "sources.toml")


def test_a_file_with_a_shop_and_a_topic(tmp_path: Path) -> None:
    """Paths are read from the file's own folder; defaults keep to this machine."""
    config = load(tmp_path, GOOD + TOPIC + 'topic = "shop.lines"\nformat = "debezium"\n')
    assert [one.name for one in config.webhooks] == ["eu"]
    assert [one.topic for one in config.topics] == ["shop.lines"]
    assert (config.http.host, config.http.port) == ("127.0.0.1", 8090)
    assert config.webhooks[0].secrets() == ["a-secret-of-tests"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("source = []", ["source", "at least once", "none"]),
        ("[http]\nport = 70000\n" + GOOD, ["http.port", "65535", "70000"]),
        ('[http]\nport = "x"\n' + GOOD, ["http.port", "int"]),
        ("colour = 1\n" + GOOD, ["colour"]),
        (GOOD.replace("eu", "E U", 1), ["source[0].name", "a-z", "E U"]),
        (GOOD.replace('"shopify"', '"ebay"'), ["source[0].kind", "ebay"]),
        (GOOD.replace('["secret"]', "[]"), ["source[0].secret_files", "proof"]),
        (GOOD.replace('"secret"', '"gone"'), ["secret_files", "gone"]),
        (GOOD + GOOD, ["source.name", "once", "eu"]),
        (GOOD + 'topic = "x"\n', ["source[0].topic", "left out", "x"]),
        (GOOD + 'mapping = "mapping.toml"\n', ["source[0].mapping", "left out for shopify"]),
        (TOPIC, ["source[0].topic", "given"]),
        (TOPIC + 'topic = "t"\n', ["source[0].mapping", "a file"]),
        (TOPIC + 'topic = "t"\nmapping = "gone.toml"\n', ["mapping of source 'db'", "gone.toml"]),
        ("[http]\ncertificate_file = 'c'\n" + GOOD, ["http.certificate_file", "together"]),
        ("source = ", ["TOML"]),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, words: list[str]) -> None:
    """The message says where it is, what is allowed and what stands there."""
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, text)
    assert [word for word in words if word not in str(caught.value)] == []


def test_the_example_of_the_readme_is_good(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Whoever copies it has to write the files that it names, and no more."""
    readme = Path(request.config.rootpath, "infra/connect/README.md").read_text()
    blocks = [part.partition("```")[0] for part in readme.split("```toml\n")[1:]]
    (block,) = [one for one in blocks if "[[source]]" in one]
    mapping = next(one for one in blocks if "[[emit]]" in one)
    (tmp_path / "tills.toml").write_text(mapping)
    for name in ("shopify-secret", "tills-token"):
        (tmp_path / name).write_text("a-secret-of-tests")
    config = load(tmp_path, block)
    assert [one.kind for one in config.source] == ["shopify", "json", "kafka"]


def test_a_secret_that_can_be_guessed_is_refused_and_never_named(tmp_path: Path) -> None:
    """It must have 8 characters; the message does not repeat it."""
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, GOOD, secret="hunter2")
    assert "8 characters" in str(caught.value)
    assert "hunter2" not in str(caught.value)
