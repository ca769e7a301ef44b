from dataclasses import replace

import pytest
import torch

from tpos_models.audio.encoder import (
    PAPER,
    EncoderConfig,
    ResNet18,
    SegmentHalf,
    TemporalHalf,
    TokenMap,
    TPoSEncoder,
    released_names,
)
from tpos_models.errors import ModelError

SMALL = EncoderConfig(size=24, widths=(4, 6, 8, 10), map_hidden=20, map_out=5 * 24)


@pytest.fixture
def encoder() -> TPoSEncoder:
    torch.manual_seed(0)
    return TPoSEncoder(SMALL).eval()


def test_any_batch_and_any_number_of_segments(encoder: TPoSEncoder) -> None:
    for batch, n in ((1, 5), (3, 5), (2, 1), (2, 7)):
        last, weighted, beta = encoder(torch.rand(batch, n, 128, 153))
        assert last.shape == (batch, 24)
        assert weighted.shape == (batch, n, 24)
        assert beta.shape == (batch, n)


def test_temporal_attention_against_its_statement(encoder: TPoSEncoder) -> None:
    features = torch.randn(2, 5, 24)
    outputs, _ = encoder.lstm(features)
    outputs = outputs / outputs.norm(dim=-1, keepdim=True)
    scores = outputs @ encoder.cnn.weight[0, :, 0] + encoder.cnn.bias
    beta = scores.exp() / scores.exp().sum(1, keepdim=True)
    last, weighted, attention = encoder.attend(features)
    torch.testing.assert_close(attention, beta)
    torch.testing.assert_close(weighted, outputs * beta[..., None])
    torch.testing.assert_close(last, outputs[:, -1])
    torch.testing.assert_close(last.norm(dim=-1), torch.ones(2))


def test_the_halves_are_the_whole(encoder: TPoSEncoder) -> None:
    pictures = torch.rand(2, 5, 128, 153)
    mapping = TokenMap(SMALL).eval()
    start = torch.randn(24)
    features = torch.stack([SegmentHalf(encoder)(p) for p in pictures])
    tokens, joint, beta = TemporalHalf(encoder, mapping, start)(features)
    whole = encoder(pictures)
    torch.testing.assert_close(beta, whole.beta)
    torch.testing.assert_close(tokens[:, 0], start.expand(2, -1))
    outputs, _ = encoder.lstm(features)
    newest = outputs[:, -1] / outputs[:, -1].norm(dim=-1, keepdim=True)
    torch.testing.assert_close(tokens[:, 1:].flatten(1), mapping(5 * whole.beta[:, -1:] * newest))
    total = whole.weighted.sum(1)
    torch.testing.assert_close(joint, total / total.norm(dim=-1, keepdim=True))


def test_the_paper_has_a_map_of_454_million_parameters() -> None:
    with torch.device("meta"):
        encoder, mapping = TPoSEncoder(PAPER), TokenMap(PAPER)
        backbone = ResNet18(PAPER.widths, 1000)
    assert round(sum(p.numel() for p in mapping.parameters()) / 1e6) == 454
    assert sum(p.numel() for p in backbone.parameters()) == 11_689_512  # torchvision's and timm's resnet18
    assert encoder.state_dict()["feature_extractor.layer2.0.downsample.0.weight"].shape == (128, 64, 1, 1)
    assert mapping.linear2.out_features == 76 * 768


def as_released(encoder: TPoSEncoder) -> dict[str, torch.Tensor]:
    extra = {"T_A.weight": torch.zeros(3, 3), "T_A2.bias": torch.zeros(3)}
    return {f"module.{key}": value for key, value in (encoder.state_dict() | extra).items()}


def test_a_released_checkpoint_comes_back_bit_equal(encoder: TPoSEncoder) -> None:
    other = TPoSEncoder(SMALL).eval()
    other.load_state_dict(released_names(as_released(encoder), other, "encoder.pth"))
    pictures = torch.rand(1, 5, 128, 153)
    assert torch.equal(other(pictures).weighted, encoder(pictures).weighted)


def test_anything_else_is_refused_with_the_differences(encoder: TPoSEncoder) -> None:
    tensors = as_released(encoder)
    tensors["module.head.weight"] = torch.zeros(1)
    del tensors["module.cnn.bias"]
    with pytest.raises(ModelError, match=r"encoder.pth.*missing cnn.bias.*unexpected head.weight"):
        released_names(tensors, encoder, "encoder.pth")


def test_neighbouring_columns_become_their_mean() -> None:
    torch.manual_seed(0)
    halved = TPoSEncoder(replace(SMALL, mean_columns=2)).eval()
    plain = TPoSEncoder(SMALL).eval()
    plain.load_state_dict(halved.state_dict())
    picture = torch.rand(1, 128, 153)
    torch.testing.assert_close(halved.segment(picture), plain.segment((picture[..., 1::2] + picture[..., 2::2]) / 2))
