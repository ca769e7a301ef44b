"""`tpos bench`: the running engine, measured on this machine, with the bars it should reach.

Every bar is a ratio or a latency of one run, on the real stages and threads; nothing here is asserted by the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from engine.app.options import LookOptions
from engine.bench.chart import draw_chart
from engine.bench.latency import measure_latencies
from engine.bench.precisions import measure_precisions
from engine.bench.report import Bar, Notify, as_dicts, hardware, only, peak_memory, table
from engine.bench.running import HEADER, Point, measure_point, rates
from engine.bench.stages import NetworkProfiler, Stages, measure_stages
from engine.inference.fallback import Backend, FallbackChain, backends_on
from engine.inference.loading import choose_precision, open_on, precisions, runners
from engine.outputs.screens import open_headless
from tpos_models import registry
from tpos_models.contracts import Model
from tpos_models.diffusion.guidance import Tier
from tpos_models.errors import InputError, ModelError, RunError
from tpos_models.precision import Precision

SWEPT_STEPS = (1, 2, 4)
DRAWN_PX = (640, 360)
SLOW_MS = 500.0
"""Models slower than this are not asked for delays: too few frames come to notify."""

FIELD_PX = (1024, 576)
FRAMES_PER_S: dict[tuple[str, str], dict[str, float]] = {
    ("pocket", "cpu"): {"blend": 25.0, "semantic": 15.0},
    ("random:sd15", "cuda"): {"blend": 200.0, "semantic": 120.0, "reference": 90.0},
}
"""Bars at one step: pocket on two CPU cores, Stable Diffusion 1.5 at 512x512 on an H100."""
HOP_MS = 1.0
"""What the analysis of a hop, 11.6 ms of sound, may take."""
MOST_OVER_BARE = {"cpu": 1.2, "cuda": 1.15, "mps": 1.2}


@dataclass(frozen=True)
class BenchOptions:
    """What `tpos bench` was asked for; without `sweep` and `compare` it measures the show and its delays."""

    look: LookOptions = LookOptions()
    seconds: float = 10.0
    sweep: bool = False
    compare: str | None = None
    plot: Path | None = None
    sections: Path | None = None
    beats: tuple[Path, ...] = ()
    looks: Path | None = None
    hands: bool = False
    outputs: bool = False

    def __post_init__(self) -> None:
        if self.compare not in (None, "diffusers"):
            raise InputError(f"--compare {self.compare}: diffusers would be accepted")
        _ = self.size  # refused here, before anything loads

    @property
    def model(self) -> str:
        """The model's name."""
        return self.look.name

    @property
    def size(self) -> tuple[int, int] | None:
        """Of the model's pictures, `pocket`'s as a field; None is that of its networks."""
        return self.look.size_px if self.look.model_size else None

    @property
    def precision(self) -> str | None:
        """Asked for; None is a live show's."""
        return self.look.precision

    @property
    def guidance(self) -> str | None:
        """One tier, None for all."""
        return self.look.settings.get("guidance")

    @property
    def steps(self) -> int:
        """Sampling steps a frame."""
        return int(self.look.settings.get("steps", 1))


@dataclass
class Bench:
    """One run: the model, what was measured so far, and whom to notify."""

    options: BenchOptions
    notify: Notify
    model: Model
    profiler: NetworkProfiler
    bars: list[Bar] = field(default_factory=list)
    report: dict[str, Any] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)


def run_bench(options: BenchOptions, notify: Notify | None = None) -> tuple[dict[str, Any], list[str]]:
    """Measure what `options` ask for: what `--json` prints, and the same for people."""
    notify = notify or (lambda line: None)
    if options.sections is not None:
        return _sections(options.sections, notify)
    if options.beats:
        return _beats(options.beats, notify)
    if options.outputs:
        return _outputs(options, notify)
    if options.looks is not None:
        return _looks(options.looks, notify)
    if options.hands:
        return _hands(options, notify)
    notify(f"loading {options.model}")
    profiler = NetworkProfiler()
    precision = choose_precision(options.precision, options.model) or Precision.AUTO
    model = _open(options, profiler, notify, precision)
    bench = Bench(options, notify, model, profiler)
    stages = _stages(bench)
    if options.compare:
        _compare(bench)
    if options.sweep:
        most = model.spec.most_steps or len(model.spec.timesteps)
        _points(bench, tuple(Tier), [n for n in SWEPT_STEPS if n <= most])
    if not (options.compare or options.sweep):
        _points(bench, (options.guidance,) if options.guidance else tuple(Tier), (options.steps,))
        _latencies(bench, stages)
        _precisions(bench)
        _field(bench)
        _shader(bench)
        _remote(bench)
    return _summed_up(bench)


