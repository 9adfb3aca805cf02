"""The words on a placeholder clip: what was asked, how, and which frame this is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tasks.emulator.picture import Frame, planes

__all__ = ["Label", "wrap"]

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
_BOX_COVER = 0.66
_BOX_LUMA, _TEXT_LUMA = 16, 235
_FADE_S = 0.25


def wrap(text: str, font: Font, width: int) -> list[str]:
    """Break text into lines of at most `width` pixels, at spaces where there are any."""
    lines: list[str] = []
    for paragraph in text.splitlines() or [""]:
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}" if line else word
            if font.getlength(longer) <= width:
                line = longer
                continue
            if line:
                lines.append(line)
            line = word
            while font.getlength(line) > width and len(line) > 1:
                # A word without spaces (a URL, Japanese) is cut where it must be.
                keep = max(1, int(len(line) * width / font.getlength(line)) - 1)
                lines.append(line[:keep])
                line = line[keep:]
        lines.append(line)
    return lines


class Label:
    """A translucent box at the foot of the frame.

    It fades in after the first frame and out before the last, so that both stay as they are: the last frame
    of one clip is often the first of the next.

    Args:
        title: One line: mode, model, seed.
        prompt: Any text; what does not fit even in the smallest size is cut.
        size: (width, height) of the frames in pixels.
        frame_count: Frames of the clip.
        fade_frames: Frames that fading takes.
    """

    def __init__(self, title: str, prompt: str, size: tuple[int, int], frame_count: int, fade_frames: int) -> None:
        self._size = width, height = size
        self._frame_count = frame_count
        self._fade_frames = max(1, min(fade_frames, frame_count // 3))
        margin = max(2, width // 40 // 2 * 2)
        inner = width - 4 * margin
        title_px = max(8, min(width, height) // 34)
        prompt_px, lines = self._fit_prompt(prompt, inner, title_px, int(height * 0.3))
        # A narrow frame takes a smaller title rather than half a seed.
        whole = f"{title}   {frame_count}/{frame_count}"
        while title_px > 8 and ImageFont.load_default(title_px).getlength(whole) > inner:
            title_px -= 1
        self._title_font = ImageFont.load_default(title_px)
        prompt_font = ImageFont.load_default(prompt_px)
        line_px = round(prompt_px * 1.3)
        title_height = round(title_px * 1.7)
        box_width = (width - 2 * margin) // 2 * 2
        box_height = min(height, (title_height + line_px * len(lines) + 2 * margin) // 2 * 2)
        self._left, self._top = margin, max(0, (height - box_height - margin) // 2 * 2)
        text = Image.new("L", (box_width, box_height))
        draw = ImageDraw.Draw(text)
        counter_px = int(self._title_font.getlength(f" {frame_count}/{frame_count}")) + 4
        draw.text((margin, margin), self._clip(title, inner - counter_px), fill=255, font=self._title_font)
        for index, line in enumerate(lines):
            draw.text((margin, margin + title_height + index * line_px), line, fill=255, font=prompt_font)
        self._counter_box = (box_width - margin - counter_px, margin, counter_px, title_height)
        self._keep, self._add = self._coefficients(np.asarray(text))

    @staticmethod
    def _fit_prompt(prompt: str, width: int, largest_px: int, room_px: int) -> tuple[int, list[str]]:
        smallest_px = max(8, largest_px * 2 // 3)
        for size_px in range(round(largest_px * 1.2), smallest_px - 1, -2):
            lines = wrap(prompt, ImageFont.load_default(size_px), width)
            if len(lines) * size_px * 1.3 <= room_px:
                return size_px, lines
        lines = wrap(prompt, ImageFont.load_default(smallest_px), width)
        most = max(1, int(room_px / (smallest_px * 1.3)))
        if len(lines) > most:
            lines = [*lines[: most - 1], f"{lines[most - 1][:-4]} ..."]
        return smallest_px, lines

    def _clip(self, text: str, width: int) -> str:
        while len(text) > 1 and self._title_font.getlength(text) > width:
            text = text[:-1]
        return text

    @staticmethod
    def _coefficients(text: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """How much of the ground to keep (0 to 1) and what luma to add, for `text` (0 to 255) on the box."""
        cover = text.astype(np.float32) / np.float32(255)
        keep = (1 - cover) * np.float32(1 - _BOX_COVER)
        add = (1 - cover) * np.float32(_BOX_COVER * _BOX_LUMA) + cover * np.float32(_TEXT_LUMA)
        return keep.astype(np.float32), add.astype(np.float32)

    def strength(self, index: int) -> float:
        """How visible the label is on frame `index`: 0 on the first and the last."""
        edge = min(index, self._frame_count - 1 - index)
        return min(1.0, max(0.0, edge / self._fade_frames))

    def draw(self, frame: Frame, index: int) -> Frame:
        """`frame` with the label of 0-based `index`: a copy, or itself where the label is invisible."""
        strength = self.strength(index)
        if strength == 0:
            return frame
        drawn = frame.copy()
        luma, *chroma = planes(drawn, *self._size)
        x, y, width, height = self._counter_box
        counter = Image.new("L", (width, height))
        text = f"{index + 1}/{self._frame_count}"
        ImageDraw.Draw(counter).text((width, 0), text, fill=255, font=self._title_font, anchor="ra")
        written = np.s_[y : y + height, x : x + width]
        self._keep[written], self._add[written] = self._coefficients(np.asarray(counter))
        box_height, box_width = self._keep.shape
        box = luma[self._top : self._top + box_height, self._left : self._left + box_width]
        box[:] = _apply(box, self._keep, self._add, strength)
        top, left = self._top // 2, self._left // 2
        cover = 256 * _BOX_COVER * strength
        for plane in chroma:
            part = plane[top : top + box_height // 2, left : left + box_width // 2]
            mixed = np.multiply(part, np.uint16(256 - cover), dtype=np.uint16)
            part[:] = (mixed + np.uint16(128 * int(cover) + 128)) >> np.uint16(8)
        return drawn


def _apply(
    ground: NDArray[np.uint8], keep: NDArray[np.float32], add: NDArray[np.float32], strength: float
) -> NDArray[np.uint8]:
    kept = keep if strength == 1 else 1 - strength * (1 - keep)
    mixed = np.multiply(ground, kept, dtype=np.float32)
    mixed += add if strength == 1 else strength * add
    return mixed.astype(np.uint8)
