"""Certificates for tests: an authority of their own, that nobody else trusts."""

import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

DAY = timedelta(days=1)


class Authority:
    """Signs certificates, and makes the two ends of TLS that go with them."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = _sign(
            "an authority of the tests", [], key=self._key, issuer=None, issuer_key=self._key
        )

    def server(self, *hosts: str, expired: bool = False) -> ssl.SSLContext:
        """Return a server's end that shows a certificate for these names and addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _sign(
            hosts[0],
            list(hosts),
            key=key,
            issuer=self._certificate,
            issuer_key=self._key,
            until=datetime.now(UTC) + (-DAY if expired else DAY),
        )
        return _server(certificate, key)

    def client(self) -> ssl.SSLContext:
        """Return a client's end that trusts this authority, and no other."""
        return ssl.create_default_context(cadata=_pem(self._certificate).decode())


def self_signed(*hosts: str) -> ssl.SSLContext:
    """Return a server's end whose certificate vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _sign(hosts[0], list(hosts), key=key, issuer=None, issuer_key=key)
    return _server(certificate, key)


def _sign(
    name: str,
    hosts: list[str],
    *,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Certificate | None,
    issuer_key: ec.EllipticCurvePrivateKey,
    until: datetime | None = None,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - 2 * DAY)
        .not_valid_after(until or datetime.now(UTC) + DAY)
        .add_extension(x509.BasicConstraints(ca=not hosts, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
        .add_extension(_usage(signs=not hosts), critical=True)
    )
    if hosts:
        names = x509.SubjectAlternativeName([_alternative(host) for host in hosts])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _server(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        chain = Path(folder) / "chain.pem"
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        chain.write_bytes(_pem(certificate) + secret)
        context.load_cert_chain(chain)
    return context


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)
