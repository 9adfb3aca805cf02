"""Which deliverables a run is to make; what cannot be made is told before anything is paid."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.deliver.codecs import encoders_of
from tasks.deliver.preset_file import read_presets
from tasks.deliver.presets import Preset
from tasks.errors import SettingsError
from tasks.media.ffmpeg import encoders
from tasks.settings import Finish, Signing
from tasks.storyboard.check import nearest

__all__ = ["check_signable", "chosen_presets"]


def chosen_presets(finish: Finish) -> Sequence[Preset]:
    """The presets of the deliverables that are asked for, each once, in the order in which they are named. Blocks.

    A run asks once, before anything is paid, and keeps what it is told: the file of presets may change meanwhile.

    Raises:
        SettingsError: There is no preset of such a name, the file of presets has a mistake or cannot be read, or the
            ffmpeg at hand lacks what a preset is encoded with.
    """
    if not finish.deliver:
        return ()
    known = read_presets(finish.deliverables)
    found = []
    for name in dict.fromkeys(finish.deliver):
        preset = known.get(name)
        if preset is None:
            meant = nearest(name, known)
            hint = f" (did you mean '{meant}'?)" if meant else ""
            raise SettingsError(f"there is no deliverable '{name}'{hint}", advice=f"Accepted: {', '.join(known)}.")
        if lacking := [encoder for encoder in encoders_of(preset) if encoder not in encoders()]:
            raise SettingsError(
                f"'{name}' cannot be delivered: this machine's ffmpeg was built without {', '.join(lacking)}",
                advice="Leave it out, or install the ffmpeg that comes with imageio-ffmpeg.",
            )
        found.append(preset)
    return tuple(found)


def check_signable(presets: Sequence[Preset], signing: Signing) -> None:
    """See, before anything is paid, whether all deliverables can be signed where they have to be. Pure.

    Raises:
        SettingsError: One cannot.
    """
    unsigned = [preset.name for preset in presets if not preset.container.is_signable]
    if unsigned and signing.sign == "required":
        raise SettingsError(
            f"'{unsigned[0]}' cannot be signed: a .webm can hold no content credentials",
            advice="Leave it out, or use --sign auto.",
        )
