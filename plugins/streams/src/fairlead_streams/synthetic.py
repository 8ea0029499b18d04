"""The invented price: a pure function of seed, symbol and a fixed grid of time.

Time is cut into blocks of 15 minutes. A mean-reverting walk over block borders, from an anchor in both
directions, gives each block its first and last price, its regime and perhaps a jump; within a block a seeded
random bridge joins the two, over pieces of a few hundred ticks where the grid is fine. So any moment can be made
without making what came before it, history joins what runs live, and two runs that begin at different times see the
same market.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from itertools import accumulate
from math import ceil, cos, exp, floor, log, pi, sin, sqrt
from random import Random
from zlib import crc32

import attrs

from fairlead import Instrument
from fairlead_streams.series import Series, quote_series, trade_series

BLOCK_NS = 900 * 1_000_000_000
WHOLE, PIECE = 900, 300
"""Ticks of a block that is made in one go, and those of a piece of any other: a few milliseconds."""

ANCHOR_NS = 1_704_067_200 * 1_000_000_000
"""2024-01-01 UTC, where every walk stands at its start price."""

_DAY = 86_400 * 1_000_000_000
_BLOCKS_A_DAY = _DAY // BLOCK_NS
_KEEP = 0.9993
"""The share of its distance from the start price that the walk keeps per block: half is gone in ten days."""

_CALM, _UP, _DOWN, _VOLATILE = range(4)
_WIDTH = {_CALM: 0.5, _UP: 0.8, _DOWN: 0.8, _VOLATILE: 2.2}
_DRIFT = {_CALM: 0.0, _UP: 0.6, _DOWN: -0.6, _VOLATILE: 0.0}
_CHANGE = 0.2
"""How often, per block, a new regime is drawn: one lasts about an hour and a half."""

_JUMP = 0.015
"""How often a block has a jump: between one and two a day."""

_STEP_SD = sqrt(1 / 6)
"""Of the difference of two uniform numbers."""


@attrs.frozen
class Manners:
    """How an invented market behaves; volatility is that of a day, spread a ratio of the price."""

    price: float
    volatility: float
    spread: float
    regimes: bool
    jumps: bool


class Walk:
    """The log price at block borders, relative to the anchor's, in one direction of time."""

    def __init__(self, seed: str, manners: Manners, step: int) -> None:
        self._random = Random(crc32(f"{seed}|{step}".encode()))
        self._manners = manners
        self._step = step
        self._regime = _CALM
        self.levels = array("d", [0.0])
        self.regimes = bytearray()
        self.jumps = array("d")

    def reach(self, count: int) -> None:
        """Make sure of `count` blocks."""
        manners, draw = self._manners, self._random.random
        sigma = manners.volatility / sqrt(_BLOCKS_A_DAY)
        level = self.levels[-1]
        for index in range(len(self.regimes), count):
            change, first, second, surprise = draw(), draw(), draw(), draw()
            if manners.regimes and change < _CHANGE:
                self._regime = int(change / _CHANGE * 4)
            width = sigma * _WIDTH[self._regime] * season(self._step * index) if manners.regimes else sigma
            jump = 0.0
            if manners.jumps and surprise < _JUMP:
                size = surprise / _JUMP * 2 - 1
                jump = sigma * (6 * size + (2 if size > 0 else -2))
            normal = sqrt(-2 * log(1 - first)) * cos(2 * pi * second)
            drift = _DRIFT[self._regime] * sigma if manners.regimes else 0.0
            level = _KEEP * level + drift + width * normal + jump
            self.levels.append(level)
            self.regimes.append(self._regime)
            self.jumps.append(jump)


def season(block: int) -> float:
    """How lively a block is by its hour of the day (counted from midnight UTC): quiet at 4, lively at 15."""
    day = 2 * pi * (block % _BLOCKS_A_DAY) / _BLOCKS_A_DAY
    return 1 + 0.35 * sin(day - 2.35) + 0.1 * sin(2 * day)