def _open(options: BenchOptions, profiler: NetworkProfiler, notify: Notify, precision: Precision) -> Model:
    size = options.size if registry.resizable(options.model) else None

    def open_backend(backend: Backend) -> Model:
        return open_on(backend, options.model, size, profiler, precision=precision)

    backends = backends_on(runners(options.model), registry.resizable(options.model))
    return FallbackChain(backends, open_backend, notify).model


def _sections(folder: Path, notify: Notify) -> tuple[dict[str, Any], list[str]]:
    from engine.bench.sections import measure_sections

    if not folder.is_dir():
        raise InputError(f"--sections {folder}: no such folder; one of renders or of other music would be accepted")
    return only(measure_sections(folder, notify))


def _beats(folders: Sequence[Path], notify: Notify) -> tuple[dict[str, Any], list[str]]:
    from engine.bench.beats import measure_beats

    report, bars = measure_beats(folders, notify)
    return {"hardware": hardware(), **report, "bars": as_dicts(bars)}, [hardware(), *(bar.line() for bar in bars)]


def _looks(folder: Path, notify: Notify) -> tuple[dict[str, Any], list[str]]:
    from engine.bench.looks import measure_looks

    return only(measure_looks(folder, notify))


def _hands(options: BenchOptions, notify: Notify) -> tuple[dict[str, Any], list[str]]:
    from engine.bench.hands import measure_hands

    return only(measure_hands(options.seconds, options.model, options.precision, notify))


def _outputs(options: BenchOptions, notify: Notify) -> tuple[dict[str, Any], list[str]]:
    from engine.bench.outputs import measure_outputs

    return only(measure_outputs(options.seconds, options.look, notify))


def _summed_up(bench: Bench) -> tuple[dict[str, Any], list[str]]:
    spec, memory = bench.model.spec, peak_memory()
    size = f"{spec.sample_size[1] * spec.scale}x{spec.sample_size[0] * spec.scale}"
    head = {
        "hardware": hardware(),
        "model": spec.name,
        "size": size,
        "runner": bench.model.runner,
        "precision": bench.model.precision,
        **memory,
    }
    used = ", ".join(f"{name.removesuffix('_mib').replace('_', ' ')} {mib:.0f} MiB" for name, mib in memory.items())
    lines = [
        hardware(),
        f"model {spec.name} {size} on {bench.model.runner} in {bench.model.precision}; {used}",
        *bench.lines,
    ]
    lines += [bar.line() for bar in bench.bars]
    return {**head, **bench.report, "bars": as_dicts(bench.bars)}, lines


@contextmanager
def _progress(notify: Notify, what: str, seconds: float) -> Iterator[Callable[[float], None]]:
    """Says now and then how far a long measurement is."""
    notify(what)
    said = 0.0

    def progress(share: float) -> None:
        nonlocal said
        if share - said >= max(0.1, 5.0 / seconds):
            said = share
            notify(f"{what}: {share:.0%}")

    yield progress


def _stages(bench: Bench) -> Stages:
    options, spec = bench.options, bench.model.spec
    state = replace(options.look.build_show()[0].state, rules=())
    with open_headless(DRAWN_PX) as screen, _progress(bench.notify, "stage by stage", options.seconds) as progress:
        stages = measure_stages(bench.model, state, bench.profiler, options.seconds, screen, progress)
    bench.report |= stages.as_dict()
    bench.lines += stages.lines()
    device = bench.model.device.type
    bench.bars.append(
        Bar("analysis of a hop, median", stages.stages["analysis, a hop"].median_ms, "most", HOP_MS, "ms")
    )
    bench.bars.append(
        Bar(f"{stages.tier}: a frame over its bare networks", stages.over_bare, "most", MOST_OVER_BARE[device], "times")
    )
    if options.plot:
        title = f"{spec.name} on {bench.model.runner}, {stages.tier}, steps: {stages.steps}\n{hardware()}"
        draw_chart(stages, title, options.plot)
        bench.lines.append(f"  stage chart: {options.plot}")
    return stages


