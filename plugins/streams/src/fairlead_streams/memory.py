"""Feeds out of what is in memory already: columns, or ready events. The same checks as for a file."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Mapping, Sequence

from fairlead import Bar, ConfigurationError, Quote, Trade, duration
from fairlead.ports import MarketEvent
from fairlead_streams.checks import Rows, check_bars, check_order, check_prices, check_quotes, check_sizes
from fairlead_streams.series import Series, bar_series, event_series, quote_series, trade_series
from fairlead_streams.text import interval_text, some, when

Columns = Mapping[str, Sequence[float]]


def quotes_of(instrument: str, times: Sequence[int], columns: Columns) -> Series:
    """Quotes from the columns bid, ask, bid_size, ask_size."""
    rows = _columns("quotes", times, columns)
    check_prices(rows, ("bid", "ask"))
    check_quotes(rows)
    check_sizes(rows, ("bid_size", "ask_size"), zero=True)
    held = _clean(rows, distinct=False)
    return quote_series(instrument, held, held, *(rows.columns[role] for role in columns))


def trades_of(instrument: str, times: Sequence[int], columns: Columns) -> Series:
    """Trades from the columns price, size."""
    rows = _columns("trades", times, columns)
    check_prices(rows, ("price",))
    check_sizes(rows, ("size",), zero=False)
    held = _clean(rows, distinct=False)
    return trade_series(instrument, held, held, *(rows.columns[role] for role in columns))


def bars_of(instrument: str, times: Sequence[int], columns: Columns, interval: str) -> Series:
    """Bars from the columns open, high, low, close, volume; times are their closes."""
    rows = _columns("bars", times, columns)
    check_prices(rows, ("open", "high", "low", "close"))
    check_bars(rows)
    check_sizes(rows, ("volume",), zero=True)
    closed = _clean(rows, distinct=True)
    length = duration(interval)
    opened = array("q", [time - length for time in closed])
    held = [rows.columns[role] for role in columns]
    return bar_series(instrument, interval_text(length), opened, closed, closed, *held)


def events_of(events: Iterable[MarketEvent], known: Collection[str]) -> list[Series]:
    """A feed for each kind and instrument; `known` are the instruments' long forms."""
    feeds: dict[tuple[str, str], list[MarketEvent]] = {}
    last = None
    for number, event in enumerate(events, start=1):
        if event.instrument not in known:
            raise ConfigurationError(
                f"event {number} is on {event.instrument!r}, and the instruments are {', '.join(known)}: "
                f"pass its instrument, and name it in the long form"
            )
        if last is not None and event.received_ns < last:
            raise ConfigurationError(
                f"event {number}: its time {when(event.received_ns)} is before that of event {number - 1}, and "
                f"events come in the order of received_ns: sort them"
            )
        last = event.received_ns
        feeds.setdefault((event.instrument, _kind_of(event)), []).append(event)
    return [event_series(owner, kind, rows) for (owner, kind), rows in feeds.items()]


def _columns(what: str, times: Sequence[int], columns: Mapping[str, Sequence[float]]) -> Rows:
    rows = Rows(what, "row")
    rows.columns["order"] = times if isinstance(times, array) else array("q", times)
    for role, column in columns.items():
        if len(column) != len(times):
            raise ConfigurationError(
                f"{what}: {role} has {len(column)} values and the times are {len(times)}, and columns are of one "
                f"length: pass as many of each"
            )
        rows.columns[role] = column if isinstance(column, array) else array("d", column)
    rows.lines = array("q", range(1, len(times) + 1))
    return rows


def _clean(rows: Rows, *, distinct: bool) -> array[int]:
    check_order(rows, distinct=distinct)
    if rows.bad:
        raise ConfigurationError(
            f"{rows.file}: {some(map(str, rows.faults()))}: pass finite prices above 0 in the order of time"
        )
    times: array[int] = rows.columns["order"]
    return times


def _kind_of(event: MarketEvent) -> str:
    if isinstance(event, Bar):
        return f"bar:{event.interval}"
    return {Quote: "quote", Trade: "trade"}.get(type(event)) or type(event).__name__.lower()
