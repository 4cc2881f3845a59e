"""A certificate authority for TLS tests, made with the openssl command."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.broker import Certificates


def make_certificates(folder: Path) -> Certificates:
    """Make an authority, and a certificate of it for a server on 127.0.0.1 and for a client."""
    ca, ca_key = folder / "ca.crt", folder / "ca.key"
    _openssl(
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-days", "2", "-subj", "/CN=test authority", "-keyout", ca_key, "-out", ca),
    )
    server, server_key = _issue(folder, "server", "subjectAltName=IP:127.0.0.1,DNS:localhost", ca, ca_key)
    client, client_key = _issue(folder, "client", "extendedKeyUsage=clientAuth", ca, ca_key)
    return Certificates(ca, server, server_key, client, client_key)


def _issue(folder: Path, name: str, extension: str, ca: Path, ca_key: Path) -> tuple[Path, Path]:
    certificate, key, request = (folder / f"{name}.{suffix}" for suffix in ("crt", "key", "csr"))
    extensions = folder / f"{name}.ext"
    extensions.write_text(extension + "\n")
    _openssl(
        *("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-subj", f"/CN={name}", "-keyout", key, "-out", request),
    )
    _openssl(
        *("x509", "-req", "-days", "2", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial"),
        *("-extfile", extensions, "-out", certificate),
    )
    return certificate, key


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
