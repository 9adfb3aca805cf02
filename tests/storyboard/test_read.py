"""What a storyboard means once it is read, and where it may be read from."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pytest

from tasks.errors import StorageUnreachable, StoryboardError
from tasks.storyboard.model import Boundary, ClipOf, Fit, FrameOf, MediaFile, Music, Transition, TransitionKind
from tasks.storyboard.read import MAX_BYTES, is_typed, name_of, read_storyboard

FULL = """\
title: Harbour
model: klingai:kling@o1-standard
size: 720x1280
fps: 23.976
style: blue hour
retries: 4
assets:
  hero: pictures/hero.png
  street: {source: https://example.com/street.mp4, source_duration: 6.5}
  spare: never/made.png
defaults:
  duration: 5
  boundary: continue
  keep_original_sound: yes
  first_frame: hero
shots:
  - id: a
    prompt: "  A harbour  "
    first_frame: hero
  - id: b
    prompt: |
      Two lines
      of prompt
    first_frame: null
    duration: 2.5
    takes: 3
    select: 2
    output_format: webm
    output_quality: 80
    safety: {check_content: true, mode: fast}
    ttl: 3600
  - id: c
    prompt: 'no'
    boundary: cut
    first_frame: {shot: a, frame: first}
    last_frame: pictures/../pictures/hero.png
    reference_images: [hero, s3://bucket/x.png, {shot: b, frame: last}]
    reference_videos: {shot: b}
  - {id: d, prompt: x, boundary: match, video: street, safety: {checkContent: off}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "hero.png").write_bytes(b"any")
    return tmp_path


def minimal(**keys: object) -> str:
    return json.dumps({"shots": [{"id": "a", "prompt": "x", **keys}]})


def test_every_key_arrives(folder: Path) -> None:
    film = folder / "film.yaml"
    film.write_text(FULL)
    hero = MediaFile((folder / "pictures" / "hero.png").as_uri(), asset="hero")

    storyboard = read_storyboard(film)

    assert (storyboard.title, storyboard.model) == ("Harbour", "klingai:kling@o1-standard")
    assert (storyboard.width, storyboard.height, storyboard.fps) == (720, 1280, Decimal("23.976"))
    assert (storyboard.style, storyboard.retries, storyboard.file) == ("blue hour", 4, str(film))
    a, b, c, d = storyboard.shots
    assert (a.id, a.prompt, a.duration_s, a.first_frame) == ("a", "A harbour", Decimal(5), hero)
    assert a.keep_original_sound is True
    assert (a.takes, a.select, a.output_format, a.safety) == (1, 1, None, None)
    assert (b.prompt, b.duration_s, b.first_frame) == ("Two lines\nof prompt", Decimal("2.5"), None)
    assert (b.boundary, b.takes, b.select, b.output_format) == (Boundary.CONTINUE, 3, 2, "WEBM")
    assert (b.output_quality, b.safety, b.ttl) == (80, {"checkContent": True, "mode": "fast"}, 3600)
    assert (c.prompt, c.boundary, c.first_frame) == ("no", Boundary.CUT, FrameOf("a", "first"))
    assert c.last_frame == MediaFile(hero.uri)
    assert c.reference_images == (hero, MediaFile("s3://bucket/x.png"), FrameOf("b", "last"))
    assert c.reference_videos == (ClipOf("b"),)
    assert d.video == MediaFile("https://example.com/street.mp4", "street", Decimal("6.5"))
    assert d.safety == {"checkContent": False}


def test_what_is_said_of_picture_sound_and_words_arrives(tmp_path: Path) -> None:
    (tmp_path / "theme.mp3").write_bytes(b"any")
    (tmp_path / "one.wav").write_bytes(b"any")
    theme, one = (MediaFile((tmp_path / name).as_uri()) for name in ("theme.mp3", "one.wav"))
    text = """\
loudness: off
music: {source: theme.mp3, gain_db: -9.5, fade_out: 0, duck_db: 12}
defaults: {transition: dissolve, fit: blur, prompt: x}
shots:
  - {id: a, caption: " Once\\nupon a time "}
  - {id: b, transition: {kind: fade, duration: 1.25}, fit: fill, gain_db: 3, narration: one.wav}
  - {id: c, transition: cut, fit: null, narration_gain_db: -2}
"""

    board = read_storyboard(tmp_path / "film.yaml", text=text)

    a, b, c = board.shots
    assert (board.loudness_lufs, board.music) == (None, Music(theme, Decimal("-9.5"), Decimal(0), Decimal(12)))
    assert a.transition == Transition(TransitionKind.DISSOLVE, Decimal("0.5"), is_default=True)
    assert b.transition == Transition(TransitionKind.FADE, Decimal("1.25"), is_default=False)
    assert (c.transition, c.narration_gain_db) == (None, Decimal(-2))
    assert [shot.fit for shot in board.shots] == [Fit.BLUR, Fit.FILL, Fit.FIT]
    assert (a.caption, b.gain_db, b.narration) == ("Once\nupon a time", Decimal(3), one)


@pytest.mark.parametrize(("written", "read"), [("", Decimal(-16)), ("loudness: -23.5", Decimal("-23.5"))])
def test_the_loudness_of_a_film(tmp_path: Path, written: str, read: Decimal) -> None:
    board = read_storyboard(tmp_path / "film.yaml", text=f"{written}\nshots: [{{id: a, prompt: x}}]\n")

    assert board.loudness_lufs == read


def test_music_that_is_only_named_fades_for_two_seconds(tmp_path: Path) -> None:
    board = read_storyboard(tmp_path / "f.yaml", text="music: s3://b/theme.mp3\nshots: [{id: a, prompt: x}]\n")

    assert board.music == Music(MediaFile("s3://b/theme.mp3"), Decimal(0), Decimal(2))


def test_lines_lead_back_to_the_file(folder: Path) -> None:
    (folder / "film.yaml").write_text(FULL)

    storyboard = read_storyboard(folder / "film.yaml")

    b, c = storyboard.shot("b"), storyboard.shot("c")
    assert {key: b.lines[key] for key in ("", "id", "duration", "boundary", "first_frame")} == {
        "": 20,
        "id": 20,
        "duration": 25,
        "boundary": 13,
        "first_frame": 24,
    }
    assert c.lines["reference_images[2]"] == 37
    assert (storyboard.lines["title"], storyboard.lines["assets.street"]) == (1, 9)
    assert storyboard.problem(b, "duration", "too short").line == 25


def test_the_least_storyboard(tmp_path: Path) -> None:
    (tmp_path / "my film.json").write_text(minimal())

    storyboard = read_storyboard(str(tmp_path / "my film.json"))

    assert (storyboard.title, storyboard.model) == ("my film", "klingai:kling@o1-standard")
    assert (storyboard.width, storyboard.height) == (1280, 720)
    assert (storyboard.fps, storyboard.retries, storyboard.style) == (None, None, "")
    assert storyboard.shots[0].boundary is Boundary.CUT


def test_json_and_yaml_say_the_same(folder: Path) -> None:
    text = minimal(first_frame="pictures/hero.png", duration=2.10)
    tabbed = json.dumps(json.loads(text), indent="\t")

    read = [
        read_storyboard(folder / "film.json", text=tabbed),
        read_storyboard(folder / "film.yaml", text=text),
        read_storyboard(folder / "film.yaml", text=tabbed),
        read_storyboard(folder / "film", text=tabbed),
        read_storyboard(folder / "film", text="shots: [{id: a, prompt: x, duration: 2.1, "
                                              "first_frame: pictures/hero.png}]"),
    ]  # fmt: skip

    assert all(storyboard.shots == read[0].shots for storyboard in read)
    assert read[0].shots[0].duration_s == Decimal("2.1")


def test_json_knows_its_lines() -> None:
    text = '{\n "shots": [\n  {"id": "a",\n   "prompt": "\\ud83d\\ude00 \\"{\\"",\n   "ttl": 90\n  },\n  {"id": "b", "prompt": "x",\n   "duration": 1e1}\n ]\n}'

    a, b = read_storyboard("film.json", text=text).shots

    assert a.prompt == '\U0001f600 "{"'
    assert (a.lines[""], a.lines["ttl"], b.lines[""], b.lines["duration"]) == (3, 5, 7, 8)
    assert b.duration_s == 10


def test_lines_are_counted_as_editors_count_them() -> None:
    text = 'shots:\r\n- id: a\r\n  prompt: "one\u2028two\x85three"\r\n  ttl: 90\r\n'

    (shot,) = read_storyboard("film.yaml", text=text).shots

    assert shot.lines["ttl"] == 4


def test_a_default_boundary_skips_the_first_shot() -> None:
    text = "defaults: {boundary: continue, prompt: x}\nshots: [{id: a}, {id: b}]"

    a, b = read_storyboard("film.yaml", text=text).shots

    assert (a.boundary, b.boundary) == (Boundary.CUT, Boundary.CONTINUE)


def test_aliases_and_merge_keys() -> None:
    text = (
        "shots:\n"
        "  - &first\n    id: a\n    prompt: x\n    ttl: 60\n"
        "  - <<: *first\n    id: b\n"
        "  - {<<: [{ttl: 70}, *first], id: c}\n"
    )

    a, b, c = read_storyboard("film.yaml", text=text).shots

    assert [(item.id, item.prompt, item.ttl) for item in (a, b, c)] == [("a", "x", 60), ("b", "x", 60), ("c", "x", 70)]
    assert b.lines["ttl"] == 5


def test_an_unused_asset_need_not_exist(tmp_path: Path) -> None:
    storyboard = read_storyboard(tmp_path / "film.yaml", text="assets: {a: none.png}\nshots: [{id: a, prompt: x}]")

    assert storyboard.shots[0].first_frame is None


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    for name in ("film.json", "film.yaml"):
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + minimal().encode())
        assert read_storyboard(tmp_path / name).title == "film"


def test_a_chain_of_thousands_of_shots() -> None:
    shots = [{"id": f"s{n}", "prompt": "x", "boundary": "continue" if n else "cut"} for n in range(3000)]

    assert len(read_storyboard("film.json", text=json.dumps({"shots": shots})).shots) == 3000


def test_text_may_be_relative_to_a_folder(folder: Path) -> None:
    storyboard = read_storyboard(folder, text=minimal(first_frame="pictures/hero.png"))

    assert storyboard.shots[0].first_frame == MediaFile((folder / "pictures" / "hero.png").as_uri())


# Storyboards that are typed in


@pytest.mark.parametrize(
    "text",
    [
        "title: Harbour\nshots:\n  - {id: a, prompt: A lake}",
        '{"title": "Harbour", "shots": [{"id": "a", "prompt": "A lake"}]}',
    ],
)
def test_a_storyboard_may_be_typed_in(text: str) -> None:
    storyboard = read_storyboard(text)

    assert is_typed(text)
    assert (storyboard.title, storyboard.file, storyboard.shots[0].prompt) == ("Harbour", "storyboard", "A lake")


def test_what_is_typed_in_has_no_folder(folder: Path) -> None:
    with pytest.raises(StoryboardError) as caught:
        read_storyboard(minimal(first_frame="pictures/hero.png"))
    (problem,) = caught.value.problems
    assert problem.file == "storyboard"
    assert "'pictures/hero.png' cannot be used: a storyboard that is typed in has no folder" in problem.message

    there = folder / "pictures" / "hero.png"
    for written in (str(there), there.as_uri()):
        storyboard = read_storyboard(minimal(first_frame=written))
        assert storyboard.shots[0].first_frame == MediaFile(there.as_uri())


def test_mistakes_in_what_is_typed_in_have_their_lines() -> None:
    with pytest.raises(StoryboardError) as caught:
        read_storyboard("shots:\n  - {id: a, promt: A lake}\n")
    assert str(caught.value).startswith("storyboard:2: ")


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("boards/harbour.yaml", "harbour"),
        ("s3://studio/boards/harbour.v2.yaml", "harbour.v2"),
        ("https://studio.test/harbour.json?signature=1/2.x", "harbour"),
        (".yaml", ".yaml"),
        ("title: 'A  harbour'\nshots: []", "A harbour"),
        ("title: [\nshots: x", "storyboard"),
        ("title: 3\nshots: []", "storyboard"),
        ("{}", "storyboard"),
    ],
)
def test_a_storyboard_has_a_name_before_it_is_read(source: str, name: str) -> None:
    assert name_of(source) == name


