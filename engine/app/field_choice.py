"""Who draws the field in a live show: a fragment shader as finely as the screen, or a painter on the CPU."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from engine.app.options import FieldChoice, LookOptions
from engine.outputs.screens import Screen, open_headless
from engine.render.picture import Size
from tpos_models.errors import InputError, RunError
from tpos_models.pocket.field import load_field
from tpos_models.pocket.field_texels import FieldPacker
from tpos_models.pocket.networks import WEIGHTS
from tpos_models.pocket.noise_features import cells_across
from tpos_models.registry import FIELD_PX, POCKET

SHARE = 0.5
"""Of the time from one redraw to the next, what the field may take."""
NUMBERS_HZ = 60.0
"""How often a field's numbers are made anew, which takes no time: between two the screen draws what is between them."""
PROJECTOR_PX, PROJECTOR_HZ = (1920, 1080), 60.0


class Drawn(NamedTuple):
    """Who draws the field, SHADER or CPU; the look with the size that its pictures then have; the line that says it."""

    by: FieldChoice
    look: LookOptions
    words: str = ""


def open_field(choice: FieldChoice, look: LookOptions, screen: Screen, video_in: bool = False) -> Drawn:
    """Have the screen draw the field where that was asked for, or is done in time.

    Raises `InputError` where the shader is asked for and the model has no field.
    """
    has_field = look.name == POCKET and not (look.is_reference or look.init_image or video_in)
    if choice is FieldChoice.SHADER and not has_field:
        raise InputError("--field shader: pocket has a field, in few steps from no picture; auto would be accepted")
    if choice is FieldChoice.CPU or not has_field:
        return Drawn(FieldChoice.CPU, look)
    size = look.size_px or FIELD_PX
    drawn, words = drawn_by(choice, size, screen, screen.rate_hz)
    if not drawn:
        return Drawn(FieldChoice.CPU, look, f"field: {words}")
    return Drawn(FieldChoice.SHADER, replace(look, model_size=f"{size[0]}x{size[1]}"), f"field: {words}")


def drawn_by(choice: FieldChoice, size: Size, screen: Screen, rate_hz: float) -> tuple[bool, str]:
    """Whether the screen draws a field of this size, `rate_hz` times a second, and the line that says it."""
    packer, asked = FieldPacker(load_field(WEIGHTS), cells_across(*size)), choice is FieldChoice.SHADER
    try:
        timing = screen.draw_field(packer, SHARE / rate_hz, asked)
    except RunError as error:
        return False, f"painted on the CPU; {error}"
    if asked or timing.coarser == 1:
        return True, f"drawn by the shader, as finely as the screen; {timing}"
    if timing.coarser == 2:
        return True, f"drawn by the shader, in half of the screen's pixels a side; {timing} is too slow"
    return False, f"painted on the CPU; the shader is too slow, {timing}"


def examine() -> str:
    """What a show fullscreen on a projector would take here."""
    with open_headless(PROJECTOR_PX) as screen:
        return drawn_by(FieldChoice.AUTO, FIELD_PX, screen, PROJECTOR_HZ)[1]
