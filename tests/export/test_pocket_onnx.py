"""The shipped weights in what plays: ONNX Runtime draws the pictures that torch draws."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

import pytest
import torch
from small_networks import powers_db, real_inputs

from export import int8, onnx_runner
from tpos_models.network import Network, Run, run_in_torch
from tpos_models.pocket.networks import SPEC, picture_networks
from tpos_models.precision import Precision
from tpos_models.training.pictures import evaluation

LEAST_INT8_PSNR_DB = 25.5


def _first(run: Run, *tensors: torch.Tensor) -> torch.Tensor:
    return run(*tensors)[0]


def runs(networks: Iterable[Network], precision: Precision) -> list[Run]:
    return [onnx_runner.runner(precision)(network) for network in networks]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """ONNX Runtime's threads and torch's would wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_int8_keeps_the_signal_at_every_timestep_and_draws_what_torch_draws():
    """The networks' own signal is taken on inputs that they were not calibrated with."""
    *networks, encoder = picture_networks()
    denoiser, decoder = runs(networks, Precision.INT8)
    for network, run in zip(networks, (denoiser, decoder), strict=True):
        _, unseen = int8.split(real_inputs(network))
        reference = run_in_torch(network)
        signals = {step: powers_db(run, reference, inputs) for step, inputs in unseen.items()}
        assert set(signals) == set(SPEC.timesteps)
        assert min(signals.values()) >= 25, (network.name, signals)
    _, unseen = int8.split(real_inputs(encoder))
    (encode,) = runs([encoder], Precision.INT8)
    assert powers_db(encode, run_in_torch(encoder), unseen[SPEC.timesteps[0]]) >= 25
    draw, wanted = (
        evaluation.in_one_step(partial(_first, one), partial(_first, other))
        for one, other in ((denoiser, decoder), map(run_in_torch, networks))
    )
    assert evaluation.one_step_fidelity(draw, wanted, 12)["one_step_psnr_db"] >= LEAST_INT8_PSNR_DB


def test_every_step_ends_in_torchs_picture_to_one_level_of_255():
    networks = picture_networks()[:2]
    denoiser, decoder = runs(networks, Precision.FP32)
    reference, reference_decoder = (run_in_torch(network) for network in networks)
    for step in SPEC.timesteps:
        for inputs in real_inputs(networks[0])[step][::6]:
            got, want = decoder(*denoiser(*inputs))[0], reference_decoder(*reference(*inputs))[0]
            assert float((255 * (got - want)).abs().max()) < 1
