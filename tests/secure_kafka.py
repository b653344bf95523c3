"""Apache Kafka behind TLS and SASL: one listener for each way to sign in."""

from pathlib import Path

from infra.local.embedded import LOOPBACK, free_port
from tests.certificates import Authority, key_store, trust_store
from tests.kafka_server import KafkaServer

USER, PASSWORD = "tide", "right-password"
_STORES = "store-password"
_MODULES = "org.apache.kafka.common.security"

_PROPERTIES = """
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller},{listeners}
advertised.listeners=PLAINTEXT://{host}:{port},{listeners}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,TLS:SSL,MUTUAL:SSL,\
SIGNED:SASL_SSL,OPEN:SASL_PLAINTEXT
ssl.keystore.location={key_store}
ssl.keystore.password={stores}
ssl.truststore.location={trust_store}
ssl.truststore.password={stores}
listener.name.mutual.ssl.client.auth=required
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER
{jaas}
"""


class SecureKafka(KafkaServer):
    """`bootstrap` is plain text, for the tests' own use; `at()` names the others.

    Args:
        directory: takes everything.
        authority: signs the broker's certificate.
    """

    def __init__(self, directory: Path, authority: Authority) -> None:
        super().__init__(directory)
        self.ports = {name: free_port() for name in ("TLS", "MUTUAL", "SIGNED", "OPEN")}
        self._key_store = key_store(authority.sign("broker"), _STORES)
        self._trust_store = trust_store(authority, _STORES)

    def at(self, listener: str) -> str:
        """Return the address of a listener."""
        return f"{LOOPBACK}:{self.ports[listener]}"

    def _more_properties(self) -> str:
        return _PROPERTIES.format(
            host=LOOPBACK,
            port=self.port,
            controller=self._controller_port,
            listeners=",".join(f"{name}://{self.at(name)}" for name in self.ports),
            key_store=self._key_store,
            trust_store=self._trust_store,
            stores=_STORES,
            jaas="\n".join(self._jaas(name) for name in ("signed", "open")),
        )

    def _jaas(self, listener: str) -> str:
        plain = f'{_MODULES}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
        scram = f"{_MODULES}.scram.ScramLoginModule required;"
        oauth = (
            f"{_MODULES}.oauthbearer.OAuthBearerLoginModule required "
            'unsecuredLoginStringClaim_sub="broker";'
        )
        modules = {
            "plain": plain,
            "scram-sha-256": scram,
            "scram-sha-512": scram,
            "oauthbearer": oauth,
        }
        return "\n".join(
            f"listener.name.{listener}.{mechanism}.sasl.jaas.config={module}"
            for mechanism, module in modules.items()
        )

    def _format_options(self) -> list[str]:
        options = []
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
            options += ["--add-scram", f"{mechanism}=[name={USER},password={PASSWORD}]"]
        return options
