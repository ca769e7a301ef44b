"""Fetching from a hub on the loopback interface: resumed, verified, and every failure one line."""

from __future__ import annotations

import errno
import hashlib
import json
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tpos_models.errors import ModelError, StorageError
from tpos_models.stable_diffusion import hub, open_model

SHA = "0123456789abcdef0123456789abcdef01234567"
REPO = "someone/small-model"


class Hub(ThreadingHTTPServer):
    """Speaks as much of the hub's HTTP as a download needs; every entry of `broken_after` cuts one answer's weights."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.broken_after: list[int] = []
        self.damaged = False
        self.silent = threading.Event()
        self.ranges: list[str] = []
        self.hashes: dict[bytes, str] = {}


class Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, body):
        if self.server.silent.is_set():
            self.server.silent.wait(0)
            self.connection.close()
            self.close_connection = True
            return
        path = self.path.partition("?")[0]
        if path.startswith("/api/models/"):
            self.api(path.removeprefix("/api/models/"))
        else:
            repo, _, rest = path.lstrip("/").partition("/resolve/")
            self.file(repo, rest.partition("/")[2], body)

    def api(self, rest):
        repo = "/".join(rest.split("/")[:2])
        if repo not in self.server.repositories:
            return self.send(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        files = self.server.repositories[repo]
        if "/tree/" in rest:
            listing = [
                {"type": "file", "path": name, "size": len(data), "oid": "0" * 40, **self.lfs(data)}
                for name, data in files.items()
            ]
            return self.send(200, json.dumps(listing).encode())
        siblings = [{"rfilename": name, "size": len(data), **self.lfs(data)} for name, data in files.items()]
        return self.send(200, json.dumps({"id": repo, "sha": SHA, "siblings": siblings}).encode())

    def lfs(self, data):
        if len(data) < 1000:
            return {}
        digest = hashlib.sha256(data).hexdigest()
        return {"lfs": {"sha256": digest, "oid": digest, "size": len(data), "pointerSize": 130}}

    def file(self, repo, name, body):
        data = self.server.repositories.get(repo, {}).get(name)
        if data is None:
            return self.send(404, b"", {"X-Error-Code": "EntryNotFound"})
        headers = {"X-Repo-Commit": SHA, "ETag": f'"{hashlib.sha256(data).hexdigest()}"', "Accept-Ranges": "bytes"}
        if self.server.damaged and len(data) > 1000:
            data = bytes(len(data))
        if wanted := self.headers.get("Range"):
            self.server.ranges.append(wanted)
            start = int(wanted.removeprefix("bytes=").split("-")[0])
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
            return self.send(206, data[start:], headers, body)
        return self.send(200, data, headers, body)

    def send(self, status, data, headers=None, body=True):
        self.send_response(status)
        for key, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if not body:
            return
        if status == 200 and len(data) > 100_000:
            with suppress(IndexError):  # files come side by side: one of them takes it
                data = data[: self.server.broken_after.pop()]
                self.close_connection = True
        self.wfile.write(data)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def small_hub(pipelines, tmp_path, monkeypatch):
    import huggingface_hub.constants as constants
    from huggingface_hub import hf_api

    server = Hub()
    files = files_of(pipelines("sd15")[0])
    server.repositories = {
        REPO: {**files, "unet/diffusion_pytorch_model.bin": b"pickle"},
        hub.TINY_VAE: {name.removeprefix("vae/"): data for name, data in files.items() if name.startswith("vae/")},
    }
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(hf_api.constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    yield server
    server.shutdown()
    server.server_close()


def leftovers():
    import huggingface_hub.constants as constants

    return [path for path in Path(constants.HF_HUB_CACHE).rglob("*incomplete*")]


def test_a_model_is_fetched_whole_and_then_opens_offline(small_hub, monkeypatch):
    seen = []
    folder = hub.fetch(REPO, lambda what, done, total: seen.append((what, done, total)))
    assert (folder / "unet" / "diffusion_pytorch_model.safetensors").is_file()
    assert not (folder / "unet" / "diffusion_pytorch_model.bin").exists()
    assert seen
    assert all(done <= total for _, done, total in seen)
    small_hub.shutdown()
    opened = open_model(REPO)
    assert opened.recipe.source.folder
    assert opened.recipe.source.folder.vae == hub.cached(hub.TINY_VAE)
    assert not leftovers()


@pytest.mark.parametrize("steps", [2, 4])
def test_sdxl_lightning_is_the_base_with_its_lora_and_its_own_steps(small_hub, pipelines, tmp_path, steps):
    files = files_of(pipelines("sdxl")[0])  # whose scheduler is ancestral
    tensors = {
        f"lora_unet_down_blocks_0_attentions_0_proj_in.lora_{half}.weight": torch.ones(shape)
        for half, shape in (("down", (2, 32)), ("up", (32, 2)))
    }
    save_file(tensors, tmp_path / "lora.safetensors")
    small_hub.repositories |= {
        "stabilityai/stable-diffusion-xl-base-1.0": files,
        "ByteDance/SDXL-Lightning": {
            f"sdxl_lightning_{steps}step_lora.safetensors": (tmp_path / "lora.safetensors").read_bytes()
        },
        hub.TINY_VAE_XL: {name.removeprefix("vae/"): data for name, data in files.items() if name.startswith("vae/")},
    }
    name = f"sdxl-lightning-{steps}"
    folder = hub.fetch(name)
    small_hub.shutdown()
    opened = open_model(name)
    source = opened.recipe.source
    assert source.folder
    assert source.folder.vae == hub.cached(hub.TINY_VAE_XL)
    assert [lora.path.name for lora in opened.recipe.loras] == [f"sdxl_lightning_{steps}step_lora.safetensors"]
    assert (opened.spec.stepping, opened.spec.guidance.guidance_scale) == ("euler", 1.0)
    assert opened.tokenizers[1].pad_token == "!"
    layer = "down_blocks.0.attentions.0.proj_in.weight"
    before, after = open_model(str(folder)).recipe.source.unet(), opened.recipe.denoiser().build()
    gained = after.get_parameter(f"unet.{layer}") - before.get_parameter(layer)
    torch.testing.assert_close(gained, torch.full_like(gained, 2.0))
    opened.recipe.text_encoder().build()


def test_a_broken_connection_resumes_where_it_broke(small_hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1000)  # 10 MB: more than this model
    small_hub.broken_after = [5000]
    folder = hub.fetch(REPO)
    assert small_hub.ranges == ["bytes=5000-"]
    source = small_hub.repositories[REPO]["unet/diffusion_pytorch_model.safetensors"]
    assert (folder / "unet" / "diffusion_pytorch_model.safetensors").read_bytes() == source


def test_damage_on_the_way_is_found_and_removed(small_hub):
    small_hub.damaged = True
    with pytest.raises(ModelError, match=r"damaged on its way and removed .*; fetch it again"):
        hub.fetch(REPO)
    small_hub.damaged = False
    folder = hub.fetch(REPO)
    for name in ("unet", "vae"):
        got = (folder / name / "diffusion_pytorch_model.safetensors").read_bytes()
        assert got == small_hub.repositories[REPO][f"{name}/diffusion_pytorch_model.safetensors"]


def test_unknown_names_and_silent_hubs_are_one_line(small_hub, monkeypatch):
    with pytest.raises(ModelError, match="no such repository on the hub"):
        hub.fetch("someone/else")
    small_hub.silent.set()
    with pytest.raises(ModelError, match="the hub gives no answer") as caught:
        hub.fetch(REPO)
    assert "\n" not in str(caught.value)
    assert not leftovers()


def test_a_full_disk_leaves_nothing_half_written(small_hub, monkeypatch):
    import shutil

    from huggingface_hub import file_download

    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(file_download, "_chmod_and_move", full)
    with pytest.raises(StorageError, match=r"cannot be stored \(No space left on device\)"):
        hub.fetch(REPO)
    assert not leftovers()
    assert shutil.disk_usage("/").free


def test_a_disk_that_fills_in_mid_download(small_hub):
    resource = pytest.importorskip("resource", reason="file size limits are POSIX")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))  # a real write fails, as on a full disk
    try:
        with pytest.raises(StorageError, match="cannot be stored"):
            hub.fetch(REPO)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not leftovers()
    assert (hub.fetch(REPO) / "unet" / "diffusion_pytorch_model.safetensors").is_file()


def test_names_that_cannot_be_models(monkeypatch):
    for name in ("nonsense", "a/b/c", "../x", "a--b/c", "random:what"):
        with pytest.raises(ModelError, match="would be accepted"):
            open_model(name)
    for name in hub.KNOWN:
        with pytest.raises(ModelError, match=f"`tpos models fetch {name}` downloads it"):
            open_model(name)


def test_offline_is_one_line():
    with pytest.raises(ModelError, match=r"a connection is needed|gives no answer"):
        hub.fetch("sd-turbo")
