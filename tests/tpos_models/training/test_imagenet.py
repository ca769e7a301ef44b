"""A ResNet-18 starts as ImageNet left it, from the files that timm and torchvision write."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from tpos_models.audio.encoder import ResNet18
from tpos_models.errors import MissingFileError, ModelError
from tpos_models.training.audio.imagenet import start_from_imagenet

WIDTHS = (4, 4, 8, 8)


@pytest.fixture
def published():
    """A classifier of 1000 classes under the published names."""
    torch.manual_seed(1)
    return {name: value.clone() for name, value in ResNet18(WIDTHS, 1000).state_dict().items()}


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_all_but_the_head_is_taken(published, suffix, tmp_path):
    file = tmp_path / f"resnet18{suffix}"
    if suffix == ".pth":  # torchvision's older files count no batches
        published = {name: value for name, value in published.items() if "num_batches" not in name}
        torch.save(published, file)
    else:
        save_file(published, file)
    net = ResNet18(WIDTHS, 16)
    head = net.fc.weight.clone()
    assert start_from_imagenet(net, file) == file
    assert torch.equal(net.fc.weight, head)
    assert all(torch.equal(net.state_dict()[name], value) for name, value in published.items() if name[:2] != "fc")


def test_size_and_names_are_those_that_are_published():
    """Of timm and torchvision, whose ResNet-18 has 11,689,512 weights."""
    net = ResNet18((64, 128, 256, 512), 1000)
    assert sum(parameter.numel() for parameter in net.parameters()) == 11_689_512
    assert {"layer2.0.downsample.0.weight", "layer4.1.bn2.running_var", "conv1.weight"} <= net.state_dict().keys()


def test_where_there_are_none_it_is_said(caplog):
    net = ResNet18(WIDTHS, 16)
    before = net.conv1.weight.clone()
    assert start_from_imagenet(net) is None
    assert "tpos models fetch resnet18" in caplog.text
    assert torch.equal(net.conv1.weight, before)


def test_what_the_hub_has_left_here_is_found(published, tmp_path):
    repository = tmp_path / "hub" / "models--timm--resnet18.a1_in1k"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc")
    (repository / "snapshots" / "abc").mkdir(parents=True)
    save_file(published, repository / "snapshots" / "abc" / "model.safetensors")
    net = ResNet18(WIDTHS, 16)
    assert start_from_imagenet(net) == repository / "snapshots" / "abc" / "model.safetensors"
    assert torch.equal(net.conv1.weight, published["conv1.weight"])


def test_other_files_are_refused(published, tmp_path):
    with pytest.raises(MissingFileError, match=r"absent.pth"):
        start_from_imagenet(ResNet18(WIDTHS, 16), tmp_path / "absent.pth")
    (tmp_path / "bad.pth").write_bytes(b"no weights")
    with pytest.raises(ModelError, match=r"bad.pth: not the weights of a ResNet-18"):
        start_from_imagenet(ResNet18(WIDTHS, 16), tmp_path / "bad.pth")
    save_file(published, tmp_path / "wide.safetensors")
    with pytest.raises(ModelError, match=r"wide.safetensors: weights do not fit"):
        start_from_imagenet(ResNet18((8, 8, 8, 8), 16), tmp_path / "wide.safetensors")
