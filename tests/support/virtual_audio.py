"""A real sound system without a sound card: PulseAudio with a null sink, heard through ALSA and PortAudio."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from real_parts import missing

RATE = 44_100
QUAD = "front-left,front-right,rear-left,rear-right"
_ALSA = """</usr/share/alsa/alsa.conf>
pcm.!default { type pulse }
ctl.!default { type pulse }
"""


class VirtualMixer:
    """A PulseAudio server of our own; what is played into its sink "mixer" is heard on the input "default".

    The sink holds 50 ms (`norewinds`), as a sound card may; by itself it would hold 2 s, in which PortAudio spins.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._socket = folder / "native"
        self._server: subprocess.Popen[bytes] | None = None
        (folder / "asound.conf").write_text(_ALSA)
        (folder / "client.conf").write_text("autospawn = no\n")
        self.env = {
            "XDG_RUNTIME_DIR": str(folder),
            "PULSE_SERVER": f"unix:{self._socket}",
            "PULSE_CLIENTCONFIG": str(folder / "client.conf"),
            "PULSE_COOKIE": str(folder / "cookie"),
            "PULSE_SOURCE": "mixer.monitor",
            "PULSE_SINK": "mixer",
            "ALSA_CONFIG_PATH": str(folder / "asound.conf"),
        }

    def start(self) -> None:
        """Start the server and wait until it answers."""
        self._server = subprocess.Popen(
            [
                *(
                    "pulseaudio",
                    "-n",
                    "--daemonize=no",
                    "--exit-idle-time=-1",
                    "--use-pid-file=no",
                    "--disable-shm=yes",
                ),
                f"--load=module-native-protocol-unix auth-anonymous=1 socket={self._socket}",
                "--load=module-null-sink sink_name=mixer rate=44100 norewinds=1",
            ],
            env={**os.environ, **self.env, "HOME": str(self.folder)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline_s = time.monotonic() + 20
        while subprocess.run(["pactl", "info"], env={**os.environ, **self.env}, capture_output=True).returncode:
            assert time.monotonic() < deadline_s, "PulseAudio did not come up"
            time.sleep(0.05)

    def stop(self) -> None:
        """Kill the server, as a pulled plug would."""
        if self._server is not None:
            self._server.kill()
            self._server.wait()
            self._server = None
        self._socket.unlink(missing_ok=True)

    def slow_sink(self) -> AbstractContextManager[None]:
        """Another sink in its place, that holds two seconds."""
        return self._another_sink("slow")

    def desk(self) -> AbstractContextManager[None]:
        """Another sink in its place, with four channels."""
        return self._another_sink("desk", "channels=4", f"channel_map={QUAD}", "norewinds=1")

    @contextmanager
    def _another_sink(self, name: str, *options: str) -> Iterator[None]:
        environment = {**os.environ, **self.env}
        load = ["pactl", "load-module", "module-null-sink", f"sink_name={name}", f"rate={RATE}", *options]
        module = subprocess.run(load, env=environment, capture_output=True, text=True, check=True).stdout.strip()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PULSE_SINK", name)
            patch.setenv("PULSE_SOURCE", f"{name}.monitor")
            yield
        subprocess.run(["pactl", "unload-module", module], env=environment, check=True)

    def play(self, samples: np.ndarray, rate: int = RATE, latency_ms: int = 200) -> subprocess.Popen[bytes]:
        """Play into the mixer, four channels into the desk; returns at once, `.wait()` for the end."""
        with tempfile.NamedTemporaryFile(suffix=".wav", dir=self.folder, delete=False) as wave:
            sf.write(wave, samples, rate)
        where = ["--device=desk", f"--channel-map={QUAD}"] if samples.shape[1:] == (4,) else ["--device=mixer"]
        return subprocess.Popen(
            ["paplay", *where, f"--latency-msec={latency_ms}", wave.name], env={**os.environ, **self.env}
        )


@pytest.fixture(scope="session")
def virtual_mixer() -> Iterator[VirtualMixer]:
    """The server, and this process's environment pointing at it; PortAudio has looked again."""
    if lacking := _lacking():
        missing(f"no virtual sound card: {lacking}")
    from engine.audio.portaudio import refresh

    with tempfile.TemporaryDirectory(prefix="tpos-pulse-") as folder, pytest.MonkeyPatch.context() as patch:
        mixer = VirtualMixer(Path(folder))
        for name, value in mixer.env.items():
            patch.setenv(name, value)
        try:
            mixer.start()
            refresh()
            yield mixer
        finally:
            mixer.stop()
    refresh()


def _lacking() -> str:
    """Which system part is not installed, "" if none."""
    programs = [name for name in ("pulseaudio", "pactl", "paplay") if shutil.which(name) is None]
    if programs:
        return f"{', '.join(programs)} not installed (packages pulseaudio, pulseaudio-utils)"
    if not list(Path("/usr/lib").glob("**/alsa-lib/libasound_module_pcm_pulse.so")):
        return "ALSA's pulse plugin not installed (package libasound2-plugins)"
    try:
        import sounddevice  # noqa: F401
    except OSError:
        return "PortAudio not installed (package libportaudio2)"
    return ""
