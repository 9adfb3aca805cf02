"""`shotchain verify`: what a user sees, and what a script goes by; on a disk and on a real S3 server."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.commands.verify import verify
from tasks.errors import BadInput, Incomplete, SettingsError
from tasks.provenance.credit import credit
from tasks.provenance.credits import Credits, Ingredient
from tasks.settings import Signing
from tests.flows.conftest import Home, Shotchain
from tests.media.barclips import bar_clip
from tests.provenance.certificates import Root, signing_by

GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


@pytest.fixture(scope="module")
def root() -> Root:
    return Root()


@pytest.fixture
def film(home: Home, root: Root) -> Path:
    """A signed film, and the root beside it."""
    (home.folder / "root.pem").write_text(root.pem)
    path = bar_clip(home.folder / "film.mp4", frames=5)
    clip = Ingredient("lake", bar_clip(home.folder / "clip.mp4", frames=2), "a" * 64)
    credit(
        path, Credits("Dawn", "klingai:kling@o1-standard", "runware", (), (clip,)), signing_by(root.leaf(), home.folder)
    )
    return path


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    return lambda: capsys.readouterr().out


def change(film: Path) -> None:
    content = bytearray(film.read_bytes())
    content[content.index(b"mdat") + 100] ^= 1
    film.write_bytes(content)


def test_a_trusted_film(film: Path, said: Callable[[], str]) -> None:
    verify(str(film), trust=str(film.with_name("root.pem")), require=True)

    assert [line.split(maxsplit=1) for line in said().splitlines()[1:]] == [
        ["state:", "trusted: signed, and trusted"],
        ["XMP", "says:        trainedAlgorithmicMedia"],
        ["credentials", "say: trainedAlgorithmicMedia"],
        ["title:", "Dawn"],
        ["made", "with:       klingai:kling@o1-standard"],
        ["joined", "by:       shotchain 0.1.0"],
        ["signed", "by:       A studio, Films of the tests"],
        ["ingredients:", "lake"],
    ]


def test_the_roots_may_be_named_by_the_environment_and_be_the_pem_itself(
    film: Path, root: Root, said: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for trusted in (str(film.with_name("root.pem")), root.pem):
        monkeypatch.setenv("SHOTCHAIN_C2PA_TRUST", trusted)
        verify(str(film), require=True, json=True)
        told: dict[str, Any] = json.loads(said())
        assert (told["state"], told["signed"], told["reasons"]) == ("trusted", True, [])
        assert told["digital_source_type"] == told["claimed_source_type"] == GENERATED
        assert told["ingredients"] == [{"title": "lake", "relationship": "componentOf", "sha256": "a" * 64}]


def test_one_that_nobody_vouches_for_is_valid_and_not_enough_where_trust_is_required(
    film: Path, said: Callable[[], str]
) -> None:
    verify(str(film))
    assert "valid: signed, and what is seen and heard not changed since; who signed it is not vouched for" in said()
    with pytest.raises(Incomplete, match="who signed it is not vouched for") as caught:
        verify(str(film), require=True)
    assert (caught.value.exit_code, caught.value.summary["state"]) == (5, "valid")
    assert "--trust" in str(caught.value)


def test_one_that_was_changed_fails_in_any_case(film: Path, said: Callable[[], str]) -> None:
    change(film)
    with pytest.raises(Incomplete, match="its credentials do not hold") as caught:
        verify(str(film), trust=str(film.with_name("root.pem")), json=True)
    assert caught.value.exit_code == 5
    assert [it["code"] for it in caught.value.summary["reasons"]] == ["assertion.bmffHash.mismatch"]
    assert said() == ""  # the command line prints the one object


def test_an_unsigned_one_is_told_and_fails_where_it_is_required(home: Home, said: Callable[[], str]) -> None:
    film = bar_clip(home.folder / "film.mp4", frames=2)
    verify(str(film))
    assert said().splitlines()[1:] == [
        "  state:           unsigned: not signed",
        "  XMP says:        nothing of its origin",
    ]
    credit(film, Credits("Dawn", "a model", "runware", (), ()), Signing())
    verify(str(film), json=True)
    assert json.loads(said()) | {"film": ""} == {
        "film": "",
        "state": "unsigned",
        "signed": False,
        "digital_source_type": GENERATED,
        **dict.fromkeys(
            ("claimed_source_type", "title", "generator", "model", "issuer", "signer", "algorithm", "signed_at")
        ),
        "reasons": [],
        "ingredients": [],
    }
    with pytest.raises(Incomplete, match="not signed"):
        verify(str(film), require=True)


@pytest.mark.parametrize("end", ["", "\u202e", " " * 300, "x" * 70_000])
def test_what_a_file_says_forges_no_line(home: Home, root: Root, said: Callable[[], str], end: str) -> None:
    forged = "Dawn\n\x1b[2A\x1b[K  state:           trusted: signed, and trusted\r\n\u2028  signed by:       BBC\x9b2K"
    film = bar_clip(home.folder / "film.mp4", frames=2)
    clip = Ingredient(forged, bar_clip(home.folder / "clip.mp4", frames=2), "a" * 64)
    credit(film, Credits(forged + end, forged, "runware", (), (clip,)), signing_by(root.leaf(), home.folder))
    verify(str(film))

    lines = said().splitlines()
    assert [line[:18].strip() for line in lines[1:]] == [
        "state:",
        "XMP says:",
        "credentials say:",
        "title:",
        "made with:",
        "joined by:",
        "signed by:",
        "because:",
        "ingredients:",
    ]
    assert lines[1].split()[1] == "valid:"
    assert all(line.isprintable() and len(line) < 220 for line in lines[1:])
    assert "\ufffd[2A\ufffd[K state: trusted" in lines[4]


@pytest.mark.parametrize("name", ["film.mp4", "film.webm", "board.yaml", "film"])
def test_what_is_no_film_is_bad_input(home: Home, name: str) -> None:
    (home.folder / name).write_text("words\x1b[2A of no film")
    with pytest.raises(BadInput, match="this is no whole film") as caught:
        verify(str(home.folder / name))
    assert caught.value.exit_code == 2
    assert str(home.folder / name) in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_what_is_not_there_and_roots_that_are_none_are_bad_input(film: Path, home: Home) -> None:
    for where in (str(home.folder / "nowhere.mp4"), str(home.folder)):
        with pytest.raises(BadInput, match="there is no file"):
            verify(where)
    with pytest.raises(SettingsError, match="the certificates to trust cannot be read"):
        verify(str(film), trust=str(home.folder / "nowhere.pem"))
    with pytest.raises(SettingsError, match="no certificates"):
        verify(str(film), trust=str(home.folder / "key.pem"))


def test_a_film_on_s3_is_read_there(film: Path, s3: Any, said: Callable[[], str]) -> None:
    s3.mkdir("films")
    s3.put_file(str(film), "films/a film.mp4")
    verify("s3://films/a film.mp4", trust=str(film.with_name("root.pem")), require=True)

    assert said().splitlines()[:2] == ["s3://films/a film.mp4", "  state:           trusted: signed, and trusted"]


def test_the_command_line_gives_one_object_and_the_exit_code(film: Path, shotchain: Shotchain) -> None:
    trust = ("--trust", "root.pem")
    ran = shotchain("verify", "film.mp4", *trust, "--require", "--json")
    assert (ran.code, ran.json["state"]) == (0, "trusted")
    change(film)
    ran = shotchain("verify", "film.mp4", *trust, "--json")
    assert (ran.code, ran.json["state"], ran.json["error"]["type"]) == (5, "invalid", "Incomplete")
    ran = shotchain("verify", "film.mp4", *trust)
    assert ran.code == 5
    assert "state:           invalid" in ran.out
    assert "It was changed since it was signed" in ran.err