def _points(bench: Bench, tiers: Sequence[str], steps: Sequence[int]) -> None:
    points = []
    for tier in tiers:
        for n in steps:
            bench.notify(f"engine and bare networks, {tier}, steps: {n}")
            points.append(measure_point(bench.model, bench.profiler, tier, n, bench.options.seconds))
    bench.report["tiers"] = [asdict(point) for point in points]
    bench.lines += table(HEADER, [point.row() for point in points])
    for point in points:
        bench.bars += _rate_bars(bench, point)


def _rate_bars(bench: Bench, point: Point) -> list[Bar]:
    name = f"{point.tier}, steps: {point.steps}"
    bars = [Bar(f"{name}: ring overruns and driver overflows", point.sound_lost, "most", 0, "")]
    goals = FRAMES_PER_S.get((bench.options.model, bench.model.device.type), {})
    if point.steps == 1 and point.tier in goals:
        bars.append(Bar(f"{name}: new frames a second", point.fps, "least", goals[point.tier], "frames/s"))
    if bench.model.device.type == "cpu":
        bars.append(Bar(f"{name}: engine over a loop of its networks", point.fps / point.bare_fps, "least", 0.8, ""))
    return bars


def _latencies(bench: Bench, stages: Stages) -> None:
    if stages.frame.median_ms > SLOW_MS:
        bench.lines.append(f"  delays are not measured: a frame takes {stages.frame.median_ms / 1000:.1f} s")
        return
    bench.bars += measure_latencies(bench.model, bench.options.seconds, bench.notify)


def _field(bench: Bench) -> None:
    """How much slower `pocket` is as a field, at a projector's fineness, than its networks are at 256x256."""
    if bench.options.model != registry.POCKET or bench.model.device.type != "cpu":
        return
    from tpos_models.pocket.model import as_field

    size = bench.options.size or FIELD_PX
    width, height = size
    bench.notify(f"field, {width}x{height}")
    look = LookOptions(settings={"guidance": Tier.SEMANTIC})
    small, large = rates([bench.model, as_field(bench.model, size)], look, bench.options.seconds)
    bench.report["field"] = {"size": f"{width}x{height}", "fps": large, "networks_fps": small}
    bench.lines.append(f"  semantic: {small:.1f} frames/s at 256x256, {large:.1f} as a field of {width}x{height}")
    if size == FIELD_PX:
        what = f"semantic: frames a second as a field of {width}x{height} over 256x256"
        bench.bars.append(Bar(what, large / small, "least", 0.35, ""))


def _shader(bench: Bench) -> None:
    """What the same field takes where the screen draws it."""
    if bench.options.model != registry.POCKET:
        return
    from engine.bench.shader import measure_shader

    bench.notify("field, by the shader")
    try:
        measured = measure_shader()
    except RunError as error:
        bench.lines.append(f"  field's shader: {error}")
        return
    bench.report["field_shader"] = measured.as_dict()
    bench.lines.append(measured.line())


def _remote(bench: Bench) -> None:
    """The page beside the show."""
    try:
        from engine.bench.remote import measure_remote
    except ImportError as error:
        bench.lines.append(f"  the page is not measured: {error.name} is not installed")
        return
    bars, lines = measure_remote(bench.model, bench.options.seconds, bench.notify)
    bench.bars += bars
    bench.lines += lines


def _precisions(bench: Bench) -> None:
    """The same show in every precision that the model has here."""
    options = bench.options
    models, refused = {}, {}
    for precision in precisions(options.model):
        bench.notify(f"in {precision}")
        try:
            models[precision] = _open(options, NetworkProfiler(), bench.notify, precision)
        except ModelError as error:
            refused[precision] = str(error)
    look = options.look
    rates = measure_precisions(models, look, options.seconds, bench.model.precision, refused)
    bench.report["precisions"] = rates.as_dict()
    bench.lines += rates.lines()


def _compare(bench: Bench) -> None:
    from engine.bench.compare import measure_comparison

    options, model = bench.options, bench.model
    comparison = measure_comparison(model, bench.profiler.networks, options.steps, options.seconds, bench.notify)
    bench.report["diffusers"] = comparison.as_dict()
    bench.lines += comparison.lines(model.runner)
    if model.runner != "torch":
        bench.bars.append(comparison.bar(model.device.type))
