"""The certificate that films are signed with, and its key: read, and checked before anything depends on them.

Neither leaves this process, and no message holds any of the key.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias
from urllib.parse import urlsplit

from tasks.errors import SettingsError
from tasks.redaction import redact
from tasks.settings import Signing

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from cryptography.x509 import Certificate

__all__ = ["PURPOSES", "Algorithm", "Certified", "needs_extra", "read_certified", "read_roots"]

Algorithm: TypeAlias = Literal["es256", "es384", "es512", "ps256", "ps384", "ps512", "ed25519"]
_ALGORITHMS: Final[tuple[Algorithm, ...]] = ("es256", "es384", "es512", "ps256", "ps384", "ps512", "ed25519")
# By the curve of the key. Any other key decides less; see `_algorithms_of`.
_OF_CURVE: Final[dict[str, Algorithm]] = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
_SHORTEST_RSA: Final = 2048

PURPOSES: Final = {
    "1.3.6.1.5.5.7.3.4": "emailProtection",
    "1.3.6.1.5.5.7.3.36": "documentSigning",
    "1.3.6.1.4.1.62558.2.1": "c2pa-kp-claimSigning",
    "1.3.6.1.4.1.311.76.59.1.9": "Microsoft's C2PA signing",
}
"""What a certificate may be for, one of which C2PA wants to see in it, by object identifier."""

_BEGIN: Final = "-----BEGIN "
_PEM_SUFFIXES: Final = {".pem", ".crt", ".cer", ".cert"}
_LONGEST_PATH: Final = 255

_EXTRA: Final = "Install it with: pip install 'shotchain[provenance]'"


@dataclass(frozen=True, slots=True)
class Certified:
    """What films are signed with: a chain of certificates whose first one is in force and is for that, and its key.

    `chain` and `key` are PEM, the key unencrypted PKCS #8. `name` is whom the certificate names. `timestamps` is the
    address of a timestamp authority, None to ask nobody.
    """

    name: str
    algorithm: Algorithm
    expires_at: datetime
    chain: bytes = field(repr=False)
    key: bytes = field(repr=False)
    timestamps: str | None = field(default=None, repr=False)


def needs_extra(what: str, error: Exception) -> SettingsError:
    """The error of a package that is not there."""
    return SettingsError(f"{what} needs a package that cannot be used here: {error}", advice=_EXTRA)


def read_roots(given: str) -> bytes:
    """The root certificates to trust, as PEM, given so or by the name of a file. Blocks.

    Raises:
        SettingsError: They cannot be read, or are no certificates.
    """
    pem = _read_pem(given, "the certificates to trust", _shown(given, "what is given"))
    _chain(pem)
    return pem


def _read_pem(given: str, what: str, shown: str) -> bytes:
    """The PEM that is given, or that the file of this name holds; errors call it as `shown` does. Blocks.

    Raises:
        SettingsError: There is no such file, it cannot be read, or it is no PEM.
    """
    # Files of environment variables hold it in one line, and some readers of them leave its quotes where they are.
    unwrapped = given.strip().strip("\"'").replace("\\r", "").replace("\\n", "\n").strip()
    if _BEGIN in unwrapped:
        return f"{unwrapped}\n".encode()
    content, why = b"", ""
    try:
        content = _path_of(given).expanduser().read_bytes()
    except (OSError, ValueError, RuntimeError) as error:
        why = (error.strerror or "") if isinstance(error, OSError) else "it is no path"
    # Not where it is caught: what Python says of a file tells its name, which may be a key without its first line.
    if why:
        raise SettingsError(
            f"{what} cannot be read from {shown}: {why}", advice="Accepted: the path of a PEM file, or the PEM itself."
        )
    if _BEGIN.encode() not in content:
        raise SettingsError(f"{shown} is no PEM file", advice=f"Accepted: {what} as PEM.")
    return content


def _path_of(given: str) -> Path:
    """The path that is given; in quotes, if some reader of a file of environment variables has left them there."""
    bare = given.strip()
    return Path(bare[1:-1] if len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "\"'" else bare)


def _shown(given: str, otherwise: str) -> str:
    """What errors may call it by: its path, where it surely is one and no key that was set in the wrong place."""
    path = _path_of(given)
    try:
        is_path = path.suffix.lower() in _PEM_SUFFIXES or path.exists()
    except (OSError, ValueError):
        is_path = False
    return given if is_path and given.isprintable() and len(given) <= _LONGEST_PATH else otherwise


def read_certified(signing: Signing, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Certified:
    """Read and check what films are signed with. Blocks.

    Raises:
        SettingsError: A part of it is missing, cannot be read, does not fit the others, is not in force, or is not
            for signing; or the package that reads certificates is not installed.
    """
    if signing.certificate is None or signing.key is None:
        missing = "SHOTCHAIN_C2PA_CERTIFICATE" if signing.certificate is None else "SHOTCHAIN_C2PA_KEY"
        raise SettingsError(
            f"films cannot be signed: {missing} is not set",
            advice="Set SHOTCHAIN_C2PA_CERTIFICATE and SHOTCHAIN_C2PA_KEY, or leave films unsigned with --sign off.",
        )
    shown = _shown(signing.certificate, "what SHOTCHAIN_C2PA_CERTIFICATE gives")
    chain = _chain(_read_pem(signing.certificate, "the certificate", shown))
    key = _key(_read_pem(signing.key, "the certificate's key", "what SHOTCHAIN_C2PA_KEY gives"), signing.password)
    leaf = chain[0]
    _check(leaf, now())
    _check_key(leaf, key)
    return Certified(
        name=_name_of(leaf),
        algorithm=_algorithm(key, signing.algorithm),
        expires_at=leaf.not_valid_after_utc,
        chain=_pem_of(chain),
        key=_pem_of_key(key),
        timestamps=_address(signing.timestamps),
    )


def _chain(pem: bytes) -> list[Certificate]:
    try:
        from cryptography import x509  # noqa: PLC0415 -- only for those that sign
    except ImportError as error:
        raise needs_extra("reading certificates", error) from error
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise SettingsError(
            "these are no certificates", advice="Accepted: PEM; of a chain, the certificate to sign with first."
        ) from None


def _key(pem: bytes, password: str | None) -> PrivateKeyTypes:
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    try:
        return load_pem_private_key(pem, None if password is None else password.encode())
    # What they say may quote what they were given.
    except TypeError:
        why = "it is encrypted" if password is None else "it is not encrypted, and there is a password"
        advice = "SHOTCHAIN_C2PA_KEY_PASSWORD is what it is opened with."
    except (ValueError, UnsupportedAlgorithm):
        why = "it is no private key" if password is None else "it is no private key, or the password is wrong"
        advice = "Accepted: a private key as PEM, RSA, EC or Ed25519."
    raise SettingsError(f"the certificate's key cannot be used: {why}", advice=advice)


def _check(leaf: Certificate, now: datetime) -> None:
    from cryptography import x509  # noqa: PLC0415

    if now < leaf.not_valid_before_utc:
        _refuse(f"it comes into force on {leaf.not_valid_before_utc:%Y-%m-%d %H:%M} UTC")
    if now > leaf.not_valid_after_utc:
        _refuse(f"it expired on {leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC")
    try:
        extensions = leaf.extensions
    except ValueError:
        _refuse("its extensions cannot be read")
        raise
    kinds = {type(extension.value): extension.value for extension in extensions}
    constraints = kinds.get(x509.BasicConstraints)
    if isinstance(constraints, x509.BasicConstraints) and constraints.ca:
        _refuse("it is a certificate authority's own; the first one has to be the one to sign with")
    usage = kinds.get(x509.KeyUsage)
    if not (isinstance(usage, x509.KeyUsage) and usage.digital_signature):
        _refuse("its key usage has no digitalSignature")
    purposes = kinds.get(x509.ExtendedKeyUsage)
    named = {item.dotted_string for item in purposes} if isinstance(purposes, x509.ExtendedKeyUsage) else set()
    if not named & set(PURPOSES):
        _refuse(f"its extended key usage has none of {', '.join(PURPOSES.values())}")


def _check_key(leaf: Certificate, key: PrivateKeyTypes) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415

    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    if leaf.public_key().public_bytes(*form) != key.public_key().public_bytes(*form):
        _refuse("its key is another one")


def _refuse(why: str) -> None:
    raise SettingsError(
        f"films cannot be signed with this certificate: {why}",
        advice="Renew or replace it, or leave films unsigned with --sign off. Nothing was spent.",
    )


def _algorithm(key: PrivateKeyTypes, wanted: str | None) -> Algorithm:
    possible = _algorithms_of(key)
    for known in _ALGORITHMS:
        if known == (wanted or possible[0]) and known in possible:
            return known
    raise SettingsError(
        f"SHOTCHAIN_C2PA_ALGORITHM={wanted} does not suit the certificate's key",
        advice=f"Accepted: {', '.join(possible)}; unset, {possible[0]}.",
    )


def _algorithms_of(key: PrivateKeyTypes) -> tuple[Algorithm, ...]:
    """What a key can sign by, the usual first."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa  # noqa: PLC0415

    if isinstance(key, ed25519.Ed25519PrivateKey):
        return ("ed25519",)
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _OF_CURVE:
        return (_OF_CURVE[key.curve.name],)
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= _SHORTEST_RSA:
        return ("ps256", "ps384", "ps512")
    raise SettingsError(
        "films cannot be signed with a key of this kind",
        advice=f"Accepted: EC on P-256, P-384 or P-521, Ed25519, or RSA with {_SHORTEST_RSA} bits or more.",
    )


def _name_of(leaf: Certificate) -> str:
    from cryptography.x509.oid import NameOID  # noqa: PLC0415

    names = [
        name.value
        for kind in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME)
        for name in leaf.subject.get_attributes_for_oid(kind)
    ]
    return str(names[0]) if names else leaf.subject.rfc4514_string()


def _pem_of(chain: list[Certificate]) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415

    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in chain)


def _pem_of_key(key: PrivateKeyTypes) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat  # noqa: PLC0415

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _address(url: str | None) -> str | None:
    if url is None:
        return None
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        usable = False
    if not usable:
        raise SettingsError(
            f"SHOTCHAIN_C2PA_TIMESTAMPS: '{redact(url)}' is no address",
            advice="Accepted: the http or https address of a timestamp authority (RFC 3161); unset, nobody is asked.",
        )
    return url
