"""What films are signed with is checked before anything depends on it, and none of it is ever told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa

from tasks.errors import SettingsError
from tasks.provenance.certificate import PURPOSES, read_certified, read_roots
from tasks.provenance.credentials import check_signing
from tasks.settings import Signing
from tests.provenance.certificates import DAY, Root, pem_of_key, signing_by

P256 = ec.generate_private_key(ec.SECP256R1())
KEYS: dict[str, Any] = {
    "es256": P256,
    "es384": ec.generate_private_key(ec.SECP384R1()),
    "es512": ec.generate_private_key(ec.SECP521R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
    "ps256": rsa.generate_private_key(65537, 2048),
}


def refused(signing: Signing, *secrets: str) -> str:
    with pytest.raises(SettingsError) as caught:
        check_signing(signing)
    said = f"{caught.value}{caught.value.as_dict()}{caught.value.__cause__!r}{signing!r}"
    assert not [secret for secret in secrets if secret in said]
    assert caught.value.exit_code == 2
    return caught.value.message


@pytest.mark.parametrize("algorithm", KEYS)
def test_every_kind_of_key_signs_by_the_algorithm_that_suits_it(algorithm: str, root: Root, tmp_path: Path) -> None:
    signing = signing_by(root.leaf(key=KEYS[algorithm]), tmp_path)

    certified = check_signing(signing)
    assert certified is not None
    assert (certified.algorithm, certified.name) == (algorithm, "Films of the tests")
    assert abs(certified.expires_at - datetime.now(UTC) - 7 * DAY) < timedelta(minutes=5)


def test_rsa_may_sign_by_others_too_and_other_keys_by_their_own_alone(root: Root, tmp_path: Path) -> None:
    certified = check_signing(signing_by(root.leaf(key=KEYS["ps256"]), tmp_path, algorithm="ps512"))
    assert certified is not None
    assert certified.algorithm == "ps512"
    for wrong in ("es384", "rot13"):
        assert f"={wrong} does not suit" in refused(signing_by(root.leaf(), tmp_path, algorithm=wrong))


@pytest.mark.parametrize("purpose", PURPOSES)
def test_each_purpose_that_c2pa_knows_will_do(purpose: str, root: Root, tmp_path: Path) -> None:
    assert check_signing(signing_by(root.leaf(purposes=[x509.ObjectIdentifier(purpose)]), tmp_path)) is not None


@pytest.mark.parametrize(
    ("made", "why"),
    [
        ({"ends": -timedelta(minutes=1)}, "it expired on"),
        ({"begins": timedelta(hours=1)}, "it comes into force on"),
        ({"purposes": [x509.ObjectIdentifier("1.3.6.1.5.5.7.3.1")]}, "extended key usage has none of emailProtection"),
        ({"purposes": []}, "extended key usage has none of"),
        ({"signs": False}, "key usage has no digitalSignature"),
    ],
)
def test_a_certificate_that_is_not_for_signing_now_is_refused(
    made: dict[str, Any], why: str, root: Root, tmp_path: Path
) -> None:
    leaf = root.leaf(**made)

    assert why in refused(signing_by(leaf, tmp_path), leaf.key.splitlines()[1])


def test_an_authoritys_own_is_refused_and_so_is_anothers_key(root: Root, tmp_path: Path) -> None:
    leaf, other = root.leaf(), root.leaf()
    own = Signing(certificate=root.pem, key=pem_of_key(root.key))

    assert "a certificate authority's own" in refused(own)
    assert "its key is another one" in refused(Signing(certificate=leaf.chain, key=other.key))


@pytest.mark.parametrize("key", [rsa.generate_private_key(65537, 1024), dsa.generate_private_key(2048)])  # noqa: S505 -- that is the test
def test_a_key_that_is_too_weak_is_refused(key: Any, root: Root, tmp_path: Path) -> None:
    assert "a key of this kind" in refused(signing_by(root.leaf(key=key), tmp_path))


def test_both_may_be_given_as_they_are_and_the_key_in_older_forms(root: Root) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    leaf = root.leaf(key=P256)
    older = P256.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    for key in (leaf.key, older):
        assert check_signing(Signing(certificate=leaf.chain, key=key)) is not None


def test_an_encrypted_key_needs_its_password(root: Root, tmp_path: Path) -> None:
    leaf, password = root.leaf(key=P256), "a pass of the tests"
    locked = Signing(certificate=leaf.chain, key=pem_of_key(P256, password))
    for given, why in (
        (None, "it is encrypted"),
        ("another pass", "no private key, or the password is wrong"),
    ):
        secrets = [given or password, str(locked.key).splitlines()[1]]
        assert why in refused(Signing(certificate=locked.certificate, key=locked.key, password=given), *secrets)
    opened = Signing(certificate=locked.certificate, key=locked.key, password=password)
    assert check_signing(opened) is not None
    plain = Signing(certificate=leaf.chain, key=leaf.key, password=password)
    assert "it is not encrypted, and there is a password" in refused(plain, password)


def test_what_is_not_there_or_no_pem_is_told_without_its_content(root: Root, tmp_path: Path) -> None:
    leaf, secret = root.leaf(), "bm90LXJlYWxseS1hLWtleQ" * 20
    file = tmp_path / "file.pem"
    file.write_text(secret)
    nowhere = str(tmp_path / "nowhere.pem")

    assert "the certificate's key cannot be read from what SHOTCHAIN_C2PA_KEY gives: No such file" in refused(
        Signing(certificate=leaf.chain, key=nowhere), nowhere
    )
    assert f"the certificate cannot be read from {nowhere}: " in refused(Signing(certificate=nowhere, key=leaf.key))
    assert "gives is no PEM file" in refused(Signing(certificate=leaf.chain, key=str(file)), secret)
    assert f"{file} is no PEM file" in refused(Signing(certificate=str(file), key=leaf.key), secret)
    assert "no certificates" in refused(Signing(certificate=leaf.key, key=leaf.key), leaf.key.splitlines()[1])
    assert "it is no private key" in refused(Signing(certificate=leaf.chain, key=leaf.chain))


@pytest.mark.parametrize("kind", ["ed25519", "es256", "ps256"])
def test_a_key_without_its_first_line_is_told_by_nothing_of_it_wherever_it_is_set(
    kind: str, root: Root, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    leaf = root.leaf(key=KEYS[kind])
    lines = leaf.key.splitlines()[1:-1]
    for given in ("".join(lines), f' "{lines[0]}" ', "\n".join(lines), f"~{lines[0]}", f"{lines[0]}.bak"):
        for signing in (Signing(certificate=leaf.chain, key=given), Signing(certificate=given, key=leaf.key)):
            with pytest.raises(SettingsError) as caught:
                check_signing(signing)
            error: BaseException | None = caught.value
            while error is not None:  # Python's own errors tell the names of files
                assert lines[0] not in f"{error}{error!r}{error.__dict__}"
                error = error.__cause__ or error.__context__
        with pytest.raises(SettingsError) as caught:
            read_roots(given)
        assert lines[0] not in f"{caught.value}{caught.value.__context__!r}"


@pytest.mark.parametrize("wrap", ['"{}"', "'{}'", " {}\n", '" {}"\n', "Bag Attributes\n{}"])
@pytest.mark.parametrize("newline", ["\n", "\\n", "\\r\\n", "\r\n"])
def test_pem_may_come_as_files_of_environment_variables_hold_it(wrap: str, newline: str, root: Root) -> None:
    leaf = root.leaf(key=P256)
    certificate, key = (wrap.format(pem.strip().replace("\n", newline)) for pem in (leaf.chain, leaf.key))

    assert check_signing(Signing(certificate=certificate, key=key)) is not None
    assert read_roots(wrap.format(root.pem.strip().replace("\n", newline))).count(b"-----BEGIN CERTIFICATE-----") == 1


@pytest.mark.parametrize("wrap", ['"{}"', "'{}'", ' "{}"\n'])
def test_a_path_may_come_in_quotes_too(wrap: str, root: Root, tmp_path: Path) -> None:
    signing = signing_by(root.leaf(key=P256), tmp_path)
    certificate, key = wrap.format(signing.certificate), wrap.format(signing.key)

    assert check_signing(Signing(certificate=certificate, key=key)) is not None


@pytest.mark.parametrize("missing", ["certificate", "key"])
def test_half_of_it_is_not_enough(missing: str, root: Root, tmp_path: Path) -> None:
    leaf = root.leaf()
    whole = Signing(certificate=leaf.chain, key=leaf.key)
    signing = replace(whole, certificate=None) if missing == "certificate" else replace(whole, key=None)

    assert f"SHOTCHAIN_C2PA_{missing.upper()} is not set" in refused(signing)


def test_whether_films_are_signed_at_all(root: Root, tmp_path: Path) -> None:
    broken = Signing(certificate="nowhere.pem", key="nowhere.pem", sign="off")

    assert check_signing(Signing()) is None
    assert check_signing(broken) is None
    assert "no certificate to sign them with" in refused(Signing(sign="required"))


def test_a_timestamp_authority_that_does_not_answer_is_told_before_anything_is_paid(root: Root, tmp_path: Path) -> None:
    nobody = "http://user:pa55word@127.0.0.1:9/tsa"

    assert "127.0.0.1:9" in refused(signing_by(root.leaf(), tmp_path, timestamps=nobody), "pa55word")
    assert "is no address" in refused(signing_by(root.leaf(), tmp_path, timestamps="tsa.example.com"))


def test_what_expires_later_is_told_by_the_time_of_then(root: Root, tmp_path: Path) -> None:
    signing = signing_by(root.leaf(), tmp_path)

    with pytest.raises(SettingsError, match="it expired on"):
        read_certified(signing, now=lambda: datetime.now(UTC) + 8 * DAY)


def test_neither_key_nor_password_is_in_what_settings_and_certificates_show(root: Root, tmp_path: Path) -> None:
    leaf = root.leaf()
    signing = Signing(certificate=leaf.chain, key=leaf.key, password=None)
    certified = check_signing(signing)

    assert leaf.key.splitlines()[1] not in f"{signing!r}{certified!r}"
    assert "PRIVATE" not in f"{signing!r}{certified!r}"


def test_roots_to_trust_are_certificates(root: Root, tmp_path: Path) -> None:
    assert read_roots(root.pem) == root.pem.encode()
    with pytest.raises(SettingsError, match="the certificates to trust cannot be read from"):
        read_roots(str(tmp_path / "nowhere.pem"))
    with pytest.raises(SettingsError, match="no certificates"):
        read_roots(root.leaf().key)
