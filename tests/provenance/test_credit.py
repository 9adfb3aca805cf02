"""A film is marked, and signed last; not one picture of it changes; read back it is trusted, until a byte is flipped."""

from __future__ import annotations

import hashlib
import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import av
import pytest
from PIL import Image

from tasks.errors import BadInput, MediaError, NotSigned, StorageUnreachable
from tasks.media.boxes import moov_before_mdat, top_level_boxes
from tasks.provenance.credit import credit
from tasks.provenance.credits import Credits, Ingredient
from tasks.provenance.verify import State, verify
from tasks.provenance.xmp import put_xmp
from tasks.settings import Signing
from tests.media.barclips import codes_of, remuxed
from tests.provenance.authority import authority
from tests.provenance.certificates import Root, signing_by

GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
COMPOSITE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"


@pytest.fixture
def signing(root: Root, tmp_path: Path) -> Signing:
    return signing_by(root.leaf(), tmp_path)


def blocks(path: Path) -> Sequence[tuple[int, int | None, int | None, bytes]]:
    with av.open(str(path)) as container:
        return [(it.stream_index, it.pts, it.dts, bytes(it)) for it in container.demux()]


def flipped(path: Path, at: int) -> Path:
    content = bytearray(path.read_bytes())
    content[at] ^= 0x10
    other = path.with_name(f"flipped{path.suffix}")
    other.write_bytes(content)
    return other


def test_a_signed_film_is_trusted_by_who_trusts_the_root(
    film: Path, shown: Credits, signing: Signing, root: Root
) -> None:
    told = credit(film, shown, signing)
    found = verify(film, root.pem.encode())

    assert (told.signed, told.marked, told.why, told.failed) == (True, True, None, None)
    assert (found.state, found.reasons) == (State.TRUSTED, ())
    assert found.digital_source_type == found.claimed_source_type == GENERATED
    assert (found.title, found.model) == (shown.title, shown.model)
    assert (found.issuer, found.signer, found.algorithm) == ("Films of the tests", "A studio", "Es256")
    assert str(found.generator).startswith("shotchain ")
    assert [(item.title, item.relationship, item.sha256) for item in found.ingredients] == [
        ("lake", "componentOf", "a" * 64),
        ("hill, town", "componentOf", "b" * 64),
    ]


def test_others_see_that_it_is_whole_and_signed_by_somebody(film: Path, shown: Credits, signing: Signing) -> None:
    credit(film, shown, signing)
    for roots in (None, Root("Another root").pem.encode()):
        found = verify(film, roots)
        assert found.state is State.VALID
        assert [reason.code for reason in found.reasons] == ["signingCredential.untrusted"]