# Files that are no storyboards


@pytest.mark.parametrize(
    ("name", "data", "message", "line"),
    [
        ("film.yaml", "shots:\n  - id: é".encode("latin-1"), "the file is not UTF-8 text", 2),
        ("film.yaml", b"#" * (MAX_BYTES + 1), "the file is larger than 2 MB", None),
        ("film.json", b'{\n "shots": [,]}', "this is not valid JSON: Expecting value", 2),
        ("film.json", b'{"fps": NaN}', "this is not valid JSON: NaN is not a number that JSON knows", 1),
        ("film.json", b"[" * 100_000, "this is nested too deeply", 1),
        ("film.json", b"[" * 90 + b"]" * 90, "this is nested too deeply", 1),
        ("film.yaml", b"[" * 90 + b"]" * 90, "this is nested too deeply", 1),
        ("film.yaml", b"- " * 100_000, "this is nested too deeply", 1),
        ("film", b'{\n "shots": [,]', "this is not valid JSON: Expecting value", 2),
    ],
)
def test_what_is_no_storyboard(tmp_path: Path, name: str, data: bytes, message: str, line: int | None) -> None:
    (tmp_path / name).write_bytes(data)

    with pytest.raises(StoryboardError) as caught:
        read_storyboard(tmp_path / name)

    (problem,) = caught.value.problems
    assert (problem.message, problem.line) == (message, line)


