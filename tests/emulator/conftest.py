"""An emulator to talk to, and pictures and videos to give it."""

from __future__ import annotations

import io
import ssl
import time
import uuid
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tasks.emulator import EmulatorServer, EmulatorSettings
from tests.emulator.receivers import Receiver, receiving

# Made once: nothing here is encrypted, and each client would read all certificates anew.
TLS = ssl.create_default_context()
STANDARD = "klingai:kling@o1-standard"


class Api:
    """Speaks to one emulator as a client would."""

    def __init__(self, server: EmulatorServer, key: str = "a-key") -> None:
        self.server = server
        self.http = httpx.Client(headers={"Authorization": f"Bearer {key}"}, timeout=20, verify=TLS)

    def post(self, *tasks: dict[str, Any]) -> httpx.Response:
        return self.http.post(self.server.base_url, json=list(tasks))

    @staticmethod
    def text_task(**fields: Any) -> dict[str, Any]:
        """A valid request; fields set to ... are left out."""
        task = {
            "taskType": "videoInference",
            "taskUUID": str(uuid.uuid4()),
            "model": STANDARD,
            "positivePrompt": "A tram climbs through autumn trees",
            "width": 1280,
            "height": 720,
            "duration": 5,
            "includeCost": True,
            **fields,
        }
        return {name: value for name, value in task.items() if value is not ...}

    @classmethod
    def media_task(cls, inputs: dict[str, Any], **fields: Any) -> dict[str, Any]:
        """A valid request with inputs and no size of its own."""
        return cls.text_task(**{"width": ..., "height": ..., "inputs": inputs, **fields})

    def submit(self, task: dict[str, Any]) -> str:
        reply = self.post(task)
        assert reply.status_code == 200, reply.text
        assert reply.json() == {"data": [{"taskType": "videoInference", "taskUUID": task["taskUUID"]}]}
        return str(task["taskUUID"])

    def poll(self, task_uuid: str) -> dict[str, Any]:
        reply = self.post({"taskType": "getResponse", "taskUUID": task_uuid})
        assert reply.status_code == 200, reply.text
        return dict(reply.json())

    def wait(self, task_uuid: str, results: int = 1) -> list[dict[str, Any]]:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            body = self.poll(task_uuid)
            assert "errors" not in body, body
            done = [item for item in body["data"] if item["status"] == "success"]
            if len(done) == results:
                return done
            time.sleep(0.04)
        raise AssertionError(f"{task_uuid} did not finish")

    def make(self, task: dict[str, Any]) -> dict[str, Any]:
        """Submit, wait, and return the first result."""
        return self.wait(self.submit(task))[0]

    def download(self, result: dict[str, Any], folder: Path) -> Path:
        reply = self.http.get(result["videoURL"])
        assert reply.status_code == 200
        path = folder / str(result["videoURL"]).rpartition("/")[2]
        path.write_bytes(reply.content)
        return path

    def upload(self, content: bytes) -> dict[str, Any]:
        import base64

        task = {
            "taskType": "mediaStorage",
            "taskUUID": str(uuid.uuid4()),
            "operation": "upload",
            "media": base64.b64encode(content).decode(),
        }
        reply = self.post(task)
        assert reply.status_code == 200, reply.text
        return dict(reply.json()["data"][0])

    def books(self) -> dict[str, Any]:
        return dict(self.http.get(f"{self.server.origin}/_emulator/books").json())


@pytest.fixture(scope="session")
def api() -> Iterator[Api]:
    """An emulator whose clips have few frames and are there at once."""
    with EmulatorServer(EmulatorSettings(instant=True, frames_per_second=1)) as server:
        client = Api(server)
        yield client
        client.http.close()


class Faulty(Api):
    """Speaks to an emulator whose fault plan is set by the test."""

    def set(self, *rules: dict[str, Any], seed: int = 0) -> None:
        """Put these rules in place of all others."""
        reply = self.http.put(self.plan_url, json={"seed": seed, "rules": list(rules)})
        assert reply.status_code == 200, reply.text

    @property
    def plan_url(self) -> str:
        return f"{self.server.origin}/_emulator/faults"

    def poll_any(self, question: dict[str, Any]) -> list[dict[str, Any]]:
        """The results that are there after a while, if any come at all."""
        for _ in range(25):
            body = self.post(question).json()
            done = [item for item in body.get("data", []) if item["status"] == "success"]
            if done or body.get("errors") or not body["data"]:
                return done
            time.sleep(0.01)
        return []

    def given(self) -> list[int]:
        """How often each rule was met."""
        return list(self.http.get(self.plan_url).json()["given"])


@pytest.fixture
def faulty(api: Api) -> Iterator[Faulty]:
    """The same emulator, whose plan is empty before and after the test."""
    client = Faulty(api.server)
    client.set()
    yield client
    client.set()
    client.http.close()


def detailed(width: int, height: int, *, turn: float = 0.0) -> Image.Image:
    """A picture full of fine, sharp, coloured detail, without noise."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    luma = 128 + 60 * np.sin(x / 5 + y / 9 + turn) + 45 * np.sign(np.sin(x / 23) * np.sin(y / 17 + turn))
    tint = 25 * np.sin((x - y) / 90 + turn)
    rgb = np.stack([luma + tint, luma, luma - tint], axis=-1)
    return Image.fromarray(rgb.clip(0, 255).astype(np.uint8))


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def video(path: Path, *, frames: int, rate: int = 24, size: tuple[int, int] = (640, 360), sound: bool = False) -> Path:
    """A small H.264 video, with a tone if asked for."""
    width, height = size
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        tone = None
        if sound:
            tone = container.add_stream("aac", rate=48000)
            tone.layout = "stereo"
        for index in range(frames):
            picture = np.full((height, width, 3), (index * 5) % 200 + 20, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
        if tone is not None:
            count = frames * 48000 // rate
            wave = (0.3 * np.sin(2 * np.pi * 440 * np.arange(count) / 48000)).astype(np.float32)
            for start in range(0, count, 1024):
                piece = np.stack([wave[start : start + 1024]] * 2)
                frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(piece), format="fltp", layout="stereo")
                frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
                container.mux(tone.encode(frame))
            container.mux(tone.encode())
    return path


def psnr_db(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    error = float(np.mean((one.astype(np.float64) - other.astype(np.float64)) ** 2))
    return float("inf") if error == 0 else 10 * float(np.log10(255**2 / error))


@pytest.fixture(scope="session")
def pictures() -> type[Pictures]:
    return Pictures


class Pictures:
    """Makers of inputs, and the measure of likeness."""

    detailed = staticmethod(detailed)
    png = staticmethod(png)
    video = staticmethod(video)
    psnr_db = staticmethod(psnr_db)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Somebody whom the emulator sends to."""
    with receiving() as somebody:
        yield somebody
