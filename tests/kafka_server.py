"""Apache Kafka without Docker: KRaft nodes, run by Java from jars that Maven brings.

Data and log of a node lie in a directory of the caller's, so after `kill()` and `start()` it comes
back with its records, as a real broker does.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from infra.local.embedded import LOOPBACK, ServerError, ServerProcess, free_port, kafka_answers

_FILES = Path(__file__).parent / "kafka"
_POM = _FILES / "pom.xml"
_LOGGING = _FILES / "log4j2.properties"
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:2.8:copy-dependencies"
_MAVEN_TIMEOUT_SECONDS = 300

_PROPERTIES = """
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{advertised_port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.quorum.voters=1@{host}:{controller_port}
log.dirs={data}
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# Records of a replay may carry times of years ago: age must not delete them.
log.retention.ms=-1
log.retention.check.interval.ms=10000
group.min.session.timeout.ms=1000
# After kill(), the node may not come back before its old registration ran out.
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=2000
"""


class KafkaServer(ServerProcess):
    """One node of Apache Kafka, broker and controller in one process."""

    name = "kafka"
    start_timeout_seconds = 60.0
    stop_timeout_seconds = 20.0

    def __init__(
        self,
        directory: Path | str,
        *,
        port: int | None = None,
        advertised_port: int | None = None,
        heap_megabytes: int = 768,
    ) -> None:
        """`directory` takes log, configuration and data; clients are sent to `advertised_port`."""
        super().__init__(directory, port=port)
        self._advertised_port = advertised_port
        self.heap_megabytes = heap_megabytes
        self._cluster_id = str(uuid.uuid4())
        self._jars = kafka_jars()
        self._controller_port = free_port()

    @property
    def bootstrap(self) -> str:
        """What Kafka clients call `bootstrap.servers`."""
        return self.address

    def _command(self) -> list[str]:
        configuration = self.directory / "kafka.properties"
        data = self.directory / "kafka-data"
        properties = _PROPERTIES.format(
            host=LOOPBACK,
            port=self.port,
            advertised_port=self._advertised_port or self.port,
            controller_port=self._controller_port,
            data=data,
        )
        configuration.write_text(properties + self._more_properties())
        if not (data / "meta.properties").exists():
            self._format(configuration)
        return self._java(f"-Xmx{self.heap_megabytes}m", main="kafka.Kafka", file=configuration)

    def _more_properties(self) -> str:
        """Properties of a test's own; a later line wins over an earlier one."""
        return ""

    def _format_options(self) -> list[str]:
        """Options of the storage tool."""
        return []

    def _format(self, configuration: Path) -> None:
        command = self._java(main="kafka.tools.StorageTool")
        command += ["format", "-t", self._cluster_id, "-c", str(configuration)]
        command += self._format_options()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ServerError(f"kafka's storage cannot be formatted: {done.stdout}{done.stderr}")

    def _java(self, *options: str, main: str, file: Path | None = None) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={_LOGGING}"
        command = ["java", *options, logging, "-cp", f"{self._jars}/*", main]
        return [*command, str(file)] if file else command

    def _answers(self) -> bool:
        return kafka_answers(self.port)


_REPLICATED = """
node.id={node}
controller.quorum.voters={voters}
offsets.topic.replication.factor=3
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
share.coordinator.state.topic.replication.factor=3
share.coordinator.state.topic.min.isr=2
min.insync.replicas=2
"""


class KafkaNode(KafkaServer):
    """One node of a cluster: the others have its cluster id and the same voters."""

    def __init__(
        self, directory: Path, node: int, cluster_id: str, controller_ports: dict[int, int]
    ) -> None:
        super().__init__(directory, port=free_port(), heap_megabytes=256)
        self._node = node
        self._cluster_id = cluster_id
        self._controller_port = controller_ports[node]
        self._voters = ",".join(f"{n}@{LOOPBACK}:{port}" for n, port in controller_ports.items())

    def _more_properties(self) -> str:
        return _REPLICATED.format(node=self._node, voters=self._voters)


class KafkaCluster:
    """Three nodes, broker and controller each: a record is accepted once two of them have it.

    Args:
        directory: takes log, configuration and data of each node.
    """

    replication_factor = 3

    def __init__(self, directory: Path) -> None:
        controller_ports = {node: free_port() for node in (1, 2, 3)}
        cluster_id = str(uuid.uuid4())
        self.nodes = [
            KafkaNode(directory / f"node-{node}", node, cluster_id, controller_ports)
            for node in controller_ports
        ]
        self._running = ExitStack()

    @property
    def bootstrap(self) -> str:
        """The addresses of all nodes."""
        return ",".join(node.address for node in self.nodes)

    def __enter__(self) -> Self:
        for node in self.nodes:
            self._running.callback(node.kill)
        with ThreadPoolExecutor() as side_by_side:  # a node answers once two have found each other
            list(side_by_side.map(KafkaNode.start, self.nodes))
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()


def why_no_kafka() -> str | None:
    """Return why Apache Kafka cannot run here, in words for a person; None when it can."""
    if shutil.which("java") is None:
        return "Apache Kafka needs Java 17 or newer: no `java` on the path"
    if not _cached_jars().is_dir() and shutil.which("mvn") is None:
        return "Apache Kafka's jars come by Maven: no `mvn` on the path"
    try:
        kafka_jars()
    except ServerError as error:
        return str(error)
    return None


def kafka_jars() -> Path:
    """Return the folder of Kafka's jars; Maven fills it the first time, in a few seconds."""
    jars = _cached_jars()
    if jars.is_dir():
        return jars
    print("Fetching Apache Kafka's jars with Maven ...", file=sys.stderr, flush=True)
    jars.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=jars.parent) as scratch:
        fetched = Path(scratch) / "jars"
        command = ["mvn", "-B", "-q", "-f", str(_POM), _COPY, f"-DoutputDirectory={fetched}"]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                check=False,
                stdin=subprocess.DEVNULL,
                timeout=_MAVEN_TIMEOUT_SECONDS,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ServerError(f"Maven could not bring Apache Kafka's jars: {error}") from error
        if done.returncode:
            tail = "\n".join((done.stdout + done.stderr).splitlines()[-10:])
            raise ServerError(f"Maven could not bring Apache Kafka's jars:\n{tail}")
        try:
            fetched.rename(jars)  # all or nothing: a killed test run leaves no half-filled folder
        except OSError:
            if not jars.is_dir():  # else another test run was faster
                raise
    return jars


def _cached_jars() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "tidegate" / f"kafka-{hashlib.sha256(_POM.read_bytes()).hexdigest()[:12]}"
