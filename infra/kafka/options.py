"""How Kafka is spoken to: the one place that turns settings into what its clients want."""

import logging
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import KafkaConnectionError, KafkaError

from infra.settings import Settings, SettingsError, read_secret


class TokenFile(AbstractTokenProvider):  # type: ignore[misc]
    """Hands out the token that a file holds now: whoever renews it needs no restart."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def token(self) -> str:
        """Return the token."""
        return read_secret("kafka_token_file", self._path)


def client_options(settings: Settings) -> dict[str, Any]:
    """Return what every aiokafka client gets: addresses and credentials.

    Raises:
        SettingsError: a file cannot be read, or does not hold what it should.
    """
    return {"bootstrap_servers": settings.kafka_bootstrap, **security_options(settings)}


def security_options(settings: Settings) -> dict[str, Any]:
    """Return the credentials alone.

    Raises:
        SettingsError: as `client_options`.
    """
    options: dict[str, Any] = {
        "security_protocol": settings.kafka_security.upper(),
        "ssl_context": _ssl_context(settings),
    }
    if settings.kafka_sasl is None:
        return options
    options["sasl_mechanism"] = settings.kafka_sasl
    if settings.kafka_token_file is not None:
        options["sasl_oauth_token_provider"] = TokenFile(settings.kafka_token_file)
    else:
        options["sasl_plain_username"] = settings.kafka_username
        options["sasl_plain_password"] = settings.secret("kafka_password")
    return options


def faust_credentials(settings: Settings) -> Any:
    """Return the same for Faust; None means plain text.

    Raises:
        SettingsError: as `client_options`.
    """
    from faust.auth import OAuthCredentials, SASLCredentials, SSLCredentials
    from faust.types.auth import AuthProtocol  # for workers: loads for long

    options = security_options(settings)
    context = options["ssl_context"]
    if settings.kafka_sasl is None:
        return None if context is None else SSLCredentials(context)
    if "sasl_oauth_token_provider" in options:
        return OAuthCredentials(oauth_cb=options["sasl_oauth_token_provider"], ssl_context=context)
    credentials = SASLCredentials(
        username=options["sasl_plain_username"],
        password=options["sasl_plain_password"],
        ssl_context=context,
        mechanism=settings.kafka_sasl,
    )
    credentials.protocol = AuthProtocol(settings.kafka_security.upper())
    return credentials


def _ssl_context(settings: Settings) -> ssl.SSLContext | None:
    if "ssl" not in settings.kafka_security:
        return None
    context = tls_context("kafka_ca_file", settings.kafka_ca_file)
    certificate, key = settings.kafka_certificate_file, settings.kafka_key_file
    if certificate is not None and key is not None:
        try:
            # Asked for a pass phrase, a service would wait for ever.
            context.load_cert_chain(certificate, key, password=lambda: "")
        except (OSError, ssl.SSLError) as error:
            rule = "a certificate and its key, in PEM, without a pass phrase"
            text = f"kafka_certificate_file and kafka_key_file must be {rule}"
            raise SettingsError(f"{text}, got {certificate} and {key}: {error}") from None
    return context


def tls_context(name: str, ca_file: Path | None) -> ssl.SSLContext:
    """Return a context that checks the server's certificate and name.

    Args:
        name: of the setting.
        ca_file: who may sign the server's certificate; None means whom the system trusts.

    Raises:
        SettingsError: the file holds no certificates.
    """
    try:
        return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except (OSError, ssl.SSLError) as error:
        rule = f"{name} must be a readable file of certificates in PEM"
        raise SettingsError(f"{rule}, got {ca_file}: {error}") from None


class KafkaRefusal(KafkaConnectionError):  # type: ignore[misc]
    """No broker let us in; the text says what was wrong and which settings say otherwise."""


@contextmanager
def clear_errors(settings: Settings) -> Iterator[None]:
    """Let a refusal to connect say why. The client itself tells that only to its log.

    Raises:
        KafkaRefusal: instead of any other `KafkaError` with which connecting failed.
    """
    complaints = _Complaints()
    logger = logging.getLogger("aiokafka")
    logger.addHandler(complaints)
    try:
        yield
    except KafkaError as error:
        if isinstance(error, KafkaRefusal) or settings.kafka_security == "plaintext":
            raise
        hint = _hint(complaints.text or str(error), settings)
        raise KafkaRefusal(f"{settings.kafka_bootstrap}: {hint}") from None
    finally:
        logger.removeHandler(complaints)


class _Complaints(logging.Handler):
    """Keeps the last complaint about a connection."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Take a complaint."""
        self.text = record.getMessage()


def _hint(complaint: str, settings: Settings) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in complaint:
        reason = complaint.partition("CERTIFICATE_VERIFY_FAILED]")[2].partition("(_ssl")[0].strip()
        return f"the broker's certificate is not to be trusted by kafka_ca_file: {reason}"
    if "SaslAuthenticationFailed" in complaint:
        names = "kafka_username and kafka_password or kafka_password_file"
        return f"the broker refused {names} for {settings.kafka_sasl}"
    if settings.kafka_sasl == "OAUTHBEARER":
        return "the broker refused the token of kafka_token_file: expired, or not made for it"
    if "closed" in complaint:
        return (
            f"the broker hung up: does it speak kafka_security={settings.kafka_security} there, "
            "and is kafka_certificate_file given, not expired, and signed by whom it trusts?"
        )
    return complaint
