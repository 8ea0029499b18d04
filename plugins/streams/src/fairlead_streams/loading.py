"""From a file to feeds: read it, tell its columns, check every row, and hold what is left as columns."""

from __future__ import annotations

import io
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, tzinfo
from decimal import Decimal
from itertools import chain
from pathlib import Path

import attrs

from fairlead import ConfigurationError, Instrument, duration
from fairlead_streams.checks import (
    Fault,
    Gap,
    Rows,
    check_bars,
    check_order,
    check_overlap,
    check_prices,
    check_quotes,
    check_sizes,
    find_gaps,
    is_newest_first,
    spacing,
)
from fairlead_streams.columns import KINDS, Layout, detect, plain
from fairlead_streams.csv_reader import read_csv
from fairlead_streams.jsonl_reader import read_json
from fairlead_streams.parquet_reader import read_parquet
from fairlead_streams.parsing import append, time_role
from fairlead_streams.recorded import check, gather, series_of
from fairlead_streams.series import Series, bar_series, quote_series, trade_series
from fairlead_streams.sidecar import PARTIAL, Sidecar, beside, read_sidecar
from fairlead_streams.tables import Chunk, Table, opened
from fairlead_streams.text import interval_text, some
from fairlead_streams.times import TimeReader, zone_of, zoneless

TICK_ROWS = 1000
UNNAMED = "?"
"""The symbol of rows that name none, where they are only looked at."""

_MILLISECOND = 1_000_000
_PRICES = {"bars": ("open", "high", "low", "close"), "quotes": ("bid", "ask"), "trades": ("price",)}


@attrs.frozen
class Reading:
    """What the user said of the files; None where the file must say it."""

    symbol: str | None
    kind: str | None
    zone: tzinfo | None
    volume_unit: str | None
    bar_label: str | None
    interval_ns: int | None
    columns: Mapping[str, str | int] | Sequence[str] | None
    skip: bool
    lenient: bool = False
    """Assume what is not said, and note it: to look at a file, not to trade on it."""


def reading(
    *,
    symbol: str | None = None,
    kind: str | None = None,
    tz: str | tzinfo | None = None,
    volume_unit: str | None = None,
    bar_label: str | None = None,
    interval: str | int | None = None,
    columns: Mapping[str, str | int] | Sequence[str] | None = None,
    on_fault: str = "refuse",
    lenient: bool = False,
) -> Reading:
    """What a user said of files, looked through. Raises ConfigurationError."""
    _one_of("kind", kind, (None, *KINDS))
    _one_of("volume_unit", volume_unit, (None, "base", "quote"))
    _one_of("bar_label", bar_label, (None, "open", "close"))
    _one_of("on_fault", on_fault, ("refuse", "skip"))
    interval_ns = None if interval is None else duration(interval)
    if interval_ns is not None and interval_ns <= 0:
        raise ConfigurationError(
            f"interval {interval} is no length of a bar: pass one such as interval='1m', or leave it out"
        )
    skip = on_fault == "skip"
    return Reading(symbol, kind, zone_of(tz), volume_unit, bar_label, interval_ns, columns, skip, lenient)


def _one_of(what: str, value: object, known: Sequence[object]) -> None:
    if value not in known:
        choices = ", ".join(repr(item) for item in known if item is not None)
        raise ConfigurationError(f"{what} {value!r} is not known: use one of {choices}")


@attrs.frozen
class Feed:
    """One feed out of one file: its series, where it begins there, and the tick its first rows show."""

    series: Series
    file: str
    first_line: int
    word: str
    tick: Decimal
    rows: Rows


@attrs.define
class Loaded:
    """What a file gave: feeds, and everything found on the way; of a recording its instruments and labels too."""

    instruments: dict[str, Instrument] = attrs.field(factory=dict)
    labels: dict[str, None] = attrs.field(factory=dict)
    feeds: list[Feed] = attrs.field(factory=list)
    faults: list[Fault] = attrs.field(factory=list)
    gaps: list[Gap] = attrs.field(factory=list)
    notes: list[str] = attrs.field(factory=list)


