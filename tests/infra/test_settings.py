"""Settings: where they come from, which wins, and what a wrong one says."""

import json
import os
import socket

import pytest

from infra.redis.options import keys_of, retention_of
from infra.settings import STATE_FILE, Settings, SettingsError, load_settings
from streams.timestamps import DAY_MS


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    """No setting comes from the machine that runs the test."""
    for name in list(os.environ):
        if name.startswith("TIDEGATE_"):
            monkeypatch.delenv(name)


def config(tmp_path, text: str):
    """A settings file."""
    path = tmp_path / "tidegate.toml"
    path.write_text(text)
    return path


def state(tmp_path, **settings):
    """The directory of a running `tidegate up`."""
    (tmp_path / STATE_FILE).write_text(json.dumps({"settings": settings}))
    return tmp_path


def test_defaults_are_valid_and_local():
    """Without anything Tidegate talks to this machine only."""
    settings = load_settings()
    assert settings.kafka_bootstrap.startswith("127.0.0.1:")
    assert settings.admin_host == "127.0.0.1"


def test_flags_come_before_environment_before_file_before_defaults(tmp_path, monkeypatch):
    """Each place can be overruled by the one before it."""
    path = config(tmp_path, "partitions = 2\ngroup_id = 'file'\nredis_prefix = 'f:'\n")
    monkeypatch.setenv("TIDEGATE_PARTITIONS", "3")
    monkeypatch.setenv("TIDEGATE_GROUP_ID", "environment")
    settings = load_settings(config=path, partitions=5, admin_port=None)
    assert settings.partitions == 5
    assert settings.group_id == "environment"
    assert settings.redis_prefix == "f:"
    assert settings.admin_port == 8080


def test_environment_names_the_file(tmp_path, monkeypatch):
    """`TIDEGATE_CONFIG` stands for the flag."""
    path = config(tmp_path, "partitions = 9")
    monkeypatch.setenv("TIDEGATE_CONFIG", str(path))
    assert load_settings().partitions == 9


def test_addresses_of_a_running_stack_come_before_all_but_flags(tmp_path, monkeypatch):
    """With `--state` a command finds the servers that run, whatever else is set."""
    monkeypatch.setenv("TIDEGATE_KAFKA_BOOTSTRAP", "elsewhere:1")
    directory = state(tmp_path, kafka_bootstrap="127.0.0.1:5", redis_url="redis://127.0.0.1:6/0")
    assert load_settings(state=directory).kafka_bootstrap == "127.0.0.1:5"
    assert load_settings(state=directory, kafka_bootstrap="x:7").kafka_bootstrap == "x:7"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"partitions": 0}, ["partitions", "greater than 0", "got 0"]),
        ({"partitions": "many"}, ["partitions", "integer", "got 'many'"]),
        ({"tick_seconds": 7}, ["tick_seconds", "must divide 3600", "got 7"]),
        ({"admin_port": 70_000}, ["admin_port", "65535", "got 70000"]),
        ({"day_ring": 3}, ["day_ring", "4", "got 3"]),
        (
            {"false_surge_items_per_100000": 0},
            ["false_surge_items_per_100000", "greater than 0", "got 0"],
        ),
        ({"log_level": "loud"}, ["log_level", "debug", "got 'loud'"]),
        ({"no_such": 1}, ["no_such is no setting"]),
        ({"grace_seconds": 5}, ["grace_seconds must be >= allowed_lateness_seconds"]),
        ({"grace_seconds": 18 * 86_400}, ["grace_seconds must be at most half of day_ring"]),
        ({"day_history": 10}, ["day_history must be >= day_ring"]),
        ({"partitions": 0, "admin_port": -1}, ["partitions", "admin_port"]),
    ],
)
def test_wrong_setting_is_named_with_its_rule_and_value(flags, said):
    """The message is what a person needs to mend it."""
    with pytest.raises(SettingsError) as error:
        load_settings(**flags)
    for part in said:
        assert part in str(error.value)


