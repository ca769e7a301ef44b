"""The field pixel by pixel, as machine code: what `Hypernetwork.draw` says in torch and `field.frag.glsl` on a GPU.

Numba compiles it for the processor it runs on, and keeps that on disk. Pixels are drawn TILE at a time: every number of
the network is a row of a tile, so that a loop over pixels is what a processor's vectors take. A matrix (rows, 1 +
columns) has its offsets in front and is filled up with zeros to even rows and columns in fours. Nothing here knows a
size of the network: numba, which keeps what it compiled, would not see that one has changed elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numba
import numpy as np

TILE = 128


class Where(NamedTuple):
    """Where pixels lie: of each row and column of them the sample before it, how far from that to the next, its block.

    `around` (pixels, inputs) is what a pixel is asked by itself; the others are counts of columns.
    """

    y_sample: np.ndarray
    y_share: np.ndarray
    y_block: np.ndarray
    x_sample: np.ndarray
    x_share: np.ndarray
    x_block: np.ndarray
    around: np.ndarray
    samples_across: int
    blocks_across: int


class Sums(NamedTuple):
    """Shares of the first layers' sums, each (places, rows): of samples, of blocks, of columns and of rows."""

    samples: np.ndarray
    blocks: np.ndarray
    columns: np.ndarray
    rows: np.ndarray


class Network(NamedTuple):
    """What is multiplied pixel by pixel, the conditions' (conditions, ...); `first` by what a pixel is asked by itself.

    Of the sums each network has as many rows as its `first`, or one less; `colours` (conditions, layers, 3), `opacity`
    (conditions,), `grades` (conditions, 3, 4) and `tint` (3, 4) are as they are.
    """

    width: int
    first: np.ndarray
    second: np.ndarray
    third: np.ndarray
    last: np.ndarray
    layers: int
    own_width: int
    own_first: np.ndarray
    own_second: np.ndarray
    own_third: np.ndarray
    colours: np.ndarray
    opacity: np.ndarray
    grades: np.ndarray
    tint: np.ndarray
    geometry: int


def _compiled(function: Callable[..., Any]) -> Any:
    """Compiled where it is first called, without the interpreter's lock; kept where there is a place for that."""
    exact = {"contract", "arcp", "nsz", "nnan", "ninf", "afn"}  # the order of sums stays: tiles add as one pixel does
    compile_ = partial(numba.njit, nogil=True, fastmath=exact, error_model="numpy")
    try:
        return compile_(cache=True)(function)
    except RuntimeError:  # no folder to write to
        return compile_()(function)


_ZERO, _HALF, _ONE, _FOUR = (np.float32(one) for one in (0, 0.5, 1, 4))
_TURN = np.float32(1 / (2 * np.pi))
_END = np.float32(6)
"""Where tanh is 1 but for 1e-5."""
_P0, _P1, _P2 = (np.float32(one) for one in (0.99997117, 0.11447304, 0.0014955689))
_Q1, _Q2, _Q3 = (np.float32(one) for one in (0.44771445, 0.017487512, 5.5186822e-05))
"""Of a rational function that is tanh up to _END but for 7e-6, its largest error as small as it can be."""
_S0, _S1, _S2, _S3, _S4 = (np.float32(one) for one in (6.2830558, -41.331214, 81.366815, -74.478002, 32.781396))
"""The same of a sine of half a turn to both sides: 6e-6."""


@_compiled
def _tanh(x: Any) -> Any:
    x = min(max(x, -_END), _END)
    u = x * x
    return x * (_P0 + u * (_P1 + u * _P2)) / (_ONE + u * (_Q1 + u * (_Q2 + u * _Q3)))


@_compiled
def _sigmoid(x: Any) -> Any:
    return _HALF + _HALF * _tanh(_HALF * x)


@_compiled
def _sin(x: Any) -> Any:
    turns = x * _TURN
    turns = turns - np.floor(turns + _HALF)
    u = turns * turns
    return turns * (_S0 + u * (_S1 + u * (_S2 + u * (_S3 + u * _S4))))