def load(path: Path, said: Reading) -> Loaded:
    """Read a file whole. Raises ConfigurationError for one that cannot be used, or not without being told more."""
    side = read_sidecar(path)
    if side is not None:
        return _load_recording(path, side, said)
    if path.name.endswith(PARTIAL):
        raise ConfigurationError(
            f"{path}: it is a recording that was cut short, and its sidecar {beside(path).name} is not there: restore "
            f"that, or rename the file and say yourself what it holds"
        )
    found = Loaded()
    with _table(path) as table:
        rows, layout = _gather(path.name, table, said, found)
    if table.unfinished:
        found.notes.append(
            f"{path.name}: {table.unfinished:,} updates of unfinished candles are no bars, and were left out"
        )
    parts = _by_symbol(rows, said, found)
    for _, part in parts:
        _check(part, layout, found)
    faults = [fault for _, part in parts for fault in part.faults()]
    faults += [Fault(path.name, line, reason, table.word) for line, reason in table.ragged]
    intervals: dict[str, int] = {}
    usable = [(symbol, part.good()) for symbol, part in parts]
    if layout.kind == "bars":
        for place, (symbol, part) in enumerate(usable):
            intervals[symbol] = _interval(part, said)
            check_overlap(part, intervals[symbol])
            faults = faults + [
                Fault(part.file, part.lines[index], why, part.word) for index, why in part.bad.items()
            ]
            usable[place] = (symbol, part.good())
    faults.sort(key=lambda fault: fault.line)
    if faults and (not said.skip or not any(len(part) for _, part in usable)):
        raise ConfigurationError(_refusal(path.name, faults, said.skip))
    if not any(len(part) for _, part in usable):
        raise ConfigurationError(
            f"{path.name}: it has no rows, and a file of market data has some: record it again"
        )
    found.faults = faults
    for symbol, part in usable:
        if len(part):
            found.feeds.append(_feed(symbol, part, layout, intervals.get(symbol, 0), found))
    return found


def _load_recording(path: Path, side: Sidecar, said: Reading) -> Loaded:
    """Read a file by its sidecar: nothing is guessed, and nothing has to be said."""
    if not said.lenient and (path.name.endswith(PARTIAL) or not side.complete):
        raise ConfigurationError(
            f"{path}: its recording was cut short before it was whole: finish it with "
            f"`fairlead data verify --repair {path.name}`"
        )
    instrument = _renamed(path, side.instrument, said.symbol)
    found = Loaded(instruments={instrument.id: instrument}, labels={side.label: None} if side.label else {})
    with _table(path) as table:
        rows = gather(path.name, table, side)
    gaps = check(rows, side.kind)
    faults = rows.faults() + [Fault(path.name, line, reason, table.word) for line, reason in table.ragged]
    good = rows.good()
    faults.sort(key=lambda fault: fault.line)
    if faults and (not said.skip or not len(good)):
        raise ConfigurationError(_refusal(path.name, faults, said.skip))
    if not len(good):
        raise ConfigurationError(f"{path.name}: it has no rows, and a recording has some: record it again")
    found.faults, found.gaps = faults, gaps
    series = series_of(good, side, instrument.id)
    found.feeds.append(Feed(series, path.name, good.lines[0], good.word, instrument.tick, good))
    return found


def _renamed(path: Path, instrument: Instrument, symbol: str | None) -> Instrument:
    """The instrument under the symbol that the user gave it, which may name another venue."""
    if symbol is None or symbol in (instrument.id, instrument.symbol):
        return instrument
    name, _, venue = symbol.partition("@")
    if name != instrument.symbol:
        raise ConfigurationError(
            f"{path.name}: its sidecar says that it holds {instrument.id}, and symbol={symbol!r} is another: leave "
            f"symbol out, or name the right file"
        )
    return attrs.evolve(instrument, venue=venue)


@contextmanager
def _table(path: Path) -> Iterator[Table]:
    with opened(path) as (stream, head):
        if head[:4] == b"PAR1" or path.suffix.lower() in {".parquet", ".pq"}:
            yield read_parquet(path)
        else:
            with io.TextIOWrapper(stream, "utf-8-sig", newline="") as text:
                is_json = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in {b"{", b"["}
                yield (read_json if is_json else read_csv)(path.name, text)


def _gather(file: str, table: Table, said: Reading, found: Loaded) -> tuple[Rows, Layout]:
    """All chunks as columns by role, their cells parsed."""
    first = next(table.chunks, None)
    if first is None or not len(first.lines):
        why = f": {table.ragged[0][1]}" if table.ragged else ""
        raise ConfigurationError(
            f"{file}: it has no rows{why}, and a file of market data has some: record or download it again"
        )
    layout = detect(
        file, table.names, first.head(20) if table.names is None else (), kind=said.kind, columns=said.columns
    )
    layout = _settled(file, layout, first, said, found)
    rows = Rows(file, table.word)
    clock = TimeReader(file, UTC if said.zone is None and said.lenient else said.zone)
    role = time_role(layout)
    for chunk in chain([first], table.chunks):
        append(rows, chunk, layout, clock, role)
    order = (
        rows.columns["time"] if layout.kind == "bars" else rows.columns.get("received", rows.columns["time"])
    )
    rows.columns["order"] = order
    return rows, layout


