"""NDI: the picture, with its sound, to every program in the network that looks for it (cyndilib, the extra `ndi`)."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from engine.audio import SAMPLE_RATE
from engine.outputs.sound_tap import SoundReader, SoundTap
from engine.render.picture import Size
from tpos_models.errors import RunError

CHUNK = SAMPLE_RATE // 100
"""Samples of sound in a packet; what is less waits for the next picture."""


def missing() -> str:
    """Why there is no NDI here, in a line; "" where there is."""
    try:
        import cyndilib.sender  # noqa: F401
    except ModuleNotFoundError as error:
        return f"{error.name} is not installed; pip install 'tpos-live[ndi]' adds it"
    except ImportError as error:
        return f"NDI's library does not load: {error}"
    return ""


class NdiSink:
    """An NDI source called `called`. See `Sink`; sound goes with the picture that it shaped, unless `tap` is None.

    Pictures are sent as they come: the show sets the pace, and the library compresses them in `send`.
    """

    def __init__(self, called: str, size: Size, rate_hz: float, alpha: bool, tap: SoundTap | None) -> None:
        from cyndilib.audio_frame import AudioSendFrame
        from cyndilib.sender import Sender
        from cyndilib.video_frame import VideoSendFrame
        from cyndilib.wrapper import FourCC

        self._sender = Sender(called, clock_video=False, clock_audio=False)
        video = VideoSendFrame()
        video.set_resolution(*size)
        video.set_frame_rate(Fraction(rate_hz).limit_denominator(1001))
        video.set_fourcc(FourCC.RGBA if alpha else FourCC.RGBX)
        self._sender.set_video_frame(video)
        self._sound = SoundReader(tap, SAMPLE_RATE) if tap else None
        if self._sound is not None:
            audio = AudioSendFrame(CHUNK)
            audio.sample_rate, audio.num_channels = SAMPLE_RATE, 2
            self._sender.set_audio_frame(audio)
        self._sender.open()

    def watchers(self) -> int:
        """How many programs are connected."""
        return int(self._sender.get_num_connections(0.0))

    def send(self, pixels: np.ndarray, time_s: float) -> None:
        """As `Sink.send`; the sound first, as it is older."""
        if self._sound is not None:
            new = self._sound.until(time_s, CHUNK)
            for start in range(0, len(new), CHUNK):
                self._sender.write_audio(_stereo(new[start : start + CHUNK]))
        if not self._sender.write_video(pixels.reshape(-1)):
            raise RunError("the sender is closed")

    def close(self) -> None:
        """Be found no more."""
        self._sender.close()


def _stereo(samples: np.ndarray) -> np.ndarray:
    """(n, 1 or 2) as (2, n), as the library takes it."""
    return np.ascontiguousarray(np.broadcast_to(samples.T, (2, len(samples))))