def test_address_with_a_password_is_not_shown():
    """An address may hold a secret: the message tells the rule without it."""
    with pytest.raises(SettingsError) as error:
        load_settings(redis_url="http://me:secret@host")
    assert "must begin with redis://" in str(error.value)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("text", ["partitions = ", "\xff", "= 3"])
def test_broken_file_is_named(tmp_path, text):
    """A file that cannot be read is an error about that file."""
    path = tmp_path / "broken.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(SettingsError, match=r"broken\.toml"):
        load_settings(config=path)
    with pytest.raises(SettingsError, match="missing"):
        load_settings(config=tmp_path / "missing")


def test_unknown_name_in_the_file_is_no_setting(tmp_path):
    """A misspelt name does not go unnoticed."""
    with pytest.raises(SettingsError, match="partition is no setting"):
        load_settings(config=config(tmp_path, "partition = 2"))


@pytest.mark.parametrize(
    "held",
    [
        *(None, "{", "{}"),
        "[]",
    ],
)
def test_directory_without_a_running_stack_is_named(tmp_path, held):
    """`--state` with a wrong directory says what it should be."""
    if held is not None:
        (tmp_path / STATE_FILE).write_text(held)
    with pytest.raises(SettingsError, match="state must"):
        load_settings(state=tmp_path)


def test_settings_cannot_change_once_read():
    """What was checked at start holds."""
    with pytest.raises(ValueError, match="frozen"):
        load_settings().partitions = 3


def test_parts_get_what_was_set():
    """Units are turned into those of each part."""
    settings = load_settings(
        allowed_lateness_seconds=3,
        grace_seconds=60,
        minute_ring=11,
        hour_ring=12,
        day_ring=13,
        day_history=14,
        decision_history_days=15,
        dedupe_keys=16,
        order_keys=17,
        open_lines=26,
        record_bytes=18,
        future_seconds=19,
        tick_seconds=20,
        commit_interval_ms=21,
        stock_valid_days=22,
        minimum_history_days=23,
        surge_minimum_days=24,
        silent_arrivals=25,
        redis_prefix="x:",
    )
    worker, retention = settings.worker(), retention_of(settings)
    shard = worker.shard
    assert (shard.allowed_lateness_ms, shard.grace_ms) == (3_000, 60_000)
    assert (shard.minutes, shard.hours, shard.days) == (11, 12, 13)
    assert (retention.minutes, retention.hours, retention.days) == (11, 12, 14)
    assert (retention.decision_days, retention.ring_days) == (15, 13)
    assert (shard.dedupe_keys, shard.order_keys) == (16, 17)
    assert (worker.limits.record_bytes, worker.limits.future_ms) == (18, 19_000)
    assert shard.timeline.tick_ms == 20_000
    assert shard.timeline.open_lines == 26
    assert worker.commit_interval_s == 0.021
    assert shard.timeline.review.stock_valid_ms == 22 * DAY_MS
    assert shard.timeline.review.minimum_days == 23
    assert shard.timeline.surge.minimum_days == 24
    assert shard.timeline.alerts.order_feed.silent_arrivals == 25
    assert keys_of(settings).item(1, "a@b") == "x:item:{1}:a@b"


def test_every_setting_says_what_it_is():
    """`tidegate settings` and the reference in `infra/README.md` explain each setting."""
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_addresses_for_links_are_addresses() -> None:
    """A closing slash is taken off; without one for people, the page is where the port is."""
    given = load_settings(public_url="https://tide.example/", grafana_url="https://g.example")
    assert (given.page_url(), given.grafana_url) == ("https://tide.example", "https://g.example")
    assert load_settings(admin_port=8081).page_url() == "http://127.0.0.1:8081"
    everywhere = load_settings(admin_host="0.0.0.0", admin_port=8081).page_url()
    assert everywhere == f"http://{socket.gethostname()}:8081"
    assert load_settings(admin_host="::1").page_url() == "http://[::1]:8080"
    with pytest.raises(SettingsError, match="public_url: must begin with http:// or https://"):
        load_settings(public_url="tide.example")
