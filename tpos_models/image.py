"""Pictures to start from: any image file as RGB, and as the tensor of the size a model draws at."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tpos_models.errors import MediaError, MissingFileError

if TYPE_CHECKING:
    import torch
    from PIL import Image

MOST_PIXELS = 200_000_000
"""Larger files are refused before they are decoded; 100 megapixels take about a second."""
SIDE_PX = 2048
"""Larger pictures are kept at this longer side: no model draws more."""


def read_picture(path: Path) -> np.ndarray:
    """Read any picture as RGB uint8 (height, width, 3), its longer side at most `SIDE_PX`.

    Orientation tags are obeyed, CMYK and palettes converted, transparency lies on black. Raises `MissingFileError` or
    `MediaError`.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # MOST_PIXELS is the limit here
            with Image.open(path) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise MediaError(
                        f"{path}: {image.width}x{image.height} pixels; at most {MOST_PIXELS // 10**6} million accepted"
                    )
                image.thumbnail((SIDE_PX, SIDE_PX))
                upright = _flattened(ImageOps.exif_transpose(image))
    except FileNotFoundError as error:
        raise MissingFileError(f"{path}: no such picture; PNG, JPEG, WebP or TIFF would be accepted") from error
    except Image.DecompressionBombError as error:
        raise MediaError(f"{path}: too many pixels; at most {MOST_PIXELS // 10**6} million accepted") from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise MediaError(f"{path}: not a readable picture; PNG, JPEG, WebP or TIFF would be accepted") from error
    return np.asarray(upright)


def fit_picture(picture: np.ndarray, size_px: tuple[int, int]) -> torch.Tensor:
    """RGB uint8 (H, W, 3) as (1, 3, height, width) in 0..1, cropped around its middle to the shape of `size_px`.

    `size_px` is (width, height).
    """
    import torch
    from PIL import Image, ImageOps

    fitted = ImageOps.fit(Image.fromarray(picture), size_px, Image.Resampling.BICUBIC)
    return torch.from_numpy(np.asarray(fitted, np.float32) / 255).permute(2, 0, 1)[None].contiguous()


def _flattened(image: Image.Image) -> Image.Image:
    """RGB, transparency over black: what a projector shows of nothing."""
    from PIL import Image

    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image).convert("RGB")
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        array = np.asarray(image, np.float32)
        top = 65535.0 if array.max() > 255 else 255.0
        image = Image.fromarray((array.clip(0, top) * (255 / top)).astype(np.uint8))
    return image.convert("RGB")