def _settled(file: str, layout: Layout, chunk: Chunk, said: Reading, found: Loaded) -> Layout:
    """The layout with what the user said, refused where neither said what must be known."""
    missing: list[str] = []
    time = chunk.columns[layout.at[time_role(layout)]]
    if said.zone is None and zoneless(time) is not None:
        missing.append(f"tz='UTC' or another zone (its times, such as {zoneless(time)!r}, name none)")
    label, unit = layout.bar_label, layout.volume_unit
    if layout.kind == "bars":
        unit = said.volume_unit or unit
        if label is not None and said.bar_label not in {None, label}:
            raise ConfigurationError(
                f"{file}: its times are {label} times by their name, and bar_label={said.bar_label!r} says otherwise: "
                f"leave bar_label out, or name the right column with columns="
            )
        label = label or said.bar_label
        if unit is None and "volume" in layout.at:
            missing.append("volume_unit='base' or 'quote' (what its volume counts)")
        if label is None:
            missing.append("bar_label='open' or 'close' (which end of a bar its time marks)")
    if missing and said.symbol is None and _unnamed(layout, chunk):
        missing.insert(0, "symbol='BTC/USDT' or another (its instrument)")
    if missing and said.lenient:
        found.notes.append(f"{file}: it does not say what a replay must know: pass {', '.join(missing)}")
        label, unit = label or "close", unit or "base"
    elif missing:
        raise ConfigurationError(
            f"{file}: it does not say what must be known, and a guess could be wrong without a sign: "
            f"pass {', '.join(missing)}"
        )
    return attrs.evolve(layout, bar_label=label, volume_unit=unit)


def _unnamed(layout: Layout, chunk: Chunk) -> bool:
    """Whether the rows do not tell what they are of: no symbol, or one that does not tell base from quote."""
    return "symbol" not in layout.at or not all(map(_tells, chunk.columns[layout.at["symbol"]][:1]))


def _tells(name: object) -> bool:
    return "/" in str(name) or "." in str(name)


def _by_symbol(rows: Rows, said: Reading, found: Loaded) -> list[tuple[str, Rows]]:
    """The rows of each instrument, under the symbol the user or the file names."""
    native = rows.columns.get("symbol")
    if native is None:
        if said.symbol is None and said.lenient:
            return [(UNNAMED, rows)]
        if said.symbol is None:
            raise ConfigurationError(
                f"{rows.file}: it does not name its instrument, and every event belongs to one: pass symbol=, "
                f"such as symbol='BTC/USDT'"
            )
        return [(said.symbol, rows)]
    every = list(dict.fromkeys(map(str, native)))
    if said.symbol is None:
        unclear = [name for name in every if not _tells(name)]
        if unclear and not said.lenient:
            raise ConfigurationError(
                f"{rows.file}: its symbol {unclear[0]!r} does not tell base from quote, and an instrument needs both: "
                f"pass symbol=, such as symbol='BTC/USDT'"
            )
        if len(every) == 1:
            return [(every[0], rows)]
    else:
        pair = said.symbol.partition("@")[0]
        wanted = {plain(said.symbol), plain(pair), plain(pair.partition(":")[0])}
        chosen = [name for name in every if plain(name) in wanted]
        if len(every) == 1 and (chosen or "/" not in every[0]):
            if not chosen:
                found.notes.append(f"{rows.file}: its symbol {every[0]!r} is taken for {said.symbol}")
            return [(said.symbol, rows)]
        if len(chosen) != 1:
            raise ConfigurationError(
                f"{rows.file}: it holds {some(every, ', ')}, and symbol={said.symbol!r} must name one of them"
            )
        every = chosen
    indices: dict[str, list[int]] = {name: [] for name in every}
    for index, cell in enumerate(native):
        if str(cell) in indices:
            indices[str(cell)].append(index)
    return [(said.symbol or name, rows.take(places)) for name, places in indices.items()]


def _check(rows: Rows, layout: Layout, found: Loaded) -> None:
    """Blame every row that cannot be used; turn a file that runs backwards."""
    check_prices(rows, _PRICES[layout.kind])
    if layout.kind == "bars":
        check_bars(rows)
        check_sizes(rows, ("volume", "quote_volume"), zero=True)
    elif layout.kind == "quotes":
        check_quotes(rows)
        check_sizes(rows, ("bid_size", "ask_size"), zero=True)
    else:
        check_sizes(rows, ("size",) if "size" in rows.columns else ("quote_size",), zero=False)
    if is_newest_first(rows):
        rows.turn()
        found.notes.append(f"{rows.file}: newest first, and was turned round")
    check_order(rows, distinct=layout.kind == "bars")