@_compiled
def _affine(weights: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
    """y (rows, TILE) of x (columns, TILE): two rows and four columns at once, so that each load serves twice."""
    for i in range(0, weights.shape[0], 2):
        for p in range(TILE):
            y[i, p], y[i + 1, p] = weights[i, 0], weights[i + 1, 0]
        for j in range(0, weights.shape[1] - 1, 4):
            a, b, c, d = weights[i, j + 1], weights[i, j + 2], weights[i, j + 3], weights[i, j + 4]
            e, f, g, h = weights[i + 1, j + 1], weights[i + 1, j + 2], weights[i + 1, j + 3], weights[i + 1, j + 4]
            for p in range(TILE):
                x0, x1, x2, x3 = x[j, p], x[j + 1, p], x[j + 2, p], x[j + 3, p]
                y[i, p] += a * x0 + b * x1 + c * x2 + d * x3
                y[i + 1, p] += e * x0 + f * x1 + g * x2 + h * x3


@_compiled
def _silu(y: np.ndarray, kept: float, x: np.ndarray) -> None:
    """x <- kept x + silu(y), both (rows, TILE)."""
    for i in range(len(x)):
        for p in range(TILE):
            x[i, p] = kept * x[i, p] + y[i, p] * _sigmoid(y[i, p])


@_compiled
def _sin_tanh(y: np.ndarray, summed: np.ndarray, begin: int, width: int, x: np.ndarray) -> None:
    """A first layer's rows from `begin` of all sums (TILE, rows), with what was asked of pixels, to its x."""
    for i in range(width // 3):
        for p in range(TILE):
            x[i, p] = _sin(y[i, p] + summed[p, begin + i])
    for i in range(width // 3, width):
        for p in range(TILE):
            x[i, p] = _tanh(y[i, p] + summed[p, begin + i])


@_compiled
def _over(picture: np.ndarray, alpha: np.ndarray, most: float, colours: np.ndarray) -> None:
    """A layer's colours (3, TILE) over a picture's, as far as its alpha (TILE,), before a sigmoid, and `most` say."""
    for p in range(TILE):
        share = most * _sigmoid(_FOUR * alpha[p])
        for c in range(3):
            picture[c, p] += share * (colours[c, p] - picture[c, p])


@_compiled
def _graded(matrix: np.ndarray, picture: np.ndarray) -> None:
    for p in range(TILE):
        r, g, b = picture[0, p], picture[1, p], picture[2, p]
        for c in range(3):
            picture[c, p] = matrix[c, 0] * r + matrix[c, 1] * g + matrix[c, 2] * b + matrix[c, 3]


@_compiled
def _look(places: np.ndarray, where: Where, sums: Sums, summed: np.ndarray, asked: np.ndarray) -> None:
    """Places (n, 2), rows and columns: what is shared of their sums (n, rows), what they are asked (inputs, n)."""
    width = len(where.x_share)
    for p in range(len(places)):
        row, column = places[p]
        first = where.y_sample[row] * where.samples_across + where.x_sample[column]
        right, down = where.x_share[column], where.y_share[row]
        one, two, three = (_ONE - right) * (_ONE - down), right * (_ONE - down), (_ONE - right) * down
        above, beside = sums.samples[first], sums.samples[first + 1]
        below, across = sums.samples[first + where.samples_across], sums.samples[first + where.samples_across + 1]
        block = sums.blocks[where.y_block[row] * where.blocks_across + where.x_block[column]]
        by_column, by_row = sums.columns[column], sums.rows[row]
        for i in range(summed.shape[1]):
            smooth = one * above[i] + two * beside[i] + three * below[i] + right * down * across[i]
            summed[p, i] = smooth + block[i] + by_column[i] + by_row[i]
        for i in range(where.around.shape[1]):
            asked[i, p] = where.around[row * width + column, i]


@_compiled
def _draw(places: np.ndarray, where: Where, sums: Sums, network: Network, picture: np.ndarray) -> None:
    """Places (n, 2), rows and columns, of a picture (3, height, width), in 0..1."""
    width, own_width, layers, shown = network.width, network.own_width, network.layers, len(network.own_first)
    last, geometry = 3 + layers, 3 + 4 * layers
    summed = np.zeros((TILE, sums.samples.shape[1]), np.float32)
    asked = np.zeros((network.first.shape[1] - 1, TILE), np.float32)
    x = np.zeros((network.second.shape[1] - 1, TILE), np.float32)
    y = np.zeros_like(x)
    out = np.zeros((network.last.shape[0], TILE), np.float32)
    own_x = np.zeros((network.own_second.shape[2] - 1, TILE), np.float32)
    own_first = np.zeros((network.own_first.shape[1], TILE), np.float32)
    own_y = np.zeros((network.own_third.shape[2] - 1, TILE), np.float32)
    own_hidden = np.zeros_like(own_y)
    alphas = np.zeros((network.own_third.shape[1], TILE), np.float32)
    paint = np.zeros((3, TILE), np.float32)
    for start in range(0, len(places), TILE):
        some = places[start : start + TILE]
        _look(some, where, sums, summed, asked)
        _affine(network.first, asked, y)
        _sin_tanh(y, summed, 0, width, x)
        _affine(network.second, x, y)
        _silu(y, _ZERO, x)
        _affine(network.third, x, y)
        _silu(y, _ONE, x)
        _affine(network.last, x, out)
        for layer in range(layers):
            _over(out, out[3 + layer], _ONE, out[last + 3 * layer :])
        for k in range(shown):
            _affine(network.own_first[k], asked, own_first)
            _sin_tanh(own_first, summed, width + k * own_width, own_width, own_x)
            for i in range(network.geometry):
                for p in range(TILE):
                    own_x[own_width + i, p] = _tanh(out[geometry + i, p])
            _affine(network.own_second[k], own_x, own_y)
            _silu(own_y, _ZERO, own_hidden)
            _affine(network.own_third[k], own_hidden, alphas)
            _graded(network.grades[k], out)
            for layer in range(network.colours.shape[1]):
                for c in range(3):
                    for p in range(TILE):
                        paint[c, p] = network.colours[k, layer, c]
                _over(out, alphas[layer], network.opacity[k], paint)
        _graded(network.tint, out)
        for p in range(len(some)):
            row, column = some[p]
            for c in range(3):
                picture[c, row, column] = min(max(out[c, p] * _HALF + _HALF, _ZERO), _ONE)


@_compiled
def _between(picture: np.ndarray, step: int, flat: float, places: np.ndarray) -> int:
    """Fill in every `step`-th pixel between four of every other that differ by `flat` at most, those beyond the last
    like it; the others become the first of `places` (n, 2). How many these are."""
    height, width = picture.shape[1:]
    count = 0
    for top in range(0, height, 2 * step):
        below = top + 2 * step if top + 2 * step < height else top
        for left in range(0, width, 2 * step):
            right = left + 2 * step if left + 2 * step < width else left
            spread = _ZERO
            for c in range(3):
                a, b, d, e = (
                    picture[c, top, left],
                    picture[c, top, right],
                    picture[c, below, left],
                    picture[c, below, right],
                )
                spread = max(spread, max(max(a, b), max(d, e)) - min(min(a, b), min(d, e)))
            for down, across in ((0, step), (step, 0), (step, step)):
                row, column = top + down, left + across
                if row >= height or column >= width:
                    continue
                if spread > flat:
                    places[count, 0], places[count, 1] = row, column
                    count += 1
                    continue
                beyond, beside = below if down else top, right if across else left
                for c in range(3):
                    ends = picture[c, top, left] + picture[c, beyond, beside]
                    others = picture[c, top, beside] + picture[c, beyond, left]
                    picture[c, row, column] = _HALF * _HALF * (ends + others)
    return count


@_compiled
def paint(picture: np.ndarray, coarsest: int, flat: float, where: Where, sums: Sums, network: Network) -> None:
    """Paint all of a picture (3, height, width): pixels `coarsest` apart, a power of two, then what lies between."""
    height, width = picture.shape[1:]
    places = np.empty((height * width, 2), np.int64)
    count = 0
    for row in range(0, height, coarsest):
        for column in range(0, width, coarsest):
            places[count, 0], places[count, 1] = row, column
            count += 1
    step = coarsest
    while True:
        _draw(places[:count], where, sums, network, picture)
        if step == 1:
            return
        step //= 2
        count = _between(picture, step, flat, places)
