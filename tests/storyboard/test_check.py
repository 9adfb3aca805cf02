"""Every kind of mistake in a single key or value: told once, at its line, with what would be accepted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.storyboard.model import TransitionKind
from tests.storyboard.mistakes import ONE, SHOT_KEYS, Mistake, assert_told_once, on_two

ROOT_KEYS = (
    "title, model, size, fps, style, retries, tags, music, loudness, "
    "title_card, end_card, ending, assets, defaults, shots, $schema"
)
IDS = "letters, digits, '-' and '_', at most 64, beginning with a letter or a digit"
SECONDS = "a number above 0, without a unit, such as 5 or 2.5"
TRANSITIONS = ", ".join(TransitionKind)
DECIBELS = "a number from -60 to 20, such as -6 or 2.5"
LOUDNESS = "a number from -36 to -6, such as -16, or off"
ROOT = "at least 'shots': a list of shots, each with an id and a prompt"


PICTURES = "an asset's name, a path, a URI, or {shot: ID, frame: first|last}"
VIDEOS = "an asset's name, a path, a URI, or {shot: ID}"
CARD_KEYS = "text, duration, background, picture, transition"
CARD_TEXT = "a text or a list of them, at most 12 lines and 600 characters"
COLOURS = "'#RRGGBB' in quotes, or a CSS name such as black or navy"


def on_card(line: str, message: str, accepted: str | None, key: str, at: int = 3) -> Mistake:
    """A mistake in the third line of a storyboard that begins with its title card."""
    return Mistake(f"title_card:\n  text: Sea\n  {line}\n{ONE}", at, message, accepted, None, key)


MISTAKES: dict[str, Mistake] = {
    # Pictures, videos and frames of other shots
    "picture is a number": on_two("first_frame: 3", "'first_frame' must name a picture", PICTURES, "first_frame"),
    "picture in a list": on_two(
        ["reference_images:", "  - hero", "  - 3"],
        "'reference_images[1]' must name a picture",
        PICTURES,
        "reference_images[1]",
        line=8,
    ),
    "video is a number": on_two("video: 3", "'video' must name a video", VIDEOS, "video"),
    "reference without frame": on_two(
        "first_frame: {shot: one}",
        "'first_frame.frame' is missing: say which frame of the other shot",
        "first, last",
        "first_frame.frame",
    ),
    "reference to a middle frame": on_two(
        "first_frame: {shot: one, frame: middle}",
        "'first_frame.frame' cannot be 'middle'",
        "first, last",
        "first_frame.frame",
    ),
    "frame of a video": on_two(
        "video: {shot: one, frame: last}",
        "a video is the whole clip of the other shot: leave 'frame' out",
        "{shot: ID}",
        "video.frame",
    ),
    # Cards
    "card of a number": Mistake(
        f"end_card: 3\n{ONE}",
        1,
        "'end_card' must say its words",
        "a text, or {text: …, duration: SECONDS}",
        None,
        "end_card",
    ),
    "card without words": Mistake(
        f"end_card: {{duration: 3}}\n{ONE}", 1, "'end_card.text' is missing", None, None, "end_card.text"
    ),
    "card of no line": Mistake(
        f"end_card: []\n{ONE}", 1, "'end_card.text' has 0 lines", CARD_TEXT, None, "end_card.text"
    ),
    "card of a book": Mistake(
        f"end_card: {'word ' * 150}\n{ONE}", 1, "'end_card.text' has 749 characters", CARD_TEXT, None, "end_card.text"
    ),
    "card with an unknown key": on_card("colour: red", "unknown key 'colour'", CARD_KEYS, "title_card.colour"),
    "card for no time": on_card(
        "duration: 0",
        "'title_card.duration' cannot be 0",
        "a number above 0 and at most 60, without a unit, such as 3",
        "title_card.duration",
    ),
    "colour without quotes": on_card(
        "background: #fff",
        "'title_card.background' is empty: a colour that begins with # has to be in quotes",
        COLOURS,
        "title_card.background",
    ),
    "colour misspelled": on_card(
        "background: nvay",
        "'title_card.background' cannot be 'nvay' (did you mean 'navy'?)",
        COLOURS,
        "title_card.background",
    ),
    "picture of a card that is not there": on_card(
        "picture: wall.png",
        "there is no file 'wall.png'",
        "a path to a file, relative to the current folder",
        "title_card.picture",
    ),
    "card with two grounds": Mistake(
        f"title_card: {{text: Sea, background: red, picture: hero.png}}\n{ONE}",
        1,
        "'title_card' has two grounds for its words",
        "'background' or 'picture', not both",
        None,
        "title_card",
    ),
    # Unknown keys
    "misspelled key": on_two(
        "promt: The second", "unknown key 'promt' (did you mean 'prompt'?)", SHOT_KEYS + ", id", "promt"
    ),
    "unknown key": on_two("colour: red", "unknown key 'colour'", SHOT_KEYS + ", id", "colour"),
    "key in camel case": on_two(
        "firstFrame: hero",
        "unknown key 'firstFrame' (did you mean 'first_frame'?)",
        SHOT_KEYS + ", id",
        "firstFrame",
    ),
    "unknown key of the storyboard": Mistake(
        "titel: A film\n" + ONE, 1, "unknown key 'titel' (did you mean 'title'?)", ROOT_KEYS, key="titel"
    ),
    "shots misspelled": Mistake(
        "shot:\n  - id: one\n    prompt: x\n",
        1,
        "unknown key 'shot' (did you mean 'shots'?)",
        ROOT_KEYS,
        key="shot",
    ),
    "assets misspelled, and used": Mistake(
        "asset:\n  hero: hero.png\n" + ONE + "    first_frame: hero\n",
        1,
        "unknown key 'asset' (did you mean 'assets'?)",
        ROOT_KEYS,
        key="asset",
    ),
    "id in the defaults": Mistake("defaults:\n  id: one\n" + ONE, 2, "unknown key 'id'", SHOT_KEYS, key="defaults.id"),
    "prompt of the defaults misspelled": Mistake(
        "defaults:\n  promt: x\nshots:\n  - id: a\n  - id: b\n",
        2,
        "unknown key 'promt' (did you mean 'prompt'?)",
        SHOT_KEYS,
        key="defaults.promt",
    ),
    "unknown key of an asset": Mistake(
        "assets:\n  hero:\n    sorce: hero.png\n" + ONE + "    first_frame: hero\n",
        3,
        "unknown key 'sorce' (did you mean 'source'?)",
        "source, source_duration",
        key="assets.hero.sorce",
    ),
    "unknown key of a reference": on_two(
        ["first_frame:", "  shot: one", "  fram: last"],
        "unknown key 'fram' (did you mean 'frame'?)",
        "shot, frame",
        "first_frame.fram",
        line=8,
    ),
    "unknown key of safety": on_two(
        ["safety:", "  chekContent: true"],
        "unknown key 'chekContent' (did you mean 'check_content'?)",
        "check_content, checkContent, mode",
        "safety.chekContent",
        line=7,
    ),
    "safety said twice": on_two(
        "safety: {check_content: true, checkContent: false}",
        "'safety' says the same twice",
        "check_content or checkContent, not both",
        "safety",
    ),
    # Types and ranges
    "id is a number": Mistake(
        "shots:\n  - prompt: x\n    id: 1\n",
        3,
        "'id' must be text, but 1 is read as a number: put it in quotes",
        IDS,
        key="id",
    ),
    "id is yes": Mistake(
        "shots:\n  - id: yes\n    prompt: x\n",
        2,
        "'id' must be text, but this is read as true or false: put it in quotes",
        IDS,
        key="id",
    ),
    "id with a space": Mistake(
        "shots:\n  - id: my shot\n    prompt: x\n",
        2,
        "'id' cannot be 'my shot'",
        IDS,
        key="id",
    ),
    "id too long": Mistake(
        f"shots:\n  - id: {'a' * 65}\n    prompt: x\n",
        2,
        f"'id' cannot be '{'a' * 65}'",
        IDS,
        key="id",
    ),
    "id missing": Mistake(
        "shots:\n  - prompt: x\n",
        2,
        "shot 1 has no 'id'",
        "an id that no other shot has, such as opening",
        key="id",
    ),
    "id missing, and used": Mistake(
        "shots:\n  - prompt: x\n  - id: b\n    prompt: x\n    first_frame: {shot: zebra, frame: last}\n",
        2,
        "shot 1 has no 'id'",
        "an id that no other shot has, such as opening",
        key="id",
    ),
    "prompt is a number": on_two(
        "prompt: 1984",
        "'prompt' must be text, but 1984 is read as a number: put it in quotes",
        "text",
        "prompt",
    ),
    "prompt is a mapping": on_two(
        "prompt: {a: b}",
        "'prompt' must be text, not keys with values: put it in quotes",
        "text",
        "prompt",
    ),
    "prompt is blank": on_two("prompt: '  '", "'prompt' is empty", "text", "prompt"),
    "prompt is null": on_two("prompt:", "'prompt' is empty", "what happens in the shot, in words", "prompt"),
    "prompt missing": Mistake(
        "shots:\n  - {id: one, prompt: x}\n  - id: two\n",
        3,
        "there is no 'prompt'",
        "what happens in the shot, in words",
        "two",
        "prompt",
    ),
    "duration with a unit": on_two("duration: 5s", "'duration' must be a number of seconds", SECONDS, "duration"),
    "duration in quotes": on_two("duration: '5'", "'duration' must be a number of seconds", SECONDS, "duration"),
    "duration is true": on_two("duration: true", "'duration' must be a number of seconds", SECONDS, "duration"),
    "duration of zero": on_two("duration: 0", "'duration' cannot be 0", SECONDS, "duration"),
    "duration without end": on_two("duration: 1e999", "'duration' must be a number of seconds", SECONDS, "duration"),
    "boundary of another kind": on_two(
        "boundary: fade", "'boundary' cannot be 'fade'", "cut, match, continue", "boundary"
    ),
    "takes too many": on_two("takes: 5", "'takes' cannot be 5", "a whole number from 1 to 4", "takes"),
    "takes by halves": on_two("takes: 1.5", "'takes' must be a whole number", "a whole number from 1 to 4", "takes"),
    "output format": on_two("output_format: avi", "'output_format' cannot be 'avi'", "MP4, WEBM, MOV", "output_format"),
    "output quality": on_two(
        "output_quality: high", "'output_quality' must be a whole number", "a whole number", "output_quality"
    ),
    "transition of another kind": on_two(
        "transition: wipe-left",
        "'transition' cannot be 'wipe-left' (did you mean 'wipeleft'?)",
        TRANSITIONS,
        "transition",
    ),
    "transition of ffmpeg's that takes an expression": on_two(
        "transition: {kind: custom}", "'transition.kind' cannot be 'custom'", TRANSITIONS, "transition.kind"
    ),
    "transition is a number": on_two(
        "transition: 0.5",
        "'transition' must be a transition",
        "cut, dissolve, fade, wipeleft or another name of xfade's, or {kind: dissolve, duration: SECONDS}",
        "transition",
    ),
    "transition of no length": on_two(
        "transition: {kind: fade, duration: 0}", "'transition.duration' cannot be 0", SECONDS, "transition.duration"
    ),
    "a cut that takes time": on_two(
        "transition: {kind: cut, duration: 1}",
        "'transition' gives a cut a duration",
        "'cut' alone, or another kind with a duration",
        "transition",
    ),
    "fit of another kind": on_two("fit: stretch", "'fit' cannot be 'stretch'", "fit, fill, blur", "fit"),
    "gain out of reach": on_two("gain_db: 21", "'gain_db' cannot be 21", DECIBELS, "gain_db"),
    "gain with a unit": on_two("gain_db: -6 dB", "'gain_db' must be a number of decibels", DECIBELS, "gain_db"),
    "narration that is not there": on_two(
        "narration: sounds/one.wav",
        "there is no file 'sounds/one.wav'",
        "a path to a file, relative to the current folder",
        "narration",
    ),
    "caption is a number": on_two(
        "caption: 1984", "'caption' must be text, but 1984 is read as a number: put it in quotes", "text", "caption"
    ),
    "ending with an overlap": Mistake(
        "ending: dissolve\n" + ONE, 1, "'ending' cannot be 'dissolve'", "cut, fade", key="ending"
    ),
    "ending of another kind": Mistake(
        "ending: {kind: wipeleft}\n" + ONE, 1, "'ending.kind' cannot be 'wipeleft'", "cut, fade", key="ending.kind"
    ),
    "ending with an unknown key": Mistake(
        "ending: {kind: fade, time: 2}\n" + ONE, 1, "unknown key 'time'", "kind, duration", key="ending.time"
    ),
    "ending as a number": Mistake(
        "ending: 2\n" + ONE,
        1,
        "'ending' must say how the film ends",
        "cut, fade, or {kind: fade, duration: SECONDS}",
        key="ending",
    ),
    "cut at the end, with a length": Mistake(
        "ending: {kind: cut, duration: 2}\n" + ONE,
        1,
        "'ending' gives a cut a duration",
        "'cut' alone, or another kind with a duration",
        key="ending",
    ),
    "loudness as a word": Mistake(
        "loudness: loud\n" + ONE, 1, "'loudness' must be a number of LUFS", LOUDNESS, key="loudness"
    ),
    "loudness of nothing": Mistake("loudness: 0\n" + ONE, 1, "'loudness' cannot be 0", LOUDNESS, key="loudness"),
    "loudness is true": Mistake(
        "loudness: yes\n" + ONE, 1, "'loudness' must be a number of LUFS", LOUDNESS, key="loudness"
    ),
    "music is a list": Mistake(
        "music: [a.mp3]\n" + ONE,
        1,
        "'music' must name a sound file",
        "an asset's name, a path, a URI, or {source: …, gain_db: DECIBELS}",
        key="music",
    ),
    "music that nobody brings in": Mistake(
        "music: theme\n" + ONE,
        1,
        "there is no asset 'theme'",
        "a path (with '/' or a suffix such as .png), or a URI",
        key="music",
    ),
    "music that is not there": Mistake(
        "music:\n  source: theme.mp3\n" + ONE,
        2,
        "there is no file 'theme.mp3'",
        "a path to a file, relative to the current folder",
        key="music.source",
    ),
    "music that fades for ever": Mistake(
        "music: {source: 's3://b/a.mp3', fade_out: 90}\n" + ONE,
        1,
        "'music.fade_out' cannot be 90",
        "a number from 0 to 60, without a unit, such as 2",
        key="music.fade_out",
    ),
    "music that goes up under a voice": Mistake(
        "music: {source: 's3://b/a.mp3', duck_db: -6}\n" + ONE,
        1,
        "'music.duck_db' cannot be -6",
        "a number from 0 to 60, such as 12",
        key="music.duck_db",
    ),
    "ttl": on_two("ttl: 0", "'ttl' cannot be 0", "a whole number from 1", "ttl"),
    "sound in quotes": on_two(
        "keep_original_sound: 'yes'",
        "'keep_original_sound' must be true or false, without quotes",
        "true, false",
        "keep_original_sound",
    ),
    "safety is a word": on_two(
        "safety: fast", "'safety' must be keys with values", "check_content, checkContent, mode", "safety"
    ),
    "size without height": Mistake(
        "size: 720\n" + ONE,
        1,
        "'size' must be WIDTHxHEIGHT in pixels",
        "1280x720, 960x960, 720x1280, …",
        key="size",
    ),
    "fps as a ratio": Mistake(
        "fps: 24000/1001\n" + ONE,
        1,
        "'fps' must be a number of frames a second",
        "a number from 1 to 120, such as 24 or 23.976",
        key="fps",
    ),
    "fps too high": Mistake(
        "fps: 121\n" + ONE,
        1,
        "'fps' cannot be 121",
        "a number from 1 to 120, such as 24 or 23.976",
        key="fps",
    ),
    "retries": Mistake(
        "retries: 11\n" + ONE, 1, "'retries' cannot be 11", "a whole number from 0 to 10", key="retries"
    ),
    "title is a number": Mistake(
        "title: 1984\n" + ONE,
        1,
        "'title' must be text, but 1984 is read as a number: put it in quotes",
        "text",
        key="title",
    ),
    "assets as a list": Mistake(
        "assets: [hero.png]\n" + ONE + "    first_frame: hero\n",
        1,
        "'assets' must be names with paths or URIs",
        "NAME: PATH, one a line",
        key="assets",
    ),
    "tags as a list": Mistake(
        "tags: [acme]\n" + ONE,
        1,
        "'tags' must be names with values",
        "NAME: VALUE, one a line, such as client: acme",
        key="tags",
    ),
    "asset is a number, and used": Mistake(
        "assets:\n  hero: 3\n" + ONE + "    first_frame: hero\n",
        2,
        "'assets.hero' must say where the file is",
        "a path, a URI, or {source: …, source_duration: SECONDS}",
        key="assets.hero",
    ),
    "asset without source": Mistake(
        "assets:\n  hero: {source_duration: 3}\n" + ONE,
        2,
        "'assets.hero.source' is missing",
        key="assets.hero.source",
    ),
    "source_duration": Mistake(
        "assets:\n  hero:\n    source: hero.png\n    source_duration: six\n" + ONE,
        4,
        "'assets.hero.source_duration' must be a number of seconds",
        SECONDS,
        key="assets.hero.source_duration",
    ),
    "a broken default": Mistake(
        "defaults:\n  duration: long\nshots:\n  - {id: a, prompt: x}\n  - {id: b, prompt: x}\n",
        2,
        "'defaults.duration' must be a number of seconds",
        SECONDS,
        key="defaults.duration",
    ),
    "shots missing": Mistake("title: x\n", 1, "the storyboard has no 'shots'", ROOT, key="shots"),
    "shots empty": Mistake(
        "title: x\nshots: []\n", 2, "'shots' is empty: a film needs at least one shot", ROOT, key="shots"
    ),
    "shots is a mapping": Mistake(
        "shots:\n  one: x\n",
        1,
        "'shots' must be a list, each item beginning with '- '",
        ROOT,
        key="shots",
    ),
    "a shot is a word": Mistake(
        "shots:\n  - {id: a, prompt: x}\n  - b\n",
        3,
        "shot 2 must be keys with values",
        "id, prompt and more",
        key="shots[1]",
    ),
    "a list instead of a storyboard": Mistake("- a\n", 1, "a storyboard is keys with values", ROOT),
    "an empty file": Mistake("# nothing\n", 1, "the file is empty", ROOT),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_every_mistake_is_told_once_where_it_is(folder: Path, mistake: Mistake) -> None:
    assert_told_once(mistake, folder)
