"""The denoiser's first idea of a picture: every pixel of a small sketch, computed by networks that the prompt writes.

The world draws a pixel from what it sees of z there, so the sketch is learned pixel by pixel: on few pixels of very
many pictures, which is what teaches composition fastest. As in TPoS, the place is one thing and its weather another:
the place's network prints a picture, then each condition's own small network lays its colours over it.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from tpos_models.pocket.scene import CONDITION, CONDITIONS, PAINTED, PLACE, PLACES, SCENE_SIZE, TINTS, from_tokens
from tpos_models.pocket.world.canvas import CELLS, MAPS, Crop, Lens

SKETCH_PX = 64
FINER = SKETCH_PX // CELLS
SKETCH = 3 * FINER**2
"""Channels of a sketch on the denoiser's cells: its colours, the pixels of a cell beside each other."""

PROMPT = SCENE_SIZE + len(CONDITIONS) + 1
"""What the sketch is told: the scene, its strengths once more as saturating amounts, and how far x_t has left z."""


def told(tokens: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """Tokens (B, 17, 32) and timesteps (B,) to what they say: (B, PROMPT).

    Kept to what prompts spell, as the world keeps it: several whole places share the picture, strengths end at 1.5. A
    rule's `show` beside a prompt can ask for more.
    """
    scenes = from_tokens(tokens)
    place, strengths = scenes[:, PLACE].clamp_min(0.0), scenes[:, CONDITION].clamp(0.0, 1.5)
    place = place / place.sum(1, keepdim=True).clamp_min(1.0)
    left = 1 - t.to(scenes)[:, None] / 999
    return torch.cat([place, strengths, scenes[:, TINTS].clamp(-1.0, 1.0), 1 - torch.exp(-2 * strengths), left], 1)


STEEP = 4.0
"""How steeply a first layer cuts: an outline is one pixel of 64 wide."""
TOGETHER = 6
"""So many conditions are drawn at once, the strongest of a picture."""
TURNS = (1, 2, 3, 6, 9)
AROUND = 4 + 2 * len(TURNS)
SEEN = MAPS + AROUND + 1
"""What a pixel is drawn from: what there is to see of z, where it lies, and 1, which offsets multiply."""


def _around(lens: Lens) -> torch.Tensor:
    """Constant maps (AROUND + 1, 64, 64) for steep outlines: x, y, distance from the middle, angle around it; and 1."""
    x, y = lens.x - 0.5, lens.y - 0.5
    away, angle = (x**2 + y**2).sqrt(), torch.atan2(y, x)
    turns = [wave(turn * angle) for turn in TURNS for wave in (torch.sin, torch.cos)]
    return torch.stack([16 * x, 16 * y, 4 * away - 1, torch.log(away.clamp_min(0.02)) + 1, *turns, torch.ones_like(x)])


def mixed(weights: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Weights (..., rows, columns + 1), the last of them an offset, times x (..., columns, n)."""
    return weights[..., :-1] @ x + weights[..., -1:]


def cut(x: torch.Tensor, rows: int, dim: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A first layer's rows along `dim`: a third become waves, for what repeats; the others outlines."""
    waves, outlines = x.split((rows // 3, rows - rows // 3), dim)
    return torch.sin(waves), torch.tanh(outlines)


def overlaid(masks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Masks (..., inks, n) laid one over the other: what still shows of the paper (..., 1, n), and of each ink."""
    *below, top = masks.split(1, -2)
    through, covers = 1 - top, [top]
    for mask in reversed(below):
        covers.append(mask * through)
        through = through - covers[-1]
    return through, torch.cat(covers[::-1], -2)


class Ground(nn.Module):
    """Maps to the picture of a place, and to what its weather must know of it (where is sky, what lies far).

    Weights of four layers are linear in the place weights: each place has its own way to cut the same noise into
    ridges, shores and trees. The last layer is a printer's: masks and colours, laid one over the other. `backdrops`
    depend on the place alone: what always stands at the same spot.
    """

    def __init__(self, width: int, inks: int, backdrops: int, stage: int) -> None:
        super().__init__()
        words = len(PLACES) + 1
        self.backdrops = nn.Parameter(torch.zeros(words, backdrops, SKETCH_PX, SKETCH_PX))
        self._printed = (3, inks, 3 * inks, stage)
        columns = (SEEN + backdrops, width + 1, width + 1, width + 1)
        self._sizes = tuple(zip((width, width, width, sum(self._printed)), columns, strict=True))
        self.layers = nn.ModuleList(nn.Linear(words, rows * columns) for rows, columns in self._sizes)
        for layer, std in zip(self.layers, (0.2 / STEEP, 0.1, 0.1, 0.04), strict=True):
            for parameter in layer.parameters():
                nn.init.normal_(parameter, std=std)

    def forward(
        self, maps: torch.Tensor, place: torch.Tensor, pixels: tuple[slice, slice]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Maps (B, SEEN, n), place (B, 19) -> colours (B, 3, n), stage (B, stage, n)."""
        backdrops = self.backdrops[:, :, *pixels].flatten(2)
        backdrops = (3 * place @ backdrops.flatten(1)).view(-1, *backdrops.shape[1:])
        first, second, third, last = (
            layer(place).view(-1, *size) for layer, size in zip(self.layers, self._sizes, strict=True)
        )
        first = STEEP * first
        on_maps = torch.cat([first[..., : SEEN - 1], first[..., -1:]], -1)
        x = on_maps @ maps + first[..., SEEN - 1 : -1] @ backdrops
        x = F.silu(mixed(second, torch.cat(cut(x, self._sizes[0][0], 1), 1)))
        x = mixed(last, x + F.silu(mixed(third, x)))
        picture, masks, inks, stage = x.split(self._printed, 1)
        through, covers = overlaid(torch.sigmoid(4 * masks))
        inks = inks.view(-1, self._printed[1], 3, backdrops.shape[2])
        return picture * through + (covers[:, :, None] * inks).sum(1), torch.tanh(stage)


class Weather(nn.Module):
    """Each condition's own way to change a picture: its colours graded, then masks and inks laid over them.

    Weights are linear in (1, strength, saturating strength); at strength 0 a condition does exactly nothing.
    """

    painted: torch.Tensor

    def __init__(self, cuts: int, width: int, inks: int, backdrops: int, stage: int) -> None:
        super().__init__()
        self._sizes = ((cuts, SEEN), (cuts, backdrops), (width, cuts + stage + 1), (inks, width + 1), (inks, 3))
        count, scale = len(CONDITIONS), (0.13 / STEEP, 0.3 / STEEP, 0.2, 0.1, 0.3)
        self.backdrops = nn.Parameter(torch.zeros(count, backdrops, SKETCH_PX, SKETCH_PX))
        self.layers = nn.ParameterList(
            torch.randn(count, 3, rows * columns) * std for (rows, columns), std in zip(self._sizes, scale, strict=True)
        )
        self.grades = nn.Parameter(torch.zeros(count, 2, 3 * 4))
        self.register_buffer("painted", torch.tensor([CONDITIONS.index(name) for name in PAINTED]), persistent=False)

    def forward(
        self,
        maps: torch.Tensor,
        stage: torch.Tensor,
        picture: torch.Tensor,
        strengths: torch.Tensor,
        pixels: tuple[slice, slice],
        most: int,
    ) -> torch.Tensor:
        """Maps (B, SEEN, n), stage, picture (B, 3, n), strengths (B, 14) in 0..1.5 -> the picture with its weather.

        `most`: how many conditions of a picture are drawn, the strongest ones.
        """
        strengths = strengths[:, self.painted]
        strongest = strengths.topk(most, 1).indices
        strongest = strongest.gather(1, strongest.float().topk(most, 1, largest=False).indices)  # as they are painted
        which, strengths = self.painted[strongest], strengths.gather(1, strongest)
        grown = torch.stack([strengths, 1 - torch.exp(-2 * strengths)], -1)[..., None, :]
        words = F.pad(grown, (1, 0), value=1.0)
        first, own, second, third, inks = (
            (words @ layer[which]).view(-1, most, *size) for layer, size in zip(self.layers, self._sizes, strict=True)
        )
        cuts, backdrops = self._sizes[0][0], 3 * STEEP * self.backdrops[:, :, *pixels].flatten(2)
        x = (STEEP * first).view(-1, most * cuts, SEEN) @ maps
        x = x.view(-1, most, cuts, backdrops.shape[2]) + own @ backdrops[which]
        x = torch.cat([*cut(x, cuts, 2), stage[:, None].expand(-1, most, -1, -1)], 2)
        masks = torch.sigmoid(4 * mixed(third, F.silu(mixed(second, x))))
        masks = masks * (1 - torch.exp(-8 * strengths))[..., None, None]
        through, covers = overlaid(masks)
        turns, tones = (grown @ self.grades[which]).view(-1, most, 3, 4).split((3, 1), 3)
        turns = turns + torch.eye(3, device=turns.device, dtype=turns.dtype)
        colours = inks.transpose(-1, -2) @ covers + tones * through
        picture = picture[:, None]
        for turn, left, colour in zip(turns.split(1, 1), through.split(1, 1), colours.split(1, 1), strict=True):
            picture = turn @ picture * left + colour
        return picture[:, 0]


class Sketcher(nn.Module):
    """Maps of z and a prompt to colours, pixel by pixel: the place, its weather over it, a tint over both."""

    around: torch.Tensor
    precise = True
    """Its first layers are steeper than float16 can follow."""

    def __init__(self, width: int, inks: int, backdrops: int) -> None:
        super().__init__()
        self.lens = Lens(SKETCH_PX)
        self.register_buffer("around", _around(self.lens), persistent=False)
        self.ground = Ground(width, inks, backdrops, stage=8)
        self.weather = Weather(cuts=12, width=16, inks=4, backdrops=2, stage=8)
        self.tints = nn.Linear(2 * len(range(SCENE_SIZE)[TINTS]), 3 * 4, bias=False)
        nn.init.zeros_(self.tints.weight)

    def forward(self, x_t: torch.Tensor, prompt: torch.Tensor, crop: Crop | None = None) -> torch.Tensor:
        """x_t (B, 4, 32, 32), prompt (B, PROMPT) -> (B, SKETCH, 32, 32): the pixels of each cell beside each other.

        Values are about -1.5..1.5. With `crop`, only these rows and columns of cells are drawn.
        """
        whole = slice(0, CELLS)
        rows, columns = (slice(FINER * cells.start, FINER * cells.stop) for cells in crop or (whole, whole))
        maps = self.maps(x_t)[:, :, rows, columns]
        colours = self.colours(maps.flatten(2), prompt, (rows, columns))
        down, across = ((part.stop - part.start) // FINER for part in (rows, columns))
        cells = colours.view(-1, 3, down, FINER, across, FINER)  # pixel_unshuffle, in words every exporter knows
        return cells.permute(0, 1, 3, 5, 2, 4).flatten(1, 3)

    def maps(self, x_t: torch.Tensor) -> torch.Tensor:
        """What each pixel is drawn from: (B, 4, 32, 32) to (B, SEEN, 64, 64)."""
        return torch.cat([self.lens.maps(x_t), self.around.expand(x_t.shape[0], -1, -1, -1)], 1)

    def colours(
        self, maps: torch.Tensor, prompt: torch.Tensor, pixels: tuple[slice, slice], most: int = TOGETHER
    ) -> torch.Tensor:
        """Maps (B, SEEN, n) of the n pixels that two slices pick, prompt (B, PROMPT) -> colours (B, 3, n).

        `most`: see `Weather`.
        """
        place, tint = torch.cat([prompt[:, PLACE], prompt[:, -1:]], 1), prompt[:, TINTS]
        picture, stage = self.ground(maps, place, pixels)
        picture = self.weather(maps, stage, picture, prompt[:, CONDITION], pixels, most)
        push = self.tints(torch.cat([tint, tint.abs()], 1)).view(-1, 3, 4)
        return (picture + mixed(push, picture)) * 1.5