@pytest.mark.parametrize("where", ["moov", "mdat", "xmp", "end"])
def test_one_flipped_byte_makes_it_invalid(
    where: str, film: Path, shown: Credits, signing: Signing, root: Root
) -> None:
    credit(film, shown, signing)
    boxes = top_level_boxes(film)
    at = {
        "moov": next(box.content + 40 for box in boxes if box.kind == "moov"),
        "mdat": next((box.content + box.end) // 2 for box in boxes if box.kind == "mdat"),
        "xmp": boxes[-1].content + 300,
        "end": boxes[-1].end - 1,
    }[where]
    found = verify(flipped(film, at), root.pem.encode())

    assert found.state is State.INVALID
    assert [reason.code for reason in found.reasons] == ["assertion.bmffHash.mismatch"]


def test_so_do_bytes_that_are_added_or_cut_off_and_credentials_that_are_damaged(
    film: Path, shown: Credits, signing: Signing, root: Root
) -> None:
    credit(film, shown, signing)
    whole, box = film.read_bytes(), top_level_boxes(film)[1]
    for content in (
        whole + bytes.fromhex("0000000c") + b"mdat....",
        whole[:-1],
        whole[: box.start + 200] + bytes(200) + whole[box.start + 400 :],
    ):
        film.write_bytes(content)
        found = verify(film, root.pem.encode())
        assert found.state is State.INVALID
        assert found.reasons


def test_whatever_byte_of_the_credentials_is_flipped_there_is_an_answer(
    film: Path, shown: Credits, signing: Signing, root: Root
) -> None:
    credit(film, shown, signing)
    box = top_level_boxes(film)[1]
    found = {
        verify(flipped(film, at), root.pem.encode()).state
        # Labels and names, hashes and the signature; the rest is padding.
        for at in range(box.start, box.start + 2600, 7)
    }

    assert State.INVALID in found
    assert found <= {State.INVALID, State.UNSIGNED, State.TRUSTED}


def test_credentials_whose_name_is_another_one_do_not_hold(
    film: Path, shown: Credits, signing: Signing, root: Root
) -> None:
    credit(film, shown, signing)
    content = film.read_bytes()
    at = content.index(b"urn:c2pa:") + 12
    found = verify(flipped(film, at), root.pem.encode())

    assert (found.state, len(found.reasons)) == (State.INVALID, 1)


def test_not_one_block_of_pictures_sound_or_captions_is_changed(
    film: Path, master: Path, shown: Credits, signing: Signing
) -> None:
    credit(film, shown, signing)

    assert blocks(film) == blocks(master)
    assert codes_of(film) == codes_of(master) == list(range(24))
    assert len(top_level_boxes(film)) == len(top_level_boxes(master)) + 2


def test_a_film_can_still_be_played_from_its_beginning(film: Path, shown: Credits, signing: Signing) -> None:
    credit(film, shown, signing)

    assert moov_before_mdat(film)


def test_what_is_told_of_it_is_the_file_as_it_is_then(film: Path, shown: Credits, signing: Signing) -> None:
    for wanted in (Signing(), signing):
        told = credit(film, shown, wanted)
        assert told.sha256 == hashlib.sha256(film.read_bytes()).hexdigest()
        assert told.size_bytes == film.stat().st_size


def test_unsigned_the_same_film_has_the_same_bytes(film: Path, master: Path, shown: Credits, tmp_path: Path) -> None:
    other = Path(shutil.copy(master, tmp_path / "other.mp4"))

    assert credit(film, shown, Signing()).sha256 == credit(other, shown, Signing()).sha256


@pytest.mark.parametrize(
    ("signing", "why"), [(Signing(), "no certificate is configured"), (Signing(sign="off"), "signing is off")]
)
def test_unsigned_it_says_why(signing: Signing, why: str, film: Path, shown: Credits, root: Root) -> None:
    told = credit(film, shown, signing)

    assert (told.signed, told.why, told.failed) == (False, why, None)
    assert told.as_dict()["digital_source_type"] == GENERATED
    found = verify(film, root.pem.encode())
    assert (found.state, found.digital_source_type) == (State.UNSIGNED, GENERATED)


def test_a_composite_says_what_is_not_the_models_own(film: Path, shown: Credits, signing: Signing) -> None:
    told = credit(film, replace(shown, because=("the music is your own",)), signing)

    found = verify(film)
    assert found.digital_source_type == found.claimed_source_type == COMPOSITE
    assert told.as_dict()["because"] == ["the music is your own"]


def test_what_cannot_be_signed_any_more_at_the_end_is_published_unsigned_unless_it_has_to_be(
    film: Path, shown: Credits, signing: Signing, root: Root
) -> None:
    Path(str(signing.key)).unlink()

    told = credit(film, shown, signing)
    assert (told.signed, told.why) == (False, told.failed)
    assert "the certificate's key cannot be read" in str(told.failed)
    assert verify(film).state is State.UNSIGNED
    with pytest.raises(NotSigned, match="has to be signed, and could not be: the certificate's key") as caught:
        credit(film, shown, replace(signing, sign="required"))
    assert caught.value.exit_code == 5
    assert sorted(path.name for path in film.parent.iterdir()) == ["chain.pem", "film.mp4"]


def test_an_ingredient_that_is_gone_is_told(film: Path, shown: Credits, signing: Signing, tmp_path: Path) -> None:
    gone = replace(shown, ingredients=(Ingredient("lake", tmp_path / "gone.mp4", "a" * 64),))
    told = credit(film, gone, signing)

    assert "gone.mp4" in str(told.failed)


def test_whatever_keeps_a_file_from_being_signed_leaves_it_unsigned_unless_it_has_to_be(
    film: Path, shown: Credits, signing: Signing, tmp_path: Path
) -> None:
    (tmp_path / "folder.mp4").mkdir()
    for clip, why in ((tmp_path / "folder.mp4", "Is a directory"), (tmp_path / ("a" * 300 + ".mp4"), "too long")):
        told_of = replace(shown, ingredients=(Ingredient("lake", clip, "a" * 64),))
        told = credit(film, told_of, signing)
        assert (told.signed, told.marked) == (False, True)
        assert why in str(told.failed)
        assert verify(film).state is State.UNSIGNED
        with pytest.raises(NotSigned, match="has to be signed, and could not be: signing failed"):
            credit(film, told_of, replace(signing, sign="required"))


def test_a_film_that_cannot_be_decoded_is_not_signed_and_says_so(film: Path, shown: Credits, signing: Signing) -> None:
    film.write_bytes(film.read_bytes().replace(b"moov", b"free"))  # its boxes are whole
    told = credit(film, replace(shown, ingredients=()), signing)

    assert (told.signed, told.why) == (False, told.failed)
    assert told.failed
    assert verify(film).state is State.UNSIGNED


def test_a_file_that_cannot_be_written_is_told_as_that(film: Path, shown: Credits) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (film.stat().st_size + 10, hard))
    try:
        with pytest.raises(StorageUnreachable, match="this file cannot be marked: File too large"):
            credit(film, shown, Signing(sign="off"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def countless(path: Path, boxes: int) -> Path:
    """An MP4 of a few bytes, that is nothing but boxes."""
    path.write_bytes(bytes.fromhex("00000014") + b"ftypisom" + bytes(4) + b"isom" + (b"\0\0\0\x08free" * boxes))
    return path


def test_a_file_of_countless_boxes_keeps_nobody_busy(
    film: Path, shown: Credits, signing: Signing, tmp_path: Path
) -> None:
    many = countless(tmp_path / "many.mp4", 60_000)
    began = time.monotonic()
    found = verify(many)
    assert (found.state, found.reasons[0].explanation) == (State.INVALID, "it has more boxes than any film has")
    assert verify(countless(tmp_path / "few.mp4", 4000)).state is State.UNSIGNED

    told = credit(film, replace(shown, ingredients=(Ingredient("lake", many, "a" * 64),)), signing)
    assert told.failed is None
    assert [item.sha256 for item in verify(film).ingredients] == ["a" * 64]
    assert time.monotonic() - began < 10  # c2pa alone takes minutes


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.mp4", b""),
        ("empty.gif", b""),
        ("words.mp4", b"these are words, and no film at all"),
        ("words.webp", b"these are words, and no film at all"),
        ("begun.mp4", bytes.fromhex("00000014") + b"ftypisom"),
    ],
)
def test_what_is_no_film_is_told_as_that(name: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BadInput, match="this is no whole film"):
        verify(path)


