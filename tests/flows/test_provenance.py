"""A published film says what made it; signed it is trusted; what cannot be signed and has to be costs nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any, Literal

import httpx
import pytest

from flows.batch import batch
from flows.render import render
from tasks.emulator.server import EmulatorServer
from tasks.emulator.settings import EmulatorSettings
from tasks.errors import Incomplete, SettingsError
from tasks.ledger import open_ledger
from tasks.media.boxes import moov_before_mdat
from tasks.progress import Event, Stage, watch
from tasks.provenance.verify import State, verify
from tests.flows.conftest import Home
from tests.provenance.certificates import Leaf, Root

pytestmark = [pytest.mark.usefixtures("on_server"), pytest.mark.runs]

BOARD = """
title: Two lakes
shots:
  - {id: lake, prompt: A calm lake nobody should read about, duration: 1, caption: Dawn}
  - {id: hill, prompt: A green hill, duration: 1, boundary: continue}
"""
SCHEME = "http://cv.iptc.org/newscodes/digitalsourcetype/"


@pytest.fixture(scope="module")
def root() -> Root:
    return Root()


@pytest.fixture
def leaf(root: Root, home: Home, monkeypatch: pytest.MonkeyPatch) -> Leaf:
    """A certificate, configured."""
    made = root.leaf()
    for name, content in (("CERTIFICATE", made.chain), ("KEY", made.key)):
        path = home.folder / f"{name}.pem"
        path.write_text(content)
        monkeypatch.setenv(f"SHOTCHAIN_C2PA_{name}", str(path))
    return made


@pytest.fixture
def runware(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatorServer]:
    monkeypatch.setenv("RUNWARE_API_KEY", "key-of-the-tests")
    with EmulatorServer(EmulatorSettings(latency_s=0.0)) as server:
        yield server


def manifest_of(home: Home) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((home.folder / "film.manifest.json").read_text())
    return told


def bought(server: EmulatorServer) -> int:
    return int(httpx.get(f"{server.origin}/_emulator/books").json()["counts"]["videoInference"])


@pytest.mark.quick
async def test_a_signed_film_is_trusted_and_its_manifest_is_of_the_signed_file(
    home: Home, leaf: Leaf, root: Root
) -> None:
    film = home.folder / "film.mp4"
    told = await render(str(home.storyboard(BOARD)), str(film), provider="emulator", sign="required")

    found, manifest = verify(film, root.pem.encode()), manifest_of(home)
    assert (found.state, found.title, found.model) == (State.TRUSTED, "Two lakes", manifest["model"])
    assert found.digital_source_type == found.claimed_source_type == f"{SCHEME}trainedAlgorithmicMedia"
    clips = {shot["id"]: shot["takes"][0]["sha256"] for shot in manifest["shots"]}
    assert {item.title: item.sha256 for item in found.ingredients} == clips
    assert manifest["film"]["sha256"] == hashlib.sha256(film.read_bytes()).hexdigest()
    assert manifest["film"]["size_bytes"] == film.stat().st_size
    provenance = manifest["provenance"]
    assert (provenance["signed"], provenance["why"], provenance["ingredients"]) == (True, None, 2)
    assert (told["signed"], told["unsigned_because"]) == (True, None)
    assert moov_before_mdat(film)
    # What is secret, and what was asked for, is in neither.
    for secret in (leaf.key.splitlines()[1].encode(), b"nobody should read about"):
        assert secret not in film.read_bytes()
    assert leaf.key.splitlines()[1] not in (home.folder / "film.manifest.json").read_text()


async def test_without_a_certificate_it_is_marked_and_says_why_it_is_not_signed(home: Home) -> None:
    film = home.folder / "film.mp4"
    told = await render(str(home.storyboard(BOARD)), str(film), provider="emulator", burn_captions=True)

    found, manifest = verify(film), manifest_of(home)
    assert (found.state, found.digital_source_type) == (
        State.UNSIGNED,
        f"{SCHEME}compositeWithTrainedAlgorithmicMedia",
    )
    assert manifest["provenance"]["digital_source_type"] == found.digital_source_type
    assert manifest["provenance"]["because"] == ["captions are drawn into the pictures"]
    assert (manifest["provenance"]["signed"], manifest["provenance"]["why"]) == (False, "no certificate is configured")
    assert (told["signed"], told["unsigned_because"]) == (False, "no certificate is configured")
    assert manifest["warnings"] == []


@pytest.mark.parametrize("how", ["unconfigured", "no key", "expired"])
async def test_what_has_to_be_signed_and_cannot_be_fails_before_anything_is_spent(
    how: str, home: Home, root: Root, runware: EmulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import timedelta

    if how != "unconfigured":
        leaf = root.leaf(ends=-timedelta(minutes=5)) if how == "expired" else root.leaf()
        monkeypatch.setenv("SHOTCHAIN_C2PA_CERTIFICATE", leaf.chain)
        if how == "expired":
            monkeypatch.setenv("SHOTCHAIN_C2PA_KEY", leaf.key)
    required: Literal["required"] | None = (
        "required" if how == "unconfigured" else None
    )  # what is configured is to be used
    board, film = str(home.storyboard(BOARD)), home.folder / "film.mp4"

    with pytest.raises(SettingsError) as caught:
        await render(board, str(film), base_url=runware.base_url, sign=required)
    assert caught.value.exit_code == 2
    assert bought(runware) == 0
    assert not film.exists()
    assert not (home.folder / "ledger.db").exists()

    if how == "expired":
        assert (await render(board, str(film), base_url=runware.base_url, sign="off"))["signed"] is False


async def test_where_signing_fails_at_the_end_all_is_kept_and_another_run_signs_it_at_no_cost(
    home: Home, leaf: Leaf, root: Root, runware: EmulatorServer
) -> None:
    key, film = home.folder / "KEY.pem", home.folder / "film.mp4"

    def lose_the_key(event: Event) -> None:
        if event.stage is Stage.JOINING:
            key.unlink()

    board = str(home.storyboard(BOARD))
    watch(lose_the_key)
    try:
        with pytest.raises(Incomplete, match="every shot is made and kept; the film is not") as caught:
            await render(board, str(film), base_url=runware.base_url, sign="required")
        assert caught.value.exit_code == 5
        assert "has to be signed, and could not be: the certificate's key cannot be read" in str(caught.value)
        assert not film.exists()
        assert (manifest_of(home)["complete"], manifest_of(home)["film"]) == (False, None)

        key.write_text(leaf.key)
        told = await render(board, str(film), base_url=runware.base_url)  # where it may be unsigned, it is published
        assert (told["signed"], told["cost_usd"]) == (False, "0.00")
        assert [
            it for it in manifest_of(home)["warnings"] if it.startswith("the film is not signed: the certificate's")
        ]
    finally:
        watch(lambda _: None)

    key.write_text(leaf.key)
    told = await render(board, str(film), base_url=runware.base_url, sign="required")
    assert (told["generated"], told["cost_usd"], bought(runware)) == (0, "0.00", 2)
    assert verify(film, root.pem.encode()).state is State.TRUSTED
    with open_ledger(home.environment["SHOTCHAIN_LEDGER"]) as ledger:
        assert len(ledger.attempts()) == 2


async def test_a_batch_signs_what_was_published_unsigned_and_no_more(
    home: Home, root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home.folder / "boards").mkdir()
    (home.folder / "boards" / "film.yaml").write_text("shots: [{id: a, prompt: A calm lake, duration: 1}]")

    async def again(sign: Literal["off"] | None = None) -> str:
        told = await batch(str(home.folder / "boards"), str(home.folder), provider="emulator", run_on="here", sign=sign)
        (row,) = told["storyboards"]
        return str(row["outcome"])

    assert (await again(), await again()) == ("published", "unchanged")
    leaf = root.leaf()
    monkeypatch.setenv("SHOTCHAIN_C2PA_CERTIFICATE", leaf.chain)
    monkeypatch.setenv("SHOTCHAIN_C2PA_KEY", leaf.key)
    assert (await again("off"), await again(), await again()) == ("unchanged", "published", "unchanged")
    assert verify(home.folder / "film.mp4", root.pem.encode()).state is State.TRUSTED
    monkeypatch.setenv("SHOTCHAIN_C2PA_KEY", "nowhere.pem")
    with pytest.raises(SettingsError, match=r"cannot be read from what SHOTCHAIN_C2PA_KEY gives"):
        await again()


@pytest.mark.timeout(180)
async def test_what_is_delivered_is_signed_as_the_film_is(home: Home, leaf: Leaf, root: Root) -> None:
    presets = home.storyboard(
        "presets: {small: {container: mp4, max_width: 128}, moving: {container: gif, max_width: 64}}"
    )
    wanted: dict[str, Any] = {"deliver": ["small", "moving"], "deliverables": str(presets), "sign": "required"}
    board = home.storyboard("title: A lake\nshots: [{id: a, prompt: A calm lake, duration: 1}]", "film.yaml")

    for _ in range(2):  # the second time they are found, and signed anew
        told = await render(str(board), str(home.folder / "film.mp4"), provider="emulator", **wanted)
        listed = manifest_of(home)["deliverables"]
        assert [(it["file"], it["signed"]) for it in listed] == [("film.small.mp4", True), ("film.moving.gif", True)]
        for facts in listed:
            path = home.folder / facts["file"]
            found = verify(path, root.pem.encode())
            assert (found.state, found.title) == (State.TRUSTED, "A lake")
            assert hashlib.sha256(path.read_bytes()).hexdigest() == facts["sha256"]
    assert told["generated"] == 0

    wanted["deliver"] = ["webm-vp9"]
    with pytest.raises(SettingsError, match="'webm-vp9' cannot be signed"):
        await render(str(board), str(home.folder / "film.mp4"), provider="emulator", **wanted)


@pytest.mark.timeout(180)
async def test_a_deliverable_that_could_not_be_signed_is_warned_of_and_a_batch_makes_it_again(
    home: Home, leaf: Leaf, root: Root
) -> None:
    key = home.folder / "KEY.pem"
    presets = home.storyboard("presets: {small: {container: mp4, max_width: 128}}", "presets.yaml")
    (home.folder / "boards").mkdir()
    (home.folder / "boards" / "film.yaml").write_text("shots: [{id: a, prompt: A calm lake, duration: 1}]")

    def lose_the_key(event: Event) -> None:
        if event.stage is Stage.DELIVERING:
            key.unlink(missing_ok=True)

    async def again() -> str:
        wanted: dict[str, Any] = {"deliver": ["small"], "deliverables": str(presets), "run_on": "here"}
        told = await batch(str(home.folder / "boards"), str(home.folder), provider="emulator", **wanted)
        (row,) = told["storyboards"]
        return str(row["outcome"])

    watch(lose_the_key)
    try:
        assert await again() == "published"
    finally:
        watch(lambda _: None)
    told = manifest_of(home)
    assert (told["provenance"]["signed"], told["deliverables"][0]["signed"]) == (True, False)
    assert [it for it in told["warnings"] if it.startswith("'small' is not signed: the certificate's key")]

    key.write_text(leaf.key)
    assert (await again(), await again()) == ("published", "unchanged")
    assert verify(home.folder / "film.small.mp4", root.pem.encode()).state is State.TRUSTED
