"""The field's shader, timed: at a projector's size where a GPU draws OpenGL, in few pixels where a CPU does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.outputs.screens import open_headless
from engine.render.picture import FieldTiming
from tpos_models.errors import RunError
from tpos_models.pocket.field import load_field
from tpos_models.pocket.field_texels import FieldPacker
from tpos_models.pocket.networks import WEIGHTS
from tpos_models.pocket.noise_features import cells_across

PROJECTOR_PX, FEW_PX = (1920, 1080), (192, 108)
REDRAW_S = 1 / 60


@dataclass(frozen=True)
class ShaderTime:
    """What a picture takes, what a pixel does, and what PROJECTOR_PX at 60 a second ask for."""

    timing: FieldTiming
    multiply_adds: int

    @property
    def tflops(self) -> float:
        """Two operations a multiply-add."""
        width, height = PROJECTOR_PX
        return 2e-12 * self.multiply_adds * width * height / REDRAW_S

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        size = "x".join(map(str, self.timing.size))
        return {
            "size": size,
            "ms": 1000 * self.timing.seconds,
            "multiply_adds": self.multiply_adds,
            "tflops": self.tflops,
        }

    def line(self) -> str:
        """For people."""
        width, height = PROJECTOR_PX
        asks = f"{self.tflops:.2f} TFLOP/s at {width}x{height} and {1 / REDRAW_S:.0f}/s"
        return f"  field's shader: {self.timing}; {self.multiply_adds} multiply-adds a pixel, {asks}"


def measure_shader() -> ShaderTime:
    """Raises `RunError` where there is no OpenGL that can."""
    packer = FieldPacker(load_field(WEIGHTS), cells_across(*PROJECTOR_PX))
    try:
        with open_headless(PROJECTOR_PX) as screen:
            timing = screen.draw_field(packer, REDRAW_S)
    except RunError:
        with open_headless(FEW_PX) as screen:
            timing = screen.draw_field(packer, REDRAW_S, at_any_price=True)
    return ShaderTime(timing, packer.layout.multiply_adds())