def _interval(rows: Rows, said: Reading) -> int:
    step = spacing(rows.columns["order"])
    if said.interval_ns is not None:
        if step is not None and step < said.interval_ns:
            wanted = interval_text(said.interval_ns)
            raise ConfigurationError(
                f"{rows.file}: its bars follow each other by {interval_text(step)}, and interval={wanted!r} would have "
                f"them overlap: pass interval={interval_text(step)!r}, or leave it out"
            )
        return said.interval_ns
    if step is None and "close_time" in rows.columns and len(rows):
        step = rows.columns["close_time"][0] - rows.columns["time"][0]
        step += -step % (1000 * _MILLISECOND)
    if step is None and len(rows):
        raise ConfigurationError(
            f"{rows.file}: its one bar does not show how long bars last, and the interval must be known: "
            f"pass interval=, such as interval='1m'"
        )
    return step or 0


def _refusal(file: str, faults: Sequence[Fault], skipped: bool) -> str:
    count = "1 row cannot be used" if len(faults) == 1 else f"{len(faults):,} rows cannot be used"
    remedy = (
        "correct the file: nothing is left without them"
        if skipped
        else "correct the file, or leave them out with on_fault='skip'"
    )
    return (
        f"{file}: {count} ({some(map(str, faults))}), and every row must hold finite prices above 0 in the order of "
        f"time: {remedy}"
    )


def _feed(symbol: str, rows: Rows, layout: Layout, interval: int, found: Loaded) -> Feed:
    instrument = symbol if "@" in symbol else f"{symbol}@sim"
    columns = rows.columns
    times = columns["time"]
    received = columns.get("received", times)
    size = len(rows)
    if layout.kind == "bars":
        series = _bars(instrument, rows, layout, interval, found)
    elif layout.kind == "quotes":
        sizes = [columns.get(role) for role in ("bid_size", "ask_size")]
        if None in sizes:
            found.notes.append(
                f"{rows.file}: it has no sizes, so those of its quotes are 0, which stands for unknown"
            )
        bid_sizes, ask_sizes = (array("d", bytes(8 * size)) if column is None else column for column in sizes)
        series = quote_series(
            instrument, times, received, columns["bid"], columns["ask"], bid_sizes, ask_sizes
        )
    else:
        amounts = columns.get("size")
        if amounts is None:
            amounts = array(
                "d",
                [value / price for value, price in zip(columns["quote_size"], columns["price"], strict=True)],
            )
        series = trade_series(
            instrument,
            times,
            received,
            columns["price"],
            amounts,
            columns.get("aggressor"),
            columns.get("id"),
        )
    tick = finest(chain.from_iterable(columns[role][:TICK_ROWS] for role in _PRICES[layout.kind]))
    return Feed(series, rows.file, rows.lines[0], rows.word, tick, rows)


def _bars(instrument: str, rows: Rows, layout: Layout, interval: int, found: Loaded) -> Series:
    columns = rows.columns
    times = columns["time"]
    if layout.bar_label == "open":
        opened, closed = times, array("q", [time + interval for time in times])
    else:
        # Some venues write the last millisecond of the bar as its close.
        if all((time + _MILLISECOND) % interval == 0 for time in times):
            times = array("q", [time + _MILLISECOND for time in times])
        opened, closed = array("q", [time - interval for time in times]), times
    found.gaps.extend(find_gaps(rows, interval, opened[0] - columns["order"][0]))
    volumes = columns.get("volume")
    if layout.volume_unit == "quote":
        values = volumes if volumes is not None else columns["quote_volume"]
        volumes = array("d", [value / close for value, close in zip(values, columns["close"], strict=True)])
    elif volumes is None:
        found.notes.append(f"{rows.file}: it has no volume, so every bar's is 0")
        volumes = array("d", bytes(8 * len(rows)))
    prices = (columns["open"], columns["high"], columns["low"], columns["close"])
    return bar_series(instrument, interval_text(interval), opened, closed, closed, *prices, volumes)


def finest(prices: Iterable[float]) -> Decimal:
    """The finest decimal among prices, at most 1; the noise of binary fractions is not taken for decimals."""
    digits = {format(price, ".12g") for price in prices}
    exponents = [Decimal(text).normalize().as_tuple().exponent for text in digits]
    return Decimal(1).scaleb(min([0, *(exponent for exponent in exponents if isinstance(exponent, int))]))
