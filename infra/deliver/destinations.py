"""The file that says where orders go: one table `[[destination]]` for each place."""

import tomllib
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from infra.deliver.mail import Mailbox
from infra.deliver.webhook import secret_bytes


class DestinationError(ValueError):
    """A destination that cannot be used; names field, rule and value."""

    def __init__(self, field: str, rule: str, value: object) -> None:
        super().__init__(f"{field} must be {rule}, got {value!r}")


class _Common(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    suppliers: tuple[str, ...] = ()  # empty: orders to all suppliers
    at_most_days_old: float = 7.0  # an order that was decided earlier is history: it is skipped
    gather_seconds: float = 0.0  # orders to one supplier within so long are one document; 0: none

    @property
    def asks_first(self) -> bool:
        """Whether a person is asked before a message of unknown end is sent again."""
        return False


class Webhook(_Common, frozen=True, kw_only=True, tag_field="kind", tag="webhook"):
    """An address that takes Standard Webhooks."""

    url: str
    secret_files: tuple[Path, ...] = ()
    timeout_seconds: float = 20.0


class Folder(_Common, frozen=True, kw_only=True, tag_field="kind", tag="csv"):
    """A folder in which each version of an order is a CSV file."""

    folder: Path
    delimiter: str = ";"
    decimal: str = ","


class Mail(_Common, frozen=True, kw_only=True, tag_field="kind", tag="mail"):
    """A mail for each version of an order."""

    host: str
    port: int = 587
    sender: str
    to: tuple[str, ...]
    reply_to: str | None = None
    user: str | None = None
    password_file: Path | None = None
    security: str = "starttls"
    domain: str = "tidegate.invalid"
    timeout_seconds: float = 30.0

    @property
    def asks_first(self) -> bool:
        """People read it: a second mail may become a second order."""
        return True

    def mailbox(self) -> Mailbox:
        """Return it with its password, read now: whoever renews it needs no restart.

        Raises:
            DestinationError: the file cannot be read.
        """
        password = None if self.password_file is None else _read(self.name, self.password_file)
        return Mailbox(
            host=self.host,
            port=self.port,
            sender=self.sender,
            to=self.to,
            reply_to=self.reply_to,
            user=self.user,
            password=password,
            security=self.security,
            domain=self.domain,
            timeout_s=self.timeout_seconds,
        )


class Edifact(_Common, frozen=True, kw_only=True, tag_field="kind", tag="edifact"):
    """A folder in which each order is an EDIFACT ORDERS D.96A interchange."""

    folder: Path
    buyer: str
    supplier: str
    deliver_to: str
    qualifier: str = "14"


class X12(_Common, frozen=True, kw_only=True, tag_field="kind", tag="x12"):
    """A folder in which each order is an X12 850 interchange, version 004010."""

    folder: Path
    buyer: str
    supplier: str
    buyer_name: str
    buyer_code: str
    deliver_to_name: str


class Odoo(_Common, frozen=True, kw_only=True, tag_field="kind", tag="odoo"):
    """Draft purchase orders in Odoo 19 or newer."""

    url: str
    key_file: Path
    database: str | None = None
    partners: dict[str, str] = {}  # external id by supplier
    products: dict[str, str] = {}  # external id by sku
    timeout_seconds: float = 30.0

    def key(self) -> str:
        """Return the key, read now: it lasts three months at most.

        Raises:
            DestinationError: the file cannot be read.
        """
        return _read(self.name, self.key_file)


Destination = Webhook | Folder | Mail | Edifact | X12 | Odoo


class _File(msgspec.Struct, forbid_unknown_fields=True):
    destination: list[Destination]


def read_destinations(path: Path) -> dict[str, Destination]:
    """Return the destinations of a file by name.

    Raises:
        DestinationError: the file, or what it says, cannot be used.
    """
    try:
        given: Mapping[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        read = msgspec.convert(given, _File, dec_hook=_path)
    except (OSError, UnicodeDecodeError) as error:
        raise DestinationError("destinations", "a readable file", str(path)) from error
    except tomllib.TOMLDecodeError as error:
        raise DestinationError(str(path), f"TOML ({error})", "other text") from None
    except msgspec.ValidationError as error:
        raise DestinationError(str(path), f"as documented: {error}", "something else") from None
    found: dict[str, Destination] = {}
    for one in read.destination:
        if not one.name or one.name in found:
            raise DestinationError("name", "given, and different for each destination", one.name)
        _check(one)
        found[one.name] = one
    if not found:
        raise DestinationError("destination", "given at least once", [])
    return found


def _path(kind: type, given: Any) -> Path:
    if kind is not Path or not isinstance(given, str):
        raise NotImplementedError
    return Path(given)


def secrets_of(destination: Webhook) -> list[str]:
    """Return the secrets of a webhook, read now.

    Raises:
        DestinationError: a file cannot be read, or holds no secret.
    """
    secrets = [_read(destination.name, path) for path in destination.secret_files]
    for text, path in zip(secrets, destination.secret_files, strict=True):
        try:
            secret_bytes(text)
        except ValueError as error:
            raise DestinationError(
                f"{destination.name}.secret_files", str(error), str(path)
            ) from None
    return secrets


def _check(one: Destination) -> None:
    if not one.at_most_days_old > 0:
        raise DestinationError(f"{one.name}.at_most_days_old", "> 0", one.at_most_days_old)
    if not 0 <= one.gather_seconds <= 86_400:
        rule = "from 0 to 86400"
        raise DestinationError(f"{one.name}.gather_seconds", rule, one.gather_seconds)
    match one:
        case Webhook():
            _check_url(one)
            secrets_of(one)
        case Odoo():
            _check_url(one)
            one.key()
        case Mail():
            if one.security not in ("starttls", "tls", "none"):
                rule = "starttls, tls or none"
                raise DestinationError(f"{one.name}.security", rule, one.security)
            if not one.to:
                raise DestinationError(f"{one.name}.to", "at least one address", list(one.to))
            for field in (one.sender, one.domain, *one.to, one.reply_to or ""):
                if not field.isprintable():
                    raise DestinationError(f"{one.name}.to", "printable, on one line", field)
            one.mailbox()
        case _:
            if not one.folder.is_dir():
                rule = "a folder that is there"
                raise DestinationError(f"{one.name}.folder", rule, str(one.folder))


def _check_url(one: Webhook | Odoo) -> None:
    parts = urlsplit(one.url)
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme == "http" and parts.hostname and _is_here(parts.hostname):
        return
    raise DestinationError(f"{one.name}.url", "https://..., or http:// on this machine", one.url)


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _read(name: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise DestinationError(f"{name}: a secret", "in a readable file", str(path)) from None