@pytest.mark.parametrize(
    "bomb", ["[*x, *x, *x, *x, *x, *x, *x, *x, *x, *x]", "{<<: [*x, *x, *x, *x, *x, *x, *x, *x, *x]}"]
)
def test_alias_bombs_are_refused_quickly(bomb: str) -> None:
    lines = ["a0: &a0 {k: [v, v, v]}"]
    lines += [f"a{n}: &a{n} {bomb.replace('*x', f'*a{n - 1}')}" for n in range(1, 25)]

    with pytest.raises(StoryboardError, match="too large when its aliases are expanded"):
        read_storyboard("film.yaml", text="\n".join(lines))


def test_half_a_character_and_nul_are_refused() -> None:
    text = '{"title": "\\ud800", "shots": [{"id": "a", "prompt": "x\\u0000y"}]}'

    with pytest.raises(StoryboardError) as caught:
        read_storyboard("film.json", text=text)

    assert [problem.message for problem in caught.value.problems] == [
        "the text contains half of a Unicode surrogate pair",
        "the text contains a NUL character",
    ]


@pytest.mark.parametrize("name", ["none.yaml", "none/film.yaml", "file/film.yaml", "nul\x00.yaml"])
def test_a_file_that_is_not_there(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("x")

    with pytest.raises(StoryboardError, match="there is no such file"):
        read_storyboard(tmp_path / name)


def test_a_folder_is_no_storyboard(tmp_path: Path) -> None:
    with pytest.raises(StoryboardError, match="this is a folder"):
        read_storyboard(tmp_path)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "film.yaml").symlink_to("film.yaml")

    with pytest.raises(StorageUnreachable, match="cannot be read"):
        read_storyboard(tmp_path / "film.yaml")


