"""Pictures of every awkward kind, through the VAE and into the sampler."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from tpos_models.diffusion.conditioning import Conditions
from tpos_models.diffusion.guidance import Guidance, Tier
from tpos_models.diffusion.lcm import LcmSampler
from tpos_models.diffusion.sampler import SampleRequest
from tpos_models.diffusion.schedule import NoiseSchedule
from tpos_models.errors import MediaError, MissingFileError
from tpos_models.image import SIDE_PX, fit_picture, read_picture


def load_image(path, size_px):
    return fit_picture(read_picture(path), size_px)


def test_middle_of_the_picture_upright_and_in_range(tmp_path):
    pixels = np.zeros((40, 120, 3), np.uint8)
    pixels[:, 40:80, 0] = 255
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    image = load_image(tmp_path / "wide.png", (64, 64))
    assert image.shape == (1, 3, 64, 64)
    assert image[0, 0, 4:-4, 4:-4].min() > 0.95
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    Image.fromarray(pixels).save(tmp_path / "turned.jpg", exif=exif)
    assert load_image(tmp_path / "turned.jpg", (16, 48)).shape == (1, 3, 48, 16)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F", "YCbCr"])
@pytest.mark.parametrize("size", [(1, 1), (37, 11)])
def test_every_mode_and_a_single_pixel(tmp_path, mode, size):
    image = Image.new(mode, size)
    suffix = "tiff" if mode in ("CMYK", "F", "YCbCr", "I", "I;16") else "png"
    image.save(tmp_path / f"image.{suffix}")
    got = load_image(tmp_path / f"image.{suffix}", (64, 32))
    assert got.shape == (1, 3, 32, 64)
    assert 0 <= got.min() <= got.max() <= 1


def test_transparency_is_black_and_cmyk_is_not_inverted(tmp_path):
    Image.new("RGBA", (8, 8), (255, 255, 255, 0)).save(tmp_path / "clear.png")
    assert load_image(tmp_path / "clear.png", (8, 8)).max() == 0
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "red.jpg", quality=95)
    red = load_image(tmp_path / "red.jpg", (8, 8)).mean((0, 2, 3))
    assert red[0] > 0.9
    assert red[1:].max() < 0.1


def test_a_hundred_megapixels_open_and_more_are_refused(tmp_path):
    Image.new("1", (10_000, 10_000)).save(tmp_path / "huge.png")
    assert read_picture(tmp_path / "huge.png").shape == (SIDE_PX, SIDE_PX, 3)
    header = b"P4\n60000 60000\n"
    (tmp_path / "bomb.pbm").write_bytes(header)
    with pytest.raises(MediaError, match=r"bomb.pbm: .*at most 200 million"):
        load_image(tmp_path / "bomb.pbm", (64, 64))


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n\x00\x00"])
def test_what_is_no_picture_is_named(tmp_path, content):
    (tmp_path / "bad.png").write_bytes(content)
    with pytest.raises(MediaError, match=r"bad.png: not a readable picture; PNG"):
        load_image(tmp_path / "bad.png", (64, 64))
    with pytest.raises(MissingFileError, match="no such picture"):
        load_image(tmp_path / "absent.png", (64, 64))


@pytest.mark.parametrize("kind", ["sd15", "sd15-kl"])
def test_encoder_is_diffusers_own(pipelines, models, kind):
    _, pipeline = pipelines(kind)
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        out = pipeline.vae.encode(image * 2 - 1)
    latents = out.latents if kind == "sd15" else out.latent_dist.mode()
    torch.testing.assert_close(models(kind).encoder(image), latents * pipeline.vae.config.scaling_factor)


def test_strength_decides_how_much_of_the_picture_stays(models):
    model = models("sd15")
    null = model.text.encode([""]).tokens[0]
    noise, start = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(0)).unbind(0)
    kept = []
    for strength in (0.25, 0.5, 1.0):
        with torch.inference_mode():
            got = LcmSampler(model.denoiser, NoiseSchedule(model.spec))(
                SampleRequest(noise, Conditions(null, null, null), Tier.BLEND, Guidance(), 4, start, strength)
            )
        assert got.evaluations == {0.25: 3, 0.5: 4, 1.0: 4}[strength]  # of 12 timesteps
        kept.append(torch.corrcoef(torch.stack([got.x0.flatten(), start.flatten()]))[0, 1].item())
    assert kept[0] > kept[1] > kept[2]
