"""The hypernetwork that sketches: the prompt becomes the weights of small per-pixel networks, and these draw.

Hypernetworks: Ha et al., ICLR 2017. A sketch is the denoiser's first idea of a picture. The world draws a pixel from
what it sees of z there, so the sketch is learned pixel by pixel: on few pixels of very many pictures, which is what
teaches composition fastest. As in TPoS, the place is one thing and its weather another: the place's network draws a
picture, then each condition's own small network composites its colours over it. Where an attribute is called otherwise
than what it holds, its name is a key of the weights on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from tpos_models.pocket.noise_features import CELLS, MAPS, Crop, NoiseFeatures, Plane
from tpos_models.pocket.scene import CONDITION, CONDITIONS, PAINTED, PLACE, PLACES, SCENE_SIZE, TINTS, from_tokens

SKETCH_PX = 64
PIXELS_PER_CELL = SKETCH_PX // CELLS
SKETCH_CHANNELS = 3 * PIXELS_PER_CELL**2
"""Channels of a sketch on the denoiser's cells: its colours, the pixels of a cell beside each other."""

PROMPT_SIZE = SCENE_SIZE + len(CONDITIONS) + 1
"""Prompt features: the scene, its strengths once more as saturating amounts, and how far x_t has left z."""


def prompt_features(tokens: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """Tokens (B, 17, 32) and timesteps (B,) to prompt features (B, PROMPT_SIZE).

    Kept to what prompts spell, as the world keeps it: several whole places share the picture, strengths end at 1.5. A
    rule's `show` beside a prompt can ask for more.
    """
    scenes = from_tokens(tokens)
    place, strengths = scenes[:, PLACE].clamp_min(0.0), scenes[:, CONDITION].clamp(0.0, 1.5)
    place = place / place.sum(1, keepdim=True).clamp_min(1.0)
    left = 1 - t.to(scenes)[:, None] / 999
    return torch.cat([place, strengths, scenes[:, TINTS].clamp(-1.0, 1.0), 1 - torch.exp(-2 * strengths), left], 1)


ANGULAR_FREQUENCIES = (1, 2, 3, 6, 9)
POLAR = 4 + 2 * len(ANGULAR_FREQUENCIES)
INPUTS = MAPS + POLAR + 1
"""What a pixel is drawn from: the noise features, where it lies, and 1, which offsets multiply."""
Sampled = Callable[[torch.Tensor], torch.Tensor]
"""Maps on a fixed grid (..., rows, columns) to what the drawn pixels see of them (..., n)."""


@dataclass(frozen=True)
class Shape:
    """Sizes of a hypernetwork; its first layers' weights are stored divided by `gain`, as outlines are steep.

    A pixel is drawn from `inputs` numbers, the last of them 1, and from bias maps on a `grid` (rows, columns).
    """

    hidden_width: int
    alpha_layers: int
    bias_maps: int
    grid: tuple[int, int] = (SKETCH_PX, SKETCH_PX)
    inputs: int = INPUTS
    gain: float = 4.0
    """4: an outline may be one pixel of 64 wide."""
    condition: tuple[int, int, int] = (12, 16, 4)
    """A condition's first and second width, and its layers of colour."""
    place_code: int = 0
    """With so many numbers each place has a say in its conditions: where they are drawn, and in which colours."""


GEOMETRY = 8
"""What a place tells its conditions of each pixel: where is sky, what lies far."""
MOST_CONDITIONS = 6
"""So many conditions are drawn at once, the strongest of a picture."""


def polar(features: NoiseFeatures) -> torch.Tensor:
    """Constant maps (POLAR + 1, rows, columns) for steep outlines: x, y, distance and angle; and 1."""
    x, y = features.x - 0.5, features.y - 0.5
    radius, angle = (x**2 + y**2).sqrt(), torch.atan2(y, x)
    waves = [wave(k * angle) for k in ANGULAR_FREQUENCIES for wave in (torch.sin, torch.cos)]
    return torch.stack(
        [16 * x, 16 * y, 4 * radius - 1, torch.log(radius.clamp_min(0.02)) + 1, *waves, torch.ones_like(x)]
    )


def affine(weights: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Weights (..., rows, columns + 1), the last of them an offset, times x (..., columns, n)."""
    return weights[..., :-1] @ x + weights[..., -1:]


def sin_tanh(x: torch.Tensor, rows: int, dim: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A first layer's activation along `dim`: sine of a third of its rows, for what repeats; tanh of the others, for
    outlines."""
    waves, outlines = x.split((rows // 3, rows - rows // 3), dim)
    return torch.sin(waves), torch.tanh(outlines)


def alpha_composite(alphas: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Alphas (..., layers, n), each layer over the ones before: the share of the background (..., 1, n), of each layer.

    The over operator (Porter & Duff, SIGGRAPH 1984).
    """
    *below, top = alphas.split(1, -2)
    background, shares = 1 - top, [top]
    for alpha in reversed(below):
        shares.append(alpha * background)
        background = background - shares[-1]
    return background, torch.cat(shares[::-1], -2)


class PlaceNetwork(nn.Module):
    """Maps to the picture of a place, and to the geometry its conditions are drawn by (where is sky, what lies far).

    Weights of four layers are linear in the place weights: each place has its own way to cut the same noise into
    ridges, shores and trees. The last layer gives alphas and colours, composited one over the other. `backdrops` are
    bias maps that depend on the place alone: what always stands at the same spot.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        prompt_size, width = len(PLACES) + 1, shape.hidden_width
        self.backdrops = nn.Parameter(torch.zeros(prompt_size, shape.bias_maps, *shape.grid))
        self._shape = shape
        self._outputs = (3, shape.alpha_layers, 3 * shape.alpha_layers, GEOMETRY)
        columns = (shape.inputs + shape.bias_maps, width + 1, width + 1, width + 1)
        self._sizes = tuple(zip((width,) * 3 + (sum(self._outputs),), columns, strict=True))
        self.layers = nn.ModuleList(nn.Linear(prompt_size, rows * columns) for rows, columns in self._sizes)
        for layer, std in zip(self.layers, (0.2 / shape.gain, 0.1, 0.1, 0.04), strict=True):
            for parameter in layer.parameters():
                nn.init.normal_(parameter, std=std)

    def weights(self, place: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Place (B, 1 + places) to the first layer's weights (B, rows, inputs) and on bias maps, and three others'."""
        first, *others = (layer(place).view(-1, *size) for layer, size in zip(self.layers, self._sizes, strict=True))
        first, seen = self._shape.gain * first, self._shape.inputs - 1
        return torch.cat([first[..., :seen], first[..., -1:]], -1), first[..., seen:-1], *others

    def bias_maps(self, place: torch.Tensor, sampled: Sampled) -> torch.Tensor:
        """Its bias maps (B, bias_maps, n)."""
        maps = sampled(self.backdrops)
        return (3 * place @ maps.flatten(1)).view(-1, *maps.shape[1:])

    def forward(self, x: torch.Tensor, layers: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """The first layer's sums (B, hidden_width, n), the others' weights -> colours (B, 3, n), geometry (B, 8, n)."""
        second, third, last = layers
        x = F.silu(affine(second, torch.cat(sin_tanh(x, self._sizes[0][0], 1), 1)))
        x = affine(last, x + F.silu(affine(third, x)))
        picture, alphas, colours, geometry = x.split(self._outputs, 1)
        background, shares = alpha_composite(torch.sigmoid(4 * alphas))
        colours = colours.view(-1, self._outputs[1], 3, x.shape[2])
        return picture * background + (shares[:, :, None] * colours).sum(1), torch.tanh(geometry)


class ConditionNetworks(nn.Module):
    """Each condition's own way to change a picture: its colours graded, then layers of colour composited over them.

    Weights are linear in (1, strength, saturating strength); at strength 0 a condition does exactly nothing. Where
    places have a say, the offsets of its layers, its colours and its grade are linear in the place too.
    """

    painted: torch.Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        first_width, hidden_width, alpha_layers = shape.condition
        bias_maps, self._gain = 2, shape.gain
        self.sizes = (
            (first_width, shape.inputs),
            (first_width, bias_maps),
            (hidden_width, first_width + GEOMETRY + 1),
            (alpha_layers, hidden_width + 1),
            (alpha_layers, 3),
        )
        count, scale = len(CONDITIONS), (0.13 / shape.gain, 0.3 / shape.gain, 0.2, 0.1, 0.3)
        self.backdrops = nn.Parameter(torch.zeros(count, bias_maps, *shape.grid))
        self.layers = nn.ParameterList(
            torch.randn(count, 3, rows * columns) * std for (rows, columns), std in zip(self.sizes, scale, strict=True)
        )
        self.grades = nn.Parameter(torch.zeros(count, 2, 3 * 4))
        self._own = (first_width, hidden_width, alpha_layers, 3 * alpha_layers, 3 * 4)
        if shape.place_code:
            self.places = nn.Parameter(torch.randn(len(PLACES), shape.place_code))
            self.own = nn.Parameter(torch.zeros(count, shape.place_code, sum(self._own)))
        self._by_place = shape.place_code > 0
        self.register_buffer("painted", torch.tensor([CONDITIONS.index(name) for name in PAINTED]), persistent=False)

    def strongest(self, strengths: torch.Tensor, most: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Of strengths (B, 14) the `most` strongest, as they are painted: which (B, most), and how strong."""
        strengths = strengths[:, self.painted]
        rows = strengths.topk(most, 1).indices
        rows = rows.gather(1, rows.float().topk(most, 1, largest=False).indices)
        return self.painted[rows], strengths.gather(1, rows)

    def weights(self, which: torch.Tensor, strengths: torch.Tensor, place: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Of the conditions `which` in a place (B, places): the first layers' weights (B, most, rows, inputs) and on
        bias maps, and what is left of each."""
        amounts = torch.stack([strengths, 1 - torch.exp(-2 * strengths)], -1)[..., None, :]
        codes = F.pad(amounts, (1, 0), value=1.0)
        first, own, *layers = (
            (codes @ layer[which]).view(*which.shape, *size)
            for layer, size in zip(self.layers, self.sizes, strict=True)
        )
        opacity = (1 - torch.exp(-8 * strengths))[..., None, None]
        grades = amounts @ self.grades[which]
        if self._by_place:
            code = (place @ self.places)[:, None, None]
            own_first, *offsets, colours, own_grades = (code @ self.own[which]).split(self._own, 3)
            first, *layers[:2] = (
                one + F.pad(offset.transpose(-1, -2), (one.shape[-1] - 1, 0))
                for one, offset in zip((first, *layers[:2]), (own_first, *offsets), strict=True)
            )
            layers[2] = layers[2] + colours.view_as(layers[2])
            grades = grades + amounts[..., 1:] * own_grades
        grades = grades.view(*which.shape, 3, 4)
        grades = grades + torch.eye(3, 4, device=grades.device, dtype=grades.dtype)
        return self._gain * first, own, *layers, opacity, grades

    def bias_maps(self, which: torch.Tensor, sampled: Sampled) -> torch.Tensor:
        """Their bias maps (B, most, 2, n)."""
        return 3 * self._gain * sampled(self.backdrops)[which]

    def forward(
        self, x: torch.Tensor, geometry: torch.Tensor, picture: torch.Tensor, layers: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """The first layers' sums (B, most, rows, n), geometry, picture (B, 3, n), the other weights -> the picture."""
        second, third, layer_colours, opacity, grades = layers
        x = torch.cat([*sin_tanh(x, x.shape[2], 2), geometry[:, None].expand(-1, x.shape[1], -1, -1)], 2)
        background, shares = alpha_composite(torch.sigmoid(4 * affine(third, F.silu(affine(second, x)))) * opacity)
        matrices, offsets = grades.split((3, 1), 3)
        colours = layer_colours.transpose(-1, -2) @ shares + offsets * background
        picture = picture[:, None]
        for matrix, left, colour in zip(matrices.split(1, 1), background.split(1, 1), colours.split(1, 1), strict=True):
            picture = matrix @ picture * left + colour
        return picture[:, 0]


class Weights(NamedTuple):
    """What a prompt writes: the networks that draw its picture, of a batch (B, ...).

    `first` (B, rows, inputs) and `on_bias` (B, rows, maps) are all first layers one below the other, the place's
    and then each condition's; `layers` are the others': three of the place, five of the conditions, and the tint's.
    """

    place: torch.Tensor
    which: torch.Tensor
    first: torch.Tensor
    on_bias: torch.Tensor
    layers: tuple[torch.Tensor, ...]


class Hypernetwork(nn.Module):
    """Prompt features to what draws each pixel: the place, its conditions over it, a tint over both.

    What draws is called as the weights on disk know it.
    """

    precise = True
    """Its first layers are steeper than float16 can follow."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self._rows = shape.hidden_width
        self.ground = PlaceNetwork(shape)
        self.weather = ConditionNetworks(shape)
        self.tints = nn.Linear(2 * len(range(SCENE_SIZE)[TINTS]), 3 * 4, bias=False)
        nn.init.zeros_(self.tints.weight)

    def weights(self, prompt: torch.Tensor, most: int = MOST_CONDITIONS) -> Weights:
        """Prompt features (B, PROMPT_SIZE) to the networks that draw the place and its `most` strongest conditions."""
        place, tint = torch.cat([prompt[:, PLACE], prompt[:, -1:]], 1), prompt[:, TINTS]
        which, strengths = self.weather.strongest(prompt[:, CONDITION], most)
        first, on_bias, *ground = self.ground.weights(place)
        own_first, own, *weather = self.weather.weights(which, strengths, prompt[:, PLACE])
        each = torch.eye(most, device=own.device, dtype=own.dtype)
        apart = own[..., None, :] * each[:, None, :, None]  # each sees its own bias maps
        below = F.pad(apart.flatten(3).flatten(1, 2), (on_bias.shape[2], 0))
        on_bias = torch.cat([F.pad(on_bias, (0, below.shape[2] - on_bias.shape[2])), below], 1)
        push = self.tints(torch.cat([tint, tint.abs()], 1)).view(-1, 3, 4)
        first = torch.cat([first, own_first.flatten(1, 2)], 1)
        return Weights(place, which, first, on_bias, (*ground, *weather, push))

    def bias_maps(self, weights: Weights, sampled: Sampled) -> torch.Tensor:
        """All bias maps that they see: (B, maps, n)."""
        conditions = self.weather.bias_maps(weights.which, sampled)
        return torch.cat([self.ground.bias_maps(weights.place, sampled), conditions.flatten(1, 2)], 1)

    def draw(self, sums: torch.Tensor, layers: Sequence[torch.Tensor]) -> torch.Tensor:
        """All first layers' sums (B, rows, n) and the other `Weights.layers` to colours (B, 3, n), about -1.5..1.5."""
        ground, weather, push = layers[:3], layers[3:-1], layers[-1]
        picture, geometry = self.ground(sums[:, : self._rows], ground)
        own = sums[:, self._rows :].unflatten(1, (weather[0].shape[1], -1))
        picture = self.weather(own, geometry, picture, weather)
        return (picture + affine(push, picture)) * 1.5

    def colours(
        self, maps: torch.Tensor, prompt: torch.Tensor, sampled: Sampled, most: int = MOST_CONDITIONS
    ) -> torch.Tensor:
        """Maps (B, inputs, n) of n pixels, prompt (B, PROMPT_SIZE) -> their colours (B, 3, n), about -1.5..1.5.

        `sampled` gives what these pixels see of the bias maps; `most`: see `weights`.
        """
        weights = self.weights(prompt, most)
        return self.draw(weights.first @ maps + weights.on_bias @ self.bias_maps(weights, sampled), weights.layers)


class SketchHypernetwork(Hypernetwork):
    """Draws the pixels of the square at SKETCH_PX, each cell's beside each other."""

    around: torch.Tensor

    def __init__(self, hidden_width: int, alpha_layers: int, bias_maps: int) -> None:
        super().__init__(Shape(hidden_width, alpha_layers, bias_maps))
        self.features = NoiseFeatures(Plane.of(SKETCH_PX, SKETCH_PX))
        self.register_buffer("around", polar(self.features), persistent=False)

    def forward(self, x_t: torch.Tensor, prompt: torch.Tensor, crop: Crop | None = None) -> torch.Tensor:
        """x_t (B, 4, 32, 32), prompt (B, PROMPT_SIZE) -> (B, SKETCH_CHANNELS, 32, 32).

        With `crop`, only these rows and columns of cells are drawn.
        """
        whole = slice(0, CELLS)
        rows, columns = (
            slice(PIXELS_PER_CELL * cells.start, PIXELS_PER_CELL * cells.stop) for cells in crop or (whole, whole)
        )
        maps = self.maps(x_t)[:, :, rows, columns]
        colours = self.colours(maps.flatten(2), prompt, lambda grid: grid[..., rows, columns].flatten(-2))
        down, across = ((part.stop - part.start) // PIXELS_PER_CELL for part in (rows, columns))
        # pixel_unshuffle, in words every exporter knows
        cells = colours.view(-1, 3, down, PIXELS_PER_CELL, across, PIXELS_PER_CELL)
        return cells.permute(0, 1, 3, 5, 2, 4).flatten(1, 3)

    def maps(self, x_t: torch.Tensor) -> torch.Tensor:
        """What each pixel is drawn from: (B, 4, 32, 32) to (B, INPUTS, 64, 64)."""
        return torch.cat([self.features.maps(x_t), self.around.expand(x_t.shape[0], -1, -1, -1)], 1)
