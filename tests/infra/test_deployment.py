"""What cannot be started here is checked with its own tools and schemas, and against the code.

No engine runs Docker images in these tests: that the images start was not seen, and the README
says so. Every file, setting, port, secret and flag that the deployment names exists.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from compose_spec import PyCompose

from infra.settings import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "infra" / "deploy"
COMPOSE = DEPLOY / "compose.yaml"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
ADMIN_PORT = Settings().admin_port


def services() -> dict[str, dict[str, Any]]:
    """Compose's services by name."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text())["services"]
    return found


def resources() -> list[dict[str, Any]]:
    """Everything that is applied to Kubernetes."""
    return [doc for path in MANIFESTS for doc in yaml.safe_load_all(path.read_text())]


def resource(kind: str) -> dict[str, Any]:
    """The one resource of a kind."""
    (found,) = [doc for doc in resources() if doc["kind"] == kind]
    return found


def container() -> dict[str, Any]:
    """The worker's container."""
    (found,) = resource("Deployment")["spec"]["template"]["spec"]["containers"]
    return dict(found)


# --- their own tools ---------------------------------------------------------------------------


def test_dockerfile_has_nothing_that_its_linter_minds() -> None:
    """hadolint, with the shell checks in it."""
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, DEPLOY / "Dockerfile"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_compose_file_keeps_the_specification() -> None:
    """Read by a parser that takes the specification at its word, once YAML's merges are done."""
    merged = yaml.safe_dump(yaml.safe_load(COMPOSE.read_text()))
    assert set(PyCompose.from_yaml(merged).service_names()) == set(services())


@pytest.mark.parametrize("doc", resources(), ids=lambda doc: doc["kind"])
def test_manifest_keeps_the_schema_of_kubernetes(doc: dict[str, Any]) -> None:
    """Strictly: a field that Kubernetes does not know is an error."""
    kubernetes_validate.validate(doc, kubernetes_validate.latest_version(), strict=True)


# --- what they name exists ---------------------------------------------------------------------


def test_every_setting_exists_and_is_accepted() -> None:
    """The environment of both deployments, as the worker would read it."""
    for given in (services()["worker"]["environment"], resource("ConfigMap")["data"]):
        named = {name.removeprefix("TIDEGATE_").lower(): value for name, value in given.items()}
        assert named.keys() <= Settings.model_fields.keys()
        assert Settings(**named).admin_port == ADMIN_PORT


def test_every_file_that_is_mounted_exists() -> None:
    """From the folder of the Compose file, as Docker reads it."""
    for name, service in services().items():
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            if source.startswith("."):
                assert (DEPLOY / source).resolve().exists(), f"{name}: {source}"


def test_every_file_that_the_image_copies_exists() -> None:
    """And is let through by .dockerignore, which lets nothing else through."""
    allowed = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[0] == "!"
    }
    text = (DEPLOY / "Dockerfile").read_text()
    copied = re.findall(r"^COPY (?!--from)(?:--\S+ )?(.+) \S+$", text, re.MULTILINE)
    for source in [source for sources in copied for source in sources.split()]:
        assert (ROOT / source).exists()
        assert source.split("/")[0] in allowed


def test_ports_agree_with_the_settings() -> None:
    """Image, Compose, Kubernetes, Prometheus and the settings name one admin port."""
    prometheus = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yaml").read_text())
    (scraped,) = prometheus["scrape_configs"][0]["dns_sd_configs"]
    assert scraped["port"] == ADMIN_PORT
    assert scraped["names"] == ["worker"]
    assert f"EXPOSE {ADMIN_PORT}" in (DEPLOY / "Dockerfile").read_text()
    assert services()["worker"]["ports"] == [f"127.0.0.1:{ADMIN_PORT}:{ADMIN_PORT}"]
    (port,) = container()["ports"]
    assert port["containerPort"] == ADMIN_PORT
    (ingress,) = resource("NetworkPolicy")["spec"]["ingress"]
    assert [one["port"] for one in ingress["ports"]] == [ADMIN_PORT]


def test_secrets_are_files_and_all_of_them_are_made() -> None:
    """No secret stands in the environment; each file that is read is mounted."""
    declared = set(yaml.safe_load(COMPOSE.read_text())["secrets"])
    for service in services().values():
        mounted = set()
        for secret in service.get("secrets", []):
            source = secret if isinstance(secret, str) else secret["source"]
            mounted.add(secret if isinstance(secret, str) else secret["target"])
            assert source in declared
        text = str(service)
        assert set(re.findall(r"/run/secrets/(\w+)", text)) <= mounted
        for name in service.get("environment", {}):
            if re.search(r"PASSWORD|TOKEN|SECRET", name):
                assert name.endswith("_FILE")
    scrape = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yaml").read_text())
    credentials = scrape["scrape_configs"][0]["authorization"]["credentials_file"]
    assert credentials == "/run/secrets/viewer_token"


def test_worker_takes_the_flags_it_is_given(capsys: pytest.CaptureFixture[str]) -> None:
    """The command of both deployments, looked up in the command's own help."""
    from infra.cli.app import run

    for arguments in (services()["worker"]["command"], container()["args"]):
        command, *flags = arguments
        assert run([command, "--help"]) == 0
        shown = capsys.readouterr().out
        for flag in flags:
            assert flag in shown


def test_network_policy_lets_out_to_what_the_worker_is_configured_to_reach() -> None:
    """Kafka's and Redis's ports, and names; nothing else."""
    reported = resource("ConfigMap")["data"]
    wanted = {
        int(reported["TIDEGATE_KAFKA_BOOTSTRAP"].rpartition(":")[2]),
        int(re.search(r":(\d+)/", reported["TIDEGATE_REDIS_URL"])[1]),  # type: ignore[index]
        53,
    }
    rules = resource("NetworkPolicy")["spec"]["egress"]
    assert {one["port"] for rule in rules for one in rule["ports"]} == wanted


# --- hardening ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", services())
def test_service_is_pinned_watched_limited_and_hardened(name: str) -> None:
    """An image with a version, a health check, limits, no new rights; ports on loopback only."""
    service = services()[name]
    assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+(\.\d+)?", service["image"])
    assert service["healthcheck"]["test"]
    assert service["mem_limit"]
    assert service["cpus"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] or name == "kafka"  # it formats its storage and writes its logs
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_pod_has_no_rights_that_it_does_not_need() -> None:
    """Not root, no writing but on its own small volumes, no capabilities, no account token."""
    pod = resource("Deployment")["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert not pod["automountServiceAccountToken"]
    context = container()["securityContext"]
    assert context["readOnlyRootFilesystem"]
    assert not context["allowPrivilegeEscalation"]
    assert context["capabilities"]["drop"] == ["ALL"]
    assert container()["resources"]["limits"]["memory"]
    assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container().keys()


def test_image_runs_as_nobody_in_particular() -> None:
    """The user of the image is the one that the manifests name, and is not root."""
    user = re.search(r"^USER (\d+)$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    assert user is not None
    pod = resource("Deployment")["spec"]["template"]["spec"]
    assert int(user[1]) == pod["securityContext"]["runAsUser"] > 0
