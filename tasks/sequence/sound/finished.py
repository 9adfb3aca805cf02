"""A film's finished sound, kept by all that it is made of: what was mastered once, the next run finds."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

import av
from pydantic import TypeAdapter, ValidationError

from tasks.media.files import mark_used, sha256_of, written_whole
from tasks.sequence.encoding import VERSION
from tasks.sequence.parts import proven_digest
from tasks.sequence.sound.master import Loudness
from tasks.sequence.sound.mix import Mix

__all__ = ["keep_loudness", "kept_loudness", "track_key"]


@dataclass(frozen=True, slots=True)
class _Facts:
    """What lies beside a kept sound: the sha256 of it, and what was measured of it."""

    sha256: str
    loudness: Loudness


_FACTS: Final = TypeAdapter(_Facts)


def track_key(mix: Mix, target_lufs: Decimal | None) -> str:
    """The name of a finished sound: a hash of all that decides about it. Blocks for a moment.

    Args:
        mix: What it is made of. The raw samples of its layers are proven.
        target_lufs: The loudness that it is brought to.
    """
    layers = [
        {**asdict(layer), "pcm": proven_digest(layer.pcm), "gain_db": str(layer.gain_db), "duck_db": str(layer.duck_db)}
        for layer in mix.layers
    ]
    facts = {
        "layers": layers,
        "samples": mix.samples,
        "target_lufs": str(target_lufs),
        "libraries": av.library_versions,
        "version": VERSION,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:40]


def kept_loudness(track: Path) -> Loudness | None:
    """What was measured of a kept sound; None if it is not there, or not as it was then. Blocks."""
    try:
        facts = _FACTS.validate_json(_beside(track).read_bytes())
        if sha256_of(track) != facts.sha256:
            return None
    except (FileNotFoundError, ValidationError):
        return None
    mark_used(track)
    mark_used(_beside(track))
    return facts.loudness


def keep_loudness(track: Path, loudness: Loudness) -> None:
    """Put down beside a sound what was measured of it, so that it is known the next time. Blocks.

    Raises:
        StorageUnreachable: There is no room for it.
    """
    with written_whole(_beside(track)) as temporary:
        temporary.write_bytes(_FACTS.dump_json(_Facts(sha256_of(track), loudness)))


def _beside(track: Path) -> Path:
    return track.with_suffix(".json")
