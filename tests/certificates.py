"""Certificates for tests, made with openssl: an authority, and what it signs, also expired."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Signed:
    """A certificate and its key, in PEM."""

    certificate: Path
    key: Path


class Authority:
    """Signs certificates, valid for two days, or over since yesterday.

    Args:
        directory: takes the files.
    """

    def __init__(self, directory: Path, name: str = "authority") -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self.certificate = directory / f"{name}.pem"
        self._key = directory / f"{name}.key"
        new_key = ["-newkey", "rsa:2048", "-nodes", "-keyout", str(self._key)]
        subject = ["-subj", f"/CN={name}", "-days", "2", "-out", str(self.certificate)]
        _openssl("req", "-x509", *new_key, *subject)

    def sign(self, name: str, *, is_expired: bool = False) -> Signed:
        """Return a new certificate for 127.0.0.1 and localhost under that name."""
        key, request, certificate, extensions = (
            self._directory / f"{name}.{end}" for end in ("key", "csr", "pem", "ext")
        )
        extensions.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
        new_key = ["-newkey", "rsa:2048", "-nodes", "-keyout", str(key)]
        _openssl("req", *new_key, "-subj", f"/CN={name}", "-out", str(request))
        signer = ["-CA", str(self.certificate), "-CAkey", str(self._key), "-CAcreateserial"]
        days = ["-days", "-1" if is_expired else "2"]
        files = ["-in", str(request), "-out", str(certificate), "-extfile", str(extensions)]
        _openssl("x509", "-req", *signer, *days, *files)
        return Signed(certificate, key)


def key_store(signed: Signed, password: str) -> Path:
    """Return the same as Java reads it (PKCS #12)."""
    store = signed.certificate.with_suffix(".p12")
    files = ["-in", str(signed.certificate), "-inkey", str(signed.key), "-out", str(store)]
    _openssl("pkcs12", "-export", *files, "-passout", f"pass:{password}", "-name", "key")
    return store


def trust_store(authority: Authority, password: str) -> Path:
    """Return a store with the authority that Java trusts by it."""
    store = authority.certificate.with_suffix(".trust.p12")
    names = ["-alias", "ca", "-file", str(authority.certificate), "-keystore", str(store)]
    options = ["-storetype", "PKCS12", "-storepass", password, "-noprompt"]
    _run("keytool", "-importcert", *names, *options)
    return store


def _openssl(*arguments: str) -> None:
    _run("openssl", *arguments)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