class Market:
    """One invented instrument on the grid of `every_ns`: a quote and a trade at each of its moments."""

    def __init__(self, instrument: Instrument, manners: Manners, *, seed: int, every_ns: int) -> None:
        self.instrument = instrument
        self._manners = manners
        self._seed = f"{seed}|{instrument.symbol}"
        self._every = every_ns
        self._forward = Walk(self._seed, manners, 1)
        self._backward = Walk(self._seed, manners, -1)
        self._digits = max(0, -int(instrument.tick.normalize().as_tuple().exponent))
        self._tick = float(instrument.tick)
        self._lot = float(instrument.lot)
        self._lot_digits = max(0, -int(instrument.lot.normalize().as_tuple().exponent))
        self._count = BLOCK_NS // every_ns
        self._piece = self._count if self._count <= WHOLE else PIECE
        self.piece_ns = self._piece * every_ns
        self.pieces = -(-self._count // self._piece)
        self._course: tuple[int, list[float], int] = (-1, [], 0)

    def approach(self, index: int) -> Iterator[None]:
        """Lead the walk to a block, a thousand blocks at a time."""
        offset = index - ANCHOR_NS // BLOCK_NS
        walk, wanted = (self._forward, offset + 1) if offset >= 0 else (self._backward, -offset)
        for count in range(len(walk.regimes), wanted, 1_000):
            walk.reach(count)
            yield

    def piece(self, index: int, number: int = 0, *, quotes: bool = True) -> tuple[Series | None, Series]:
        """The quotes and the trades of one of the `pieces` of a block, which is `BLOCK_NS` long, counted from 1970."""
        start, end, regime, jump = self._borders(index)
        lively = (_WIDTH[regime] if self._manners.regimes else 1.0) * season(index)
        first = number * self._piece
        count = min(self._piece, self._count - first)
        if self.pieces == 1:
            random = Random(crc32(f"{self._seed}|{index}".encode()))
            rise, leap = end - start - jump, -1
        else:
            random = Random(crc32(f"{self._seed}|{index}|{number}".encode()))
            levels, leap = self._levels(index, start, end - jump, lively)
            start, rise = levels[number], levels[number + 1] - levels[number]
        draw = random.random
        noise = [draw() - draw() for _ in range(count)]
        if leap < 0:
            leap = int(draw() * count)
        mids = self._bridge(noise, start, rise, jump, leap - first, lively)
        bids, asks = self._sides(mids, noise, lively)
        begin = index * BLOCK_NS + first * self._every
        times = array("q", range(begin, begin + count * self._every, self._every))
        trades = self._trades(random, times, bids, asks, noise)
        if not quotes:
            return None, trades
        sizes = [self._sizes(random, count, mids[0]) for _ in range(2)]
        return quote_series(self.instrument.id, times, times, bids, asks, *sizes), trades

    def _borders(self, index: int) -> tuple[float, float, int, float]:
        offset = index - ANCHOR_NS // BLOCK_NS
        if offset >= 0:
            self._forward.reach(offset + 1)
            walk = self._forward
            return walk.levels[offset], walk.levels[offset + 1], walk.regimes[offset], walk.jumps[offset]
        self._backward.reach(-offset)
        walk, place = self._backward, -offset - 1
        return walk.levels[place + 1], walk.levels[place], walk.regimes[place], -walk.jumps[place]

    def _levels(self, index: int, start: float, end: float, lively: float) -> tuple[list[float], int]:
        """The level at the borders of a block's pieces without its jump, and the step at which it jumps."""
        if self._course[0] != index:
            random = Random(crc32(f"{self._seed}|{index}|course".encode()))
            draw = random.random
            scale = self._scale(lively) * sqrt(self._piece)
            wander = list(accumulate((draw() - draw() for _ in range(self.pieces)), initial=0.0))
            slope = (end - start - scale * wander[-1]) / self.pieces
            levels = [start + scale * wander[step] + slope * step for step in range(self.pieces + 1)]
            self._course = (index, levels, int(draw() * self._count))
        return self._course[1], self._course[2]

    def _scale(self, lively: float) -> float:
        """What a step of the grid counts: a day's steps together have the day's volatility."""
        return self._manners.volatility / sqrt(_BLOCKS_A_DAY * self._count) / _STEP_SD * lively

    def _bridge(
        self, noise: Sequence[float], start: float, rise: float, jump: float, moment: int, lively: float
    ) -> list[float]:
        count = len(noise)
        scale = self._scale(lively)
        wander = list(accumulate(noise, initial=0.0))
        slope = (rise - scale * wander[-1]) / count
        price = self._manners.price
        return [
            price * exp(start + scale * wander[step] + slope * step + (jump if step >= moment else 0.0))
            for step in range(count)
        ]

    def _sides(
        self, mids: Sequence[float], noise: Sequence[float], lively: float
    ) -> tuple[array[float], array[float]]:
        """Bid and ask around the middle, wider the livelier the market and the larger the last move."""
        tick, digits = self._tick, self._digits
        half = self._manners.spread / 2 * (0.5 + 0.5 * lively)
        bids, asks = array("d"), array("d")
        for mid, move in zip(mids, noise, strict=True):
            width = mid * half * (0.7 + 0.9 * abs(move))
            low = max(1, floor((mid - width) / tick))
            bids.append(round(low * tick, digits))
            asks.append(round(max(low + 1, ceil((mid + width) / tick)) * tick, digits))
        return bids, asks

    def _trades(
        self,
        random: Random,
        times: array[int],
        bids: Sequence[float],
        asks: Sequence[float],
        noise: Sequence[float],
    ) -> Series:
        """Buyers lift the ask and sellers hit the bid, the more likely the way the price goes."""
        draw = random.random
        buys = [draw() < 0.5 + 0.3 * move for move in noise]
        prices = array("d", [ask if buy else bid for bid, ask, buy in zip(bids, asks, buys, strict=True)])
        sides = bytearray(1 if buy else 2 for buy in buys)
        sizes = self._sizes(random, len(noise), bids[0], share=0.1)
        first = times[0] // self._every
        ids = range(first, first + len(times))
        return trade_series(self.instrument.id, times, times, prices, sizes, sides, ids)

    def _sizes(self, random: Random, count: int, price: float, share: float = 1.0) -> array[float]:
        """Many small and a few large, worth some ten thousand in the quote currency."""
        draw, lot, digits = random.random, self._lot, self._lot_digits
        lots = 20_000 * share / price / lot
        return array("d", [round((1 + int(lots * -log(1 - draw()))) * lot, digits) for _ in range(count)])
