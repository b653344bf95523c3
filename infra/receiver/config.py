"""What `tidegate connect run` reads from its TOML file."""

import base64
import re
import tomllib
from pathlib import Path
from typing import Any, Literal

import msgspec

from infra.connect.mapping import ShopMapping, load_mapping
from infra.connect.mapping_text import MappingError
from infra.connect.shops.connectors import MAPPED, Connector
from infra.connect.shops.payloads import OnMissingSku, ShopSettings
from infra.settings import SettingsError, read_secret

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_OF_KIND = {"shopify": "shopify", "woocommerce": "woocommerce", "bigcommerce": "standard"}
_SECRET_CHARACTERS = 8  # a shorter one can be guessed


class Http(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Where webhooks are taken."""

    host: str = "127.0.0.1"
    port: int = 8090
    certificate_file: Path | None = None
    key_file: Path | None = None
    max_body_bytes: int = 1_048_576
    max_per_second: int = 200  # of one source; what is beyond it has to come again


class Source(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One shop, database or topic.

    Attributes:
        name: the end of its address `/in/<kind>/<name>`, and its name in metrics and lists.
        kind: whose messages these are; `kafka` reads a topic, `json` takes any JSON by a mapping.
        shop: names the source of its events, for ever; by default its name.
        secret_files: what it signs with; each is read again when it changes.
        proof: of `json`: how its messages are proved.
        signature_header: of `json` with `hmac`.
        mapping: of `json` and `kafka`: TOML file that says what the fields are.
        topic: of `kafka`: what is read, without any prefix of Tidegate's.
        format: of `kafka`: plain JSON by a mapping, or change events of Debezium.
        begin: of `kafka`: where a topic is read from that was never read before.
        stock_is: what the shop's stock figure means.
        on_missing_sku: what becomes of a line without a sku.
    """

    name: str
    kind: Literal["shopify", "woocommerce", "bigcommerce", "json", "kafka"]
    shop: str = ""
    secret_files: list[Path] = []
    proof: Literal["bearer", "hmac", "standard"] = "bearer"
    signature_header: str = ""
    mapping: Path | None = None
    topic: str = ""
    format: Literal["json", "debezium", "outbox", "amazon", "shopware"] = "json"
    begin: Literal["earliest", "latest"] = "earliest"
    stock_is: Literal["available", "on_hand"] = "available"
    on_missing_sku: OnMissingSku = "skip"

    @property
    def scheme(self) -> str:
        """How its messages are proved: one of `infra.receiver.signatures.SCHEMES`."""
        return _OF_KIND.get(self.kind, self.proof)

    def secrets(self) -> list[str]:
        """Return what it signs with now.

        Raises:
            SettingsError: a file cannot be read, or holds no secret.
        """
        found = [_secret(path, self.name) for path in self.secret_files]
        if self.kind == "bigcommerce":  # it signs with the plain client secret
            return ["whsec_" + base64.b64encode(one.encode()).decode() for one in found]
        return found

    def connector(self) -> Connector:
        """Return what reads its messages.

        Raises:
            SettingsError: its mapping breaks a rule.
        """
        kind = {"json": "mapping", "kafka": self.format}.get(self.kind, self.kind)
        settings = ShopSettings(self.stock_is, self.on_missing_sku)
        kind = "mapping" if kind == "json" else kind
        shop = self.shop or self.name
        return Connector(kind, shop=shop, settings=settings, mapping=self._mapping())

    def _mapping(self) -> ShopMapping | None:
        if self.mapping is None:
            return None
        try:
            return load_mapping(self.mapping)
        except MappingError as error:
            raise SettingsError(f"mapping of source {self.name!r}: {error}") from None


class Config(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    source: list[Source]
    http: Http = msgspec.field(default_factory=Http)
    raw_days: float = 3.0  # for which messages are kept as they came: they hold names and addresses
    memory_days: float = 90.0  # a line of which nothing comes for so long is forgotten

    @property
    def webhooks(self) -> list[Source]:
        """Sources that come by HTTP."""
        return [one for one in self.source if one.kind != "kafka"]

    @property
    def topics(self) -> list[Source]:
        """Sources that are read from Kafka."""
        return [one for one in self.source if one.kind == "kafka"]


def load_config(path: Path) -> Config:
    """Read and check the file.

    Raises:
        SettingsError: names the file, the field, the rule and the value.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SettingsError(f"{path} must be a readable file: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} must be TOML in UTF-8: {error}") from None
    return build_config(document, path)


def build_config(document: dict[str, Any], path: Path) -> Config:
    """Check what a file holds. Paths in it are read from its own folder.

    Raises:
        SettingsError: as `load_config`.
    """
    try:
        config = msgspec.convert(document, Config, dec_hook=_path)
    except msgspec.ValidationError as error:
        text, _, place = str(error).partition(" - at `$.")
        rule = text.replace("`", "").replace("Object", "the file" if not place else "it")
        raise SettingsError(f"{path.name}: {place.strip('`') or 'the file'}: {rule}") from None
    _check_http(config.http, path)
    if not config.source:
        raise SettingsError(f"{path.name}: source must be given at least once, got none")
    for number, source in enumerate(config.source):
        for name in ("mapping", "secret_files"):
            _anchor(source, name, path.parent)
        _check_source(source, f"{path.name}: source[{number}]")
    names = [one.name for one in config.source]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise SettingsError(f"{path.name}: source.name must be given once each, got {twice!r}")
    return config


def _path(kind: type, value: object) -> Path:
    """Return a text as a path: msgspec knows none."""
    if kind is not Path or not isinstance(value, str):
        raise msgspec.ValidationError("Expected `str`, the path of a file")
    return Path(value)


def _check_http(http: Http, path: Path) -> None:
    if not 0 <= http.port <= 65_535:
        raise SettingsError(f"{path.name}: http.port must be from 0 to 65535, got {http.port}")
    if (http.certificate_file is None) != (http.key_file is None):
        raise SettingsError(
            f"{path.name}: http.certificate_file and http.key_file must be given together, "
            f"got {http.certificate_file} and {http.key_file}"
        )
    for name in ("max_body_bytes", "max_per_second"):
        if (value := getattr(http, name)) < 1:
            raise SettingsError(f"{path.name}: http.{name} must be at least 1, got {value}")
    for name in ("certificate_file", "key_file"):
        _anchor(http, name, path.parent)


def _anchor(holder: Any, name: str, folder: Path) -> None:
    """Read a path, or a list of them, from a folder."""
    value = getattr(holder, name)
    if isinstance(value, list):
        setattr(holder, name, [folder / one for one in value])
    elif value is not None:
        setattr(holder, name, folder / value)


def _check_source(source: Source, place: str) -> None:
    """Fail where a source lacks what its kind needs, or has what it cannot use."""

    def require(field: str, rule: str, value: object, *, holds: bool) -> None:
        if not holds:
            raise SettingsError(f"{place}.{field} must be {rule}, got {value!r}")

    rule = "1 to 64 of a-z, 0-9, - and _"
    require("name", rule, source.name, holds=_NAME.fullmatch(source.name) is not None)
    is_topic = source.kind == "kafka"
    needs = "given for kind kafka" if is_topic else "left out but for kind kafka"
    require("topic", needs, source.topic, holds=bool(source.topic) == is_topic)
    if not is_topic:
        rule = "at least one file: messages are taken only with a proof"
        require("secret_files", rule, [], holds=bool(source.secret_files))
        source.secrets()
    wants_mapping = source.kind == "json" or (is_topic and source.format == "json")
    takes_mapping = wants_mapping or (is_topic and source.format not in MAPPED)
    if source.mapping is None:
        require("mapping", "a file: it says what the fields are", None, holds=not wants_mapping)
    else:
        rule = f"left out for {source.format if is_topic else source.kind}"
        require("mapping", rule, str(source.mapping), holds=takes_mapping)
    if source.kind == "json" and source.proof == "hmac":
        rule = "given for proof hmac"
        require("signature_header", rule, "", holds=bool(source.signature_header))
    source.connector()


def _secret(path: Path, name: str) -> str:
    secret = read_secret(f"secret_files of source {name!r}", path)
    if len(secret) < _SECRET_CHARACTERS:
        raise SettingsError(
            f"{path} of source {name!r} must hold at least {_SECRET_CHARACTERS} characters, "
            f"got {len(secret)}"
        )
    return secret