def test_only_what_has_credentials_is_invalid(film: Path, shown: Credits, signing: Signing, tmp_path: Path) -> None:
    content = film.read_bytes()
    part = tmp_path / "part.mp4"
    for size_bytes in range(len(content) // 8, len(content), len(content) // 8):
        part.write_bytes(content[:size_bytes])
        try:
            assert verify(part).state is State.UNSIGNED
        except BadInput as error:
            assert "no whole film" in error.message  # noqa: PT017 -- either is true
    credit(film, shown, signing)
    content = film.read_bytes()
    for size_bytes in range(len(content) // 2, len(content), len(content) // 8):
        part.write_bytes(content[:size_bytes])
        assert verify(part).state is State.INVALID


def test_credentials_that_lie_elsewhere_are_none(film: Path) -> None:
    rdf = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
    named = 'xmlns:dcterms="http://purl.org/dc/terms/" dcterms:provenance="https://example.com/film.c2pa"'
    about = f'<rdf:RDF xmlns:rdf="{rdf}"><rdf:Description rdf:about="" {named}/></rdf:RDF>'
    put_xmp(film, f'<x:xmpmeta xmlns:x="adobe:ns:meta/">{about}</x:xmpmeta>'.encode())

    found = verify(film)
    assert (found.state, [reason.code for reason in found.reasons]) == (State.UNSIGNED, ["remote"])


def test_a_clip_with_credentials_of_its_own_keeps_them(
    film: Path, master: Path, shown: Credits, signing: Signing, root: Root, tmp_path: Path
) -> None:
    import c2pa

    clip = Path(shutil.copy(master, tmp_path / "clip.mp4"))
    credit(clip, Credits("A clip of the provider's", "a model", "provider", (), ()), signing)
    credit(film, replace(shown, ingredients=(Ingredient("lake", clip, "a" * 64),)), signing)

    assert verify(film, root.pem.encode()).state is State.TRUSTED
    with c2pa.Reader(str(film)) as reader:
        titles = {manifest["title"] for manifest in json.loads(reader.json())["manifests"].values()}
    assert titles == {shown.title, "A clip of the provider's"}


def test_one_whose_credentials_do_not_hold_spoils_nothing(
    film: Path, master: Path, shown: Credits, signing: Signing, root: Root, tmp_path: Path
) -> None:
    clip = Path(shutil.copy(master, tmp_path / "clip.mp4"))
    credit(clip, Credits("A clip", "a model", "provider", (), ()), signing)
    damaged = flipped(clip, top_level_boxes(clip)[-1].start - 100)
    told = credit(film, replace(shown, ingredients=(Ingredient("lake", damaged, "a" * 64),)), signing)

    assert told.failed is None
    assert verify(film, root.pem.encode()).state in {State.TRUSTED, State.VALID}


def test_a_clip_of_another_kind_is_an_ingredient_too(
    film: Path, shown: Credits, signing: Signing, root: Root, tmp_path: Path
) -> None:
    clip = tmp_path / "clip.webm"
    clip.write_bytes(b"\x1a\x45\xdf\xa3" + bytes(100))
    credit(film, replace(shown, ingredients=(Ingredient("lake", clip, "a" * 64),)), signing)

    found = verify(film, root.pem.encode())
    assert (found.state, [item.title for item in found.ingredients]) == (State.TRUSTED, ["lake"])


@pytest.mark.skipif(shutil.which("openssl") is None, reason="OpenSSL makes the authority's answers")
def test_a_timestamp_authority_says_when_it_was_signed(
    film: Path, shown: Credits, signing: Signing, root: Root, tmp_path: Path
) -> None:
    with authority(root, tmp_path) as (address, asked):
        told = credit(film, shown, replace(signing, timestamps=address))
        assert (told.failed, told.as_dict()["timestamped"], len(asked)) == (None, True, 1)

    found = verify(film, root.pem.encode())
    assert found.state is State.TRUSTED
    signed_at = datetime.fromisoformat(str(found.signed_at))
    assert abs(datetime.now(UTC) - signed_at) < timedelta(minutes=2)


# -- other kinds of files ----------------------------------------------------------------------------------------------


def test_a_mov_is_marked_and_signed_like_an_mp4(
    master: Path, shown: Credits, signing: Signing, root: Root, tmp_path: Path
) -> None:
    film = remuxed(master, tmp_path / "film.mov", "-c", "copy", "-movflags", "+faststart")
    before = blocks(film)
    credit(film, shown, signing)

    found = verify(film, root.pem.encode())
    assert (found.state, found.digital_source_type) == (State.TRUSTED, GENERATED)
    assert blocks(film) == before


@pytest.mark.parametrize("suffix", [".webp", ".gif"])
def test_a_moving_picture_is_marked_and_signed_and_its_frames_stay(
    suffix: str, shown: Credits, signing: Signing, root: Root, tmp_path: Path
) -> None:
    picture = tmp_path / f"film{suffix}"
    frames = [Image.new("RGB", (64, 36), (number * 40, 10, 200)) for number in range(5)]
    frames[0].save(picture, save_all=True, append_images=frames[1:], duration=100, loop=0)
    before = pictures_of(picture)
    told = credit(picture, shown, signing)

    assert (told.marked, told.signed, told.failed) == (True, True, None)
    found = verify(picture, root.pem.encode())
    assert (found.state, found.digital_source_type, found.claimed_source_type) == (State.TRUSTED, GENERATED, GENERATED)
    assert pictures_of(picture) == before
    assert verify(flipped(picture, picture.stat().st_size - 9), root.pem.encode()).state is State.INVALID


def pictures_of(path: Path) -> list[bytes]:
    with Image.open(path) as picture:
        found = []
        for number in range(getattr(picture, "n_frames", 1)):
            picture.seek(number)
            found.append(picture.convert("RGB").tobytes())
        return found


def test_a_webm_stays_as_it_is_and_says_so(shown: Credits, signing: Signing, tmp_path: Path) -> None:
    film = tmp_path / "film.webm"
    film.write_bytes(b"\x1a\x45\xdf\xa3" + bytes(100))
    told = credit(film, shown, signing)

    assert (told.marked, told.signed, told.why) == (False, False, "a .webm can hold no content credentials")
    assert film.read_bytes() == b"\x1a\x45\xdf\xa3" + bytes(100)
    with pytest.raises(NotSigned, match=r"a \.webm can hold no content"):
        credit(film, shown, replace(signing, sign="required"))


def test_what_is_no_film_is_not_touched(shown: Credits, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(b"no film")
    with pytest.raises(MediaError):
        credit(film, shown, Signing())


@pytest.mark.parametrize("content", [b"", b"words", b"\x1a\x45\xdf\xa3" + bytes(99)])
def test_what_is_no_film_is_called_so(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(content)

    with pytest.raises(BadInput, match="this is no whole film: this file cannot be read as video") as told:
        verify(path)
    assert str(told.value).count(str(path)) == 1


# -- large films -------------------------------------------------------------------------------------------------------


def test_a_large_film_takes_little_memory(film: Path, signing: Signing, root: Root, tmp_path: Path) -> None:
    (tmp_path / "root.pem").write_text(root.pem)
    last, more = top_level_boxes(film)[-1], 200 << 20
    assert last.kind == "mdat"
    with film.open("r+b") as file:  # the pictures are where they were, and what comes behind them is never written
        file.seek(last.start)
        file.write((last.end - last.start + more).to_bytes(4))
        file.truncate(last.end + more)
    took = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.provenance.signing",
            *(str(film), str(signing.certificate), str(signing.key), str(tmp_path / "root.pem")),
        ],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(took.stdout)

    assert told["state"] == "trusted"
    assert told["peak_mb"] < 200  # one hash for all takes 2 x 200 MB of it
    assert verify(flipped_in_place(film), root.pem.encode()).state is State.INVALID


def flipped_in_place(path: Path) -> Path:
    with path.open("r+b") as file:
        file.seek(150 << 20)
        file.write(b"\1")
    return path
