"""A root of the tests' own, and certificates that it vouches for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tasks.settings import Signing

DAY = timedelta(days=1)
EMAIL: x509.ObjectIdentifier = ExtendedKeyUsageOID.EMAIL_PROTECTION


def subject(name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "NL"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Films of the tests"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )


def pem_of_key(key: Any, password: str | None = None) -> str:
    encryption = NoEncryption() if password is None else BestAvailableEncryption(password.encode())
    pem: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    return pem.decode()


@dataclass(frozen=True)
class Leaf:
    """A certificate and its key, as PEM; the chain holds the root, too."""

    chain: str
    key: str


class Root:
    """A certificate authority."""

    def __init__(self, name: str = "Root of the tests") -> None:
        self.name, self.key, now = subject(name), ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
        usage = x509.KeyUsage(
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        self.certificate = (
            x509.CertificateBuilder(self.name, self.name, self.key.public_key(), x509.random_serial_number())
            .not_valid_before(now - 9 * DAY)
            .not_valid_after(now + 9 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    def leaf(
        self,
        *,
        purposes: Sequence[x509.ObjectIdentifier] = (EMAIL,),
        begins: timedelta = -DAY,
        ends: timedelta = 7 * DAY,
        signs: bool = True,
        key: Any = None,
        is_strict: bool = False,
    ) -> Leaf:
        """One that may sign films, unless something is made wrong."""
        key, now = key or ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
        usage = x509.KeyUsage(
            digital_signature=signs,
            content_commitment=not signs,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=False,
            crl_sign=False,
            encipher_only=False,
            decipher_only=False,
        )
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = (
            x509.CertificateBuilder(self.name, subject("A studio"), key.public_key(), x509.random_serial_number())
            .not_valid_before(now + begins)
            .not_valid_after(now + ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(authority, critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        if purposes:
            builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=is_strict)
        certificate = builder.sign(self.key, hashes.SHA256())
        return Leaf(certificate.public_bytes(Encoding.PEM).decode() + self.pem, pem_of_key(key))


def signing_by(leaf: Leaf, folder: Path, **more: Any) -> Signing:
    """What a user configures: the files of a certificate and its key."""
    chain, key = folder / "chain.pem", folder / "key.pem"
    chain.write_text(leaf.chain)
    key.write_text(leaf.key)
    return Signing(**{"certificate": str(chain), "key": str(key), **more})
