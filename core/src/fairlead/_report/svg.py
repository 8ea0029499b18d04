"""Charts as SVG text: lines over time, with markers. Colours are classes, which the page's style sheet fills in."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import ceil, floor, isfinite, log10

import attrs

from fairlead._models.market import utc
from fairlead.units import DAY, HOUR, MINUTE, SECOND

Points = Sequence[tuple[int, float]]

_STEPS = (
    SECOND, 5 * SECOND, 15 * SECOND, 30 * SECOND,
    MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE,
    HOUR, 2 * HOUR, 4 * HOUR, 6 * HOUR, 12 * HOUR,
    DAY, 2 * DAY, 7 * DAY, 14 * DAY, 30 * DAY, 91 * DAY, 365 * DAY,
)  # fmt: skip
_ROOM = 4_096
"""Markers of one chart at most: more would be a smear."""


@attrs.frozen
class Marker:
    """Something that happened at a time and a value: `up` points upwards."""

    at: int
    value: float
    up: bool
    text: str


@attrs.frozen
class Size:
    """How large a chart is drawn, in its own units: text keeps its size where the page does not scale it."""

    width: int
    height: int
    name: str


WIDE = Size(1040, 260, "wide")
NARROW = Size(358, 220, "narrow")


def chart(
    points: Points,
    *,
    title: str,
    suffix: str = "",
    span: tuple[int, int],
    css: str = "line",
    filled: bool = False,
    zero: bool = False,
    markers: Sequence[Marker] = (),
) -> str:
    """One chart in two sizes, of which the page shows the one that fits. "" where there is nothing to draw."""
    points = [point for point in points if isfinite(point[1])]
    if len(points) < 2:
        return ""
    return "".join(
        _draw(size, points, title, suffix, span, css, filled, zero, markers) for size in (WIDE, NARROW)
    )


def sparkline(points: Points, width: int = 120, height: int = 28) -> str:
    """A line as small as a word."""
    points = [point for point in points if isfinite(point[1])]
    if len(points) < 2:
        return ""
    scale = _Scale.over(points, (points[0][0], points[-1][0]), 2, 2, width - 2, height - 2, zero=False)
    return (
        f'<svg class="spark" width="{width}" height="{height}" viewBox="0 0 {width} {height}" aria-hidden="true">'
        f'<path class="line" d="{scale.path(_thin(points, width))}"/></svg>'
    )


@attrs.frozen
class _Scale:
    """From times and values to the drawing."""

    left: float
    top: float
    right: float
    bottom: float
    first: int
    last: int
    low: float
    high: float

    @classmethod
    def over(
        cls,
        points: Points,
        span: tuple[int, int],
        left: float,
        top: float,
        right: float,
        bottom: float,
        *,
        zero: bool,
    ) -> _Scale:
        values = [value for _, value in points]
        low, high = min(values), max(values)
        if zero:
            low, high = min(low, 0.0), max(high, 0.0)
        room = (high - low) * 0.06 or abs(high) * 0.01 or 1.0
        # With nothing but zeros, as of a run that never lost, the scale still has two ends.
        keeps_low = zero and low == 0 < high
        low, high = (low if keeps_low else low - room), (high if zero and high == 0 else high + room)
        first, last = span
        return cls(left, top, right, bottom, first, max(last, first + 1), low, high)

    def x(self, at: int) -> float:
        return self.left + (self.right - self.left) * (at - self.first) / (self.last - self.first)

    def y(self, value: float) -> float:
        return self.bottom - (self.bottom - self.top) * (value - self.low) / (self.high - self.low)

    def path(self, points: Points) -> str:
        return "M" + "L".join(f"{self.x(at):.1f} {self.y(value):.1f}" for at, value in points)


def _draw(
    size: Size,
    points: Points,
    title: str,
    suffix: str,
    span: tuple[int, int],
    css: str,
    filled: bool,
    zero: bool,
    markers: Sequence[Marker],
) -> str:
    width, height = size.width, size.height
    scale = _Scale.over(points, span, 4, 10, width - 4, height - 26, zero=zero)
    lines, places = _values(scale.low, scale.high, 4)
    labels = [f"{value:,.{places}f}{suffix}" for value in lines]
    gutter = max([64, *(len(label) * 7 + 12 for label in labels)])
    scale = attrs.evolve(scale, left=gutter)
    parts = [
        f'<svg class="chart {size.name}" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">',
        f"<title>{escape(title)}</title>",
    ]
    for value, label in zip(lines, labels, strict=True):
        y = scale.y(value)
        parts.append(f'<path class="grid" d="M{gutter:.1f} {y:.1f}H{width - 4}"/>')
        parts.append(f'<text x="{gutter - 8:.1f}" y="{y + 4:.1f}" text-anchor="end">{escape(label)}</text>')
    parts += _times(scale, height, int((width - gutter) // 88))
    thin = _thin(points, width)
    if filled:
        base = scale.y(0.0 if zero else scale.low)
        parts.append(
            f'<path class="{css} area" d="{scale.path(thin)}L{scale.x(thin[-1][0]):.1f} {base:.1f}'
            f'L{scale.x(thin[0][0]):.1f} {base:.1f}Z"/>'
        )
    parts.append(f'<path class="{css}" d="{scale.path(thin)}"/>')
    parts += [_marker(scale, marker, 5.0 if len(markers) <= 150 else 3.5) for marker in markers[-_ROOM:]]
    parts.append("</svg>")
    return "".join(parts)


def _marker(scale: _Scale, marker: Marker, half: float) -> str:
    """A triangle whose tip is at the value: buys point up from below, sells down from above."""
    x, y = scale.x(marker.at), scale.y(min(max(marker.value, scale.low), scale.high))
    tall = half * 1.7 if marker.up else -half * 1.7
    return (
        f'<path class="{"buy" if marker.up else "sell"}" '
        f'd="M{x:.1f} {y:.1f}l{half:g} {tall:.1f}h{-2 * half:g}z"><title>{escape(marker.text)}</title></path>'
    )


def _times(scale: _Scale, height: int, most: int) -> list[str]:
    """Ticks at round times, each with its label; the first of a day says which."""
    length = scale.last - scale.first
    step = next(
        (step for step in _STEPS if length / step < most + 1),
        _STEPS[-1] * max(1, length // _STEPS[-1] // most),
    )
    at = -(-scale.first // step) * step
    parts, day = [], ""
    while at <= scale.last:
        when = utc(at)
        label = f"{when:%d %b}" if step >= DAY else f"{when:%H:%M:%S}" if step < MINUTE else f"{when:%H:%M}"
        if step >= 365 * DAY:
            label = f"{when:%b %Y}"
        elif step < DAY and (today := f"{when:%d %b}") != day:
            label, day = (f"{today} {label}" if not day or step >= HOUR else today), today
        x = scale.x(at)
        inside = 44 if len(label) > 8 else 20
        if scale.left + inside <= x <= scale.right - inside:
            parts.append(f'<path class="grid" d="M{x:.1f} {scale.top}V{scale.bottom}"/>')
            parts.append(f'<text x="{x:.1f}" y="{height - 8}" text-anchor="middle">{escape(label)}</text>')
        at += step
    return parts


def _values(low: float, high: float, most: int) -> tuple[list[float], int]:
    """Round values between two others, and how many decimals tell them apart."""
    rough = (high - low) / most
    power = 10.0 ** floor(log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough)
    first, last = ceil(low / step), floor(high / step)
    places = 0 if step >= 1 else min(8, -floor(log10(step)) + (step / 10.0 ** floor(log10(step)) == 2.5))
    return [index * step + 0.0 for index in range(first, last + 1)], places + (step == 2.5)


def _thin(points: Points, width: int) -> Points:
    """At most four points for each unit of width: first, lowest, highest, last, so that no spike is lost."""
    if len(points) <= 2 * width:
        return points
    first, last = points[0][0], points[-1][0]
    step = max(1, (last - first) // (width // 2))
    thin: list[tuple[int, float]] = []
    bucket: list[tuple[int, float]] = []
    for point in points:
        if bucket and (point[0] - first) // step != (bucket[0][0] - first) // step:
            thin += _corners(bucket)
            bucket = []
        bucket.append(point)
    return [*thin, *_corners(bucket)]


def _corners(bucket: list[tuple[int, float]]) -> list[tuple[int, float]]:
    chosen = {bucket[0], bucket[-1], min(bucket, key=lambda p: p[1]), max(bucket, key=lambda p: p[1])}
    return sorted(chosen)
