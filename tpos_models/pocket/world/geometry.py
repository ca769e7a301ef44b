"""What a place tells the conditions painted over it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from tpos_models.pocket.world.canvas import Colours, paint, rgb, shed


@dataclass(frozen=True)
class Geometry:
    """Where sky is, how deep each pixel lies, what lies open to snow, what shines; colours and amounts of the place."""

    sky: torch.Tensor
    """1 where the sky shows, (B, rows, columns), as all maps are."""
    depth: torch.Tensor
    """0 near, 1 far."""
    flat: torch.Tensor
    """1 on ground that snow covers."""
    wet: torch.Tensor
    """1 on water."""
    lights: torch.Tensor
    """1 where windows and signs are lit."""
    colours: Colours
    amounts: dict[str, torch.Tensor]
    """(B, 1, 1) by name, as in places.toml."""

    def covered(self, change: torch.Tensor) -> Geometry:
        """Something was painted: where the picture changed clearly, the sky no longer shows and snow does not lie."""
        open_ = 1 - (change * 8 - 0.4).clamp(0.0, 1.0)
        lies = 0.35 + 0.65 * open_
        return replace(
            self,
            sky=self.sky * open_,
            depth=torch.minimum(self.depth, lies),
            flat=self.flat * lies,
            wet=self.wet * open_,
        )

    def of(self, rows: torch.Tensor) -> Geometry:
        """The same for some of the batch."""
        colours, amounts = ({key: value[rows] for key, value in some.items()} for some in (self.colours, self.amounts))
        sky, depth, flat, wet, lights = (one[rows] for one in self.maps)
        return Geometry(sky, depth, flat, wet, lights, colours, amounts)

    @property
    def maps(self) -> tuple[torch.Tensor, ...]:
        """All maps."""
        return self.sky, self.depth, self.flat, self.wet, self.lights

    @property
    def horizon(self) -> torch.Tensor:
        """(B, 1, 1), in picture heights."""
        return self.amounts["horizon"]

    def spot(self, name: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Where the place has "fire", "splash", "blast" or "bolt": x and y."""
        return self.amounts[f"{name}_x"], self.amounts[f"{name}_y"]

    def hue(self, code: str, name: str | None) -> torch.Tensor:
        """A condition's colour (B, 3): its own, or where the place answers in its own colours the one of that name.

        Without a name there it is white, or as good as.
        """
        own = self.amounts["own"][:, 0]
        pale = torch.lerp(self.colours["accent"], torch.ones_like(self.colours["accent"]), 0.75)
        mine = self.colours[name] if name else pale
        return torch.lerp(rgb(code).to(mine).expand_as(mine), mine, own)

    def ink(self, picture: torch.Tensor, code: str, name: str | None, mask: torch.Tensor) -> torch.Tensor:
        """Paint a condition's colour, see `hue`."""
        return paint(picture, self.hue(code, name), mask.clamp(0.0, 1.0))

    def shed(self, picture: torch.Tensor, code: str, name: str | None, mask: torch.Tensor) -> torch.Tensor:
        """Throw its light."""
        return shed(picture, self.hue(code, name), mask.clamp(0.0, 1.0))

    def grade(
        self, picture: torch.Tensor, dark: str, light: str, amount: torch.Tensor, names: tuple[str, str | None]
    ) -> torch.Tensor:
        """Towards a duotone: luminance mapped from `dark` to `light`; in club looks half as far, to their own."""
        luma = 0.3 * picture[:, :1] + 0.55 * picture[:, 1:2] + 0.15 * picture[:, 2:]
        low, high = (self.hue(*pair)[..., None, None] for pair in zip((dark, light), names, strict=True))
        share = amount * (1 - 0.45 * self.amounts["own"])
        return picture + share[:, None] * (low + luma * (high - low) - picture)


def there(s: torch.Tensor) -> torch.Tensor:
    """Opacity of shapes that are clear as soon as there is any of them: nothing at 0, whole from 0.125."""
    return (s * 8).clamp(0.0, 1.0)
