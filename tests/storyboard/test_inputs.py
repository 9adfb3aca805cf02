"""What the inspection of inputs finds out, and when it asks the network again."""

from __future__ import annotations

import base64
import hashlib
import threading
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import av
import fsspec
import httpx
import pytest
from PIL import Image

from tasks.errors import Problem, StorageUnreachable, StoryboardError
from tasks.storyboard.fetch import InputCache, web_client
from tasks.storyboard.inputs import InputFacts, inspect_inputs
from tasks.storyboard.model import Storyboard
from tasks.storyboard.read import read_storyboard


def picture(colour: str = "red", width: int = 32, height: int = 18) -> bytes:
    data = BytesIO()
    Image.new("RGB", (width, height), colour).save(data, "PNG")
    return data.getvalue()


@pytest.fixture(scope="module")
def video() -> bytes:
    data = BytesIO()
    with av.open(data, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 32, 16, "yuv420p"
        for _ in range(12):
            container.mux(stream.encode(av.VideoFrame(32, 16, "yuv420p")))
        container.mux(stream.encode())
    return data.getvalue()


@dataclass
class Site:
    """A server whose files and manners a test may change."""

    files: dict[str, bytes] = field(default_factory=dict)
    etag: Callable[[bytes], str | None] = lambda data: f'"{hashlib.md5(data).hexdigest()}"'  # noqa: S324
    modified: str | None = None
    conditional: bool = True
    status: int = 200
    moved: dict[str, str] = field(default_factory=dict)
    cut_short: bool = False
    seen: list[tuple[str, int]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path in site.moved:
                return self.answer(302, {"location": site.moved[path]})
            if site.status != 200:
                return self.answer(site.status, {})
            data = site.files.get(path)
            if data is None:
                return self.answer(404, {})
            validators = {"etag": site.etag(data), "last-modified": site.modified}
            headers = {name: value for name, value in validators.items() if value is not None}
            asked = self.headers.get("if-none-match") or self.headers.get("if-modified-since")
            if site.conditional and asked is not None and asked in headers.values():
                return self.answer(304, headers)
            return self.answer(200, headers, data)

        def answer(self, status: int, headers: dict[str, str], data: bytes = b"") -> None:
            site.seen.append((self.path.partition("?")[0], status))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status != 304:
                self.send_header("content-length", str(len(data)))
            self.end_headers()
            try:
                self.wfile.write(data[: len(data) // 2] if site.cut_short else data)
            except OSError:
                self.close_connection = True  # a client that has seen enough hangs up

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        site.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield site
        server.shutdown()
        thread.join()


def board(folder: Path, *lines: str, assets: str = "{}") -> Storyboard:
    """A storyboard whose one shot has `lines` from line 5 on."""
    text = "\n".join([f"assets: {assets}", "shots:", "  - id: a", "    prompt: x", *(f"    {line}" for line in lines)])
    return read_storyboard(folder / "film.yaml", text=text)


async def inspect_one(folder: Path, uri: str, key: str = "first_frame") -> InputFacts:
    facts = await inspect_inputs(board(folder, f"{key}: '{uri}'"), folder / "cache")
    (found,) = facts.values()
    assert found.uri == uri
    return found


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# Files at hand


async def test_local_files(tmp_path: Path, video: bytes) -> None:
    (tmp_path / "red.dat").write_bytes(picture())
    (tmp_path / "walk.mp4").write_bytes(video)
    film = board(tmp_path, "first_frame: ./red.dat", "reference_images: ./red.dat", "video: walk.mp4")

    facts = await inspect_inputs(film, tmp_path / "cache")

    red, walk = (tmp_path / "red.dat").as_uri(), (tmp_path / "walk.mp4").as_uri()
    assert facts == {
        red: InputFacts(
            uri=red,
            kind="image",
            sha256=sha256(picture()),
            size_bytes=len(picture()),
            media_type="image/png",
            width=32,
            height=18,
            local=tmp_path / "red.dat",
        ),
        walk: InputFacts(
            uri=walk,
            kind="video",
            sha256=sha256(video),
            size_bytes=len(video),
            media_type="video/mp4",
            width=32,
            height=16,
            duration_s=Decimal("0.500"),
            has_sound=False,
            local=tmp_path / "walk.mp4",
        ),
    }
    assert not (tmp_path / "cache").exists()


@pytest.fixture(scope="module")
def sound() -> bytes:
    data = BytesIO()
    with wave.open(data, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(2 * 12_000))
    return data.getvalue()


async def test_music_and_narration(tmp_path: Path, sound: bytes) -> None:
    (tmp_path / "theme.wav").write_bytes(sound)
    text = "music: theme.wav\nshots: [{id: a, prompt: x, narration: theme.wav}]\n"

    facts = await inspect_inputs(read_storyboard(tmp_path / "film.yaml", text=text), tmp_path / "cache")

    (found,) = facts.values()
    assert (found.kind, found.media_type, found.duration_s) == ("sound", "audio/pcm_s16le", Decimal("1.500"))
    assert (found.sha256, found.has_sound, found.local) == (sha256(sound), True, tmp_path / "theme.wav")


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("a.png", 1, "'a.png' is a picture, and 'music' takes a sound file"),
        ("a.mp4", 1, "'a.mp4' is a video, and 'music' takes a sound file"),
        ("a.txt", 1, "'a.txt' is not a sound file"),
    ],
)
async def test_music_that_cannot_be_heard(tmp_path: Path, video: bytes, name: str, line: int, message: str) -> None:
    (tmp_path / name).write_bytes({"a.png": picture(), "a.mp4": video, "a.txt": b"words"}[name])
    text = f"music: ./{name}\nshots: [{{id: a, prompt: x}}]\n"

    problem = await problem_of(read_storyboard(tmp_path / "film.yaml", text=text), tmp_path)

    assert (problem.line, problem.key, problem.shot) == (line, "music", None)
    assert problem.message.startswith(message)


async def test_unused_assets_are_not_looked_at(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no picture")

    assert await inspect_inputs(board(tmp_path, assets="{a: a.png}"), tmp_path / "cache") == {}


async def test_a_data_uri(tmp_path: Path) -> None:
    uri = f"data:image/png;base64,{base64.b64encode(picture()).decode()}"

    facts = await inspect_one(tmp_path, uri)

    assert (facts.sha256, facts.media_type, facts.width) == (sha256(picture()), "image/png", 32)
    assert facts.local is not None
    assert facts.local.read_bytes() == picture()


async def problem_of(storyboard: Storyboard, folder: Path) -> Problem:
    with pytest.raises(StoryboardError) as caught:
        await inspect_inputs(storyboard, folder / "cache")
    (problem,) = caught.value.problems
    return problem


async def test_a_text_file_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no picture")

    problem = await problem_of(board(tmp_path, "ttl: 60", "first_frame: a.png", "last_frame: a.png"), tmp_path)

    assert (problem.line, problem.key, problem.shot) == (6, "first_frame", "a")
    assert problem.message.startswith("'a.png' is not a picture")
    assert problem.accepted == "a picture that is whole"


@pytest.mark.parametrize(
    ("key", "accepted"),
    [("first_frame", "a picture that is whole: TIFF or BMP"), ("video", "a video that is whole: OGG")],
)
async def test_what_is_accepted_instead_is_what_the_model_takes(tmp_path: Path, key: str, accepted: str) -> None:
    (tmp_path / "short").write_bytes(picture()[:50])
    film = board(tmp_path, f"{key}: ./short")
    formats = {film.model: {"image": ["TIFF", "BMP"], "video": ["OGG"]}, "another": {"image": ["PNG"]}}

    with pytest.raises(StoryboardError) as caught:
        await inspect_inputs(film, tmp_path / "cache", formats=formats)

    (problem,) = caught.value.problems
    assert problem.accepted == accepted


async def test_a_bad_asset_is_told_at_the_asset(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("no video")

    problem = await problem_of(board(tmp_path, "video: walk", assets="{walk: a.mp4}"), tmp_path)

    assert (problem.line, problem.key, problem.shot) == (1, "assets.walk", None)
    assert problem.message.startswith("'a.mp4' is not a video")


async def test_a_video_where_a_picture_belongs(tmp_path: Path, video: bytes) -> None:
    (tmp_path / "walk.mp4").write_bytes(video)

    problem = await problem_of(board(tmp_path, "reference_images:", "  - w", assets="{w: walk.mp4}"), tmp_path)

    assert problem.line == 6
    assert problem.message == "'walk.mp4' is a video, and 'reference_images[0]' takes a picture"


async def test_a_file_that_has_gone_since_reading(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture())
    storyboard = board(tmp_path, "first_frame: a.png")
    (tmp_path / "a.png").unlink()

    assert (await problem_of(storyboard, tmp_path)).message == "'a.png' cannot be read: No such file or directory"


# The web


@pytest.mark.parametrize("conditional", [True, False], ids=["304", "the whole file again"])
@pytest.mark.parametrize("by", ["etag", "last-modified"])
async def test_an_unchanged_file_is_not_fetched_again(tmp_path: Path, site: Site, conditional: bool, by: str) -> None:
    site.files["/a.png"] = picture()
    site.conditional = conditional
    if by == "last-modified":
        site.etag = lambda _: None
        site.modified = "Tue, 01 Sep 2026 10:00:00 GMT"

    first = await inspect_one(tmp_path, f"{site.url}/a.png")
    again = await inspect_one(tmp_path, f"{site.url}/a.png")

    assert first == again
    assert first.sha256 == sha256(picture())
    assert [status for _, status in site.seen] == [200, 304 if conditional else 200]


async def test_a_changed_file_is_fetched_again(tmp_path: Path, site: Site) -> None:
    url = f"{site.url}/a.png"
    site.files["/a.png"] = picture("red")
    await inspect_one(tmp_path, url)
    site.files["/a.png"] = picture("green")

    assert (await inspect_one(tmp_path, url)).sha256 == sha256(picture("green"))


async def test_without_validators_it_is_fetched_every_time(tmp_path: Path, site: Site) -> None:
    site.etag = lambda _: None
    for colour in ("red", "green"):
        site.files["/a.png"] = picture(colour)
        assert (await inspect_one(tmp_path, f"{site.url}/a.png")).sha256 == sha256(picture(colour))


async def test_the_bytes_decide_what_an_input_is(tmp_path: Path, site: Site) -> None:
    """The same bytes under another validator are the same input."""
    site.files["/a.png"] = picture()
    first = await inspect_one(tmp_path, f"{site.url}/a.png")
    site.etag = lambda _: '"another"'

    assert await inspect_one(tmp_path, f"{site.url}/a.png") == first
    assert [status for _, status in site.seen] == [200, 200]


def unreachable(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("no route to host")


@pytest.mark.parametrize("trouble", ["500", "404", "cut short", "down"])
async def test_a_remembered_copy_stands_in_for_a_server_in_trouble(tmp_path: Path, site: Site, trouble: str) -> None:
    site.files["/a.png"] = picture()
    storyboard = board(tmp_path, f"first_frame: '{site.url}/a.png'")
    first = await inspect_inputs(storyboard, tmp_path / "cache")

    transport: httpx.AsyncBaseTransport | None = None
    match trouble:
        case "cut short":
            site.files["/a.png"], site.cut_short = picture("green"), True
        case "down":
            transport = httpx.MockTransport(unreachable)
        case status:
            site.status = int(status)

    assert await inspect_inputs(storyboard, tmp_path / "cache", transport=transport) == first


async def test_a_damaged_copy_is_not_used(tmp_path: Path, site: Site) -> None:
    site.files["/a.png"] = picture()
    first = await inspect_one(tmp_path, f"{site.url}/a.png")
    assert first.local is not None
    first.local.write_bytes(b"rotten")

    again = await inspect_one(tmp_path, f"{site.url}/a.png")

    assert again == first
    assert again.local is not None
    assert again.local.read_bytes() == picture()


async def test_what_cannot_be_read_is_unpinned_and_says_why(tmp_path: Path, site: Site) -> None:
    site.files["/page.png"] = b"<html>please log in</html>"
    page = await inspect_one(tmp_path, f"{site.url}/page.png?token=hush-4711")
    none = await inspect_one(tmp_path, f"{site.url}/none.png")
    down = await inspect_one(tmp_path, "http://127.0.0.1:9/a.png")

    assert page.unpinned is not None
    assert page.unpinned.startswith("what is there is not a picture")
    assert none == InputFacts(f"{site.url}/none.png", "image", unpinned="the server answers 404")
    assert down.unpinned is not None
    assert down.unpinned.startswith("it cannot be fetched")
    assert (down.sha256, down.local) == (None, None)
    assert not any("hush" in str(fact.unpinned) for fact in (page, none, down))


async def test_a_page_in_place_of_a_picture_is_not_remembered(tmp_path: Path, site: Site) -> None:
    url = f"{site.url}/a.png"
    site.files["/a.png"] = picture()
    first = await inspect_one(tmp_path, url)
    site.files["/a.png"] = b"<html>"
    assert (await inspect_one(tmp_path, url)).unpinned is not None
    site.status = 500

    assert await inspect_one(tmp_path, url) == first


async def test_redirects_are_followed(tmp_path: Path, site: Site) -> None:
    site.files["/b.png"] = picture()
    site.moved["/a.png"] = "/b.png"

    assert (await inspect_one(tmp_path, f"{site.url}/a.png")).sha256 == sha256(picture())
    site.moved["/a.png"] = "/a.png"
    assert (await inspect_one(tmp_path, f"{site.url}/a.png?again")).unpinned is not None


async def test_size_is_capped_by_word_and_by_count(tmp_path: Path) -> None:
    async def many() -> object:
        for _ in range(5):
            yield b"x" * 300

    def told(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=b"x" * 1001)

    def untold(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=many())  # type: ignore[arg-type]

    cache = InputCache(tmp_path, max_bytes=1000)
    for answer in (told, untold):
        async with web_client(httpx.MockTransport(answer)) as client:
            with pytest.raises(StorageUnreachable, match=r"larger than 0\.001 MB"):
                await cache.from_web("https://example.com/a.png", client)
    assert list((tmp_path / "inputs").glob("*")) == []


async def test_nothing_is_left_behind_by_a_broken_download(tmp_path: Path, site: Site) -> None:
    site.files["/a.png"], site.cut_short = picture(), True

    assert (await inspect_one(tmp_path, f"{site.url}/a.png")).unpinned is not None
    assert list((tmp_path / "cache" / "inputs").iterdir()) == []


async def test_many_inputs_at_once(tmp_path: Path, site: Site) -> None:
    site.files = {f"/{n}.png": picture(width=n + 1) for n in range(30)}
    urls = [f"{site.url}/{n}.png" for n in range(30)]

    facts = await inspect_inputs(board(tmp_path, f"reference_images: {urls}"), tmp_path / "cache")

    assert [facts[url].width for url in urls] == list(range(1, 31))


# Other storages


async def test_other_storages(tmp_path: Path) -> None:
    with fsspec.open("memory://inputs/a.png", "wb") as opened:
        opened.write(picture())

    facts = await inspect_one(tmp_path, "memory://inputs/a.png")
    gone = await inspect_one(tmp_path, "memory://inputs/none.png")
    unknown = await inspect_one(tmp_path, "carrier-pigeon://inputs/a.png")

    assert (facts.sha256, facts.width) == (sha256(picture()), 32)
    assert facts.local is not None
    assert facts.local.read_bytes() == picture()
    assert gone.unpinned == "there is no such file"
    assert unknown.unpinned is not None
    assert "Protocol not known" in unknown.unpinned