def test_a_picture_that_links_to_itself_is_missing(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to("a.png")

    with pytest.raises(StoryboardError, match=r"a\.png"):
        read_storyboard(tmp_path / "film.json", text=minimal(first_frame="a.png"))


# Other storages


def test_a_storyboard_in_another_storage() -> None:
    with fsspec.open("memory://boards/spring/film.yaml", "w") as opened:
        opened.write(minimal(first_frame="../a.png", last_frame="b.png"))

    storyboard = read_storyboard("memory://boards/spring/film.yaml")

    (shot,) = storyboard.shots
    assert shot.first_frame == MediaFile("memory://boards/a.png")
    assert shot.last_frame == MediaFile("memory://boards/spring/b.png")
    assert (storyboard.title, storyboard.file) == ("film", "memory://boards/spring/film.yaml")


def test_a_storyboard_by_file_uri(folder: Path) -> None:
    (folder / "my film.yaml").write_text(minimal(first_frame="pictures/hero.png"))

    storyboard = read_storyboard((folder / "my film.yaml").as_uri())

    assert storyboard.shots[0].first_frame == MediaFile((folder / "pictures" / "hero.png").as_uri())


def test_other_storages_that_fail() -> None:
    with pytest.raises(StoryboardError, match="there is no such file"):
        read_storyboard("memory://boards/none.yaml")
    with pytest.raises(StorageUnreachable, match="Protocol not known"):
        read_storyboard("carrier-pigeon://boards/film.yaml")


@pytest.fixture
def server() -> Iterator[str]:
    class Boards(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = {"/boards/film.yaml": 200, "/broken.yaml": 500}.get(self.path.partition("?")[0], 404)
            body = minimal(first_frame="a.png").encode() if status == 200 else b"no"
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Boards) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def test_a_storyboard_on_the_web(server: str) -> None:
    storyboard = read_storyboard(f"{server}/boards/film.yaml?token=secret-4711")

    assert storyboard.shots[0].first_frame == MediaFile(f"{server}/boards/a.png")
    assert storyboard.file == f"{server}/boards/film.yaml?token=***"
    with pytest.raises(StoryboardError, match="there is no such file"):
        read_storyboard(f"{server}/none.yaml")
    with pytest.raises(StorageUnreachable, match="the server answers 500"):
        read_storyboard(f"{server}/broken.yaml")
    with pytest.raises(StorageUnreachable, match="cannot be read"):
        read_storyboard("http://127.0.0.1:9/film.yaml")
