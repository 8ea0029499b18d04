"""The report as HTML: charts, tables and what was assumed. Every text that is not ours is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from html import escape

from fairlead._models.market import utc
from fairlead._models.orders import Side
from fairlead._report.digest import AccountDigest, Digest, StrategyDigest
from fairlead._report.phrases import Event, figure, printable, short
from fairlead._report.style import CSS
from fairlead._report.svg import Marker, chart, sparkline
from fairlead.units import DAY, HOUR, MINUTE

ROWS = 100
"""Of a long list the newest are shown: a page has one scrollbar, its own."""


def page(run: Digest) -> str:
    """The whole document."""
    kind = run.kind or "RUN"
    title = f"{run.name} · {kind}" + (f" · {run.label}" if run.label else "")
    body = "".join(
        (
            _header(run, kind),
            _notices(run),
            *(_account(run, account) for account in run.accounts.values()),
            *(_prices(run, name) for name in sorted(run.prices)),
            _strategies(run),
            _round_trips(run),
            _orders(run),
            _breakers(run),
            _events(run),
            _assumed(run),
        )
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{_text(title)}</title>\n<style>{CSS}</style>\n</head>\n<body>\n<main>\n{body}"
        "<footer>Past results, and simulated ones above all, do not tell what will be. "
        "Times are UTC. Written by fairlead.</footer>\n</main>\n</body>\n</html>\n"
    )


# --- the head ---------------------------------------------------------------------------------------------------


def _header(run: Digest, kind: str) -> str:
    badges = f'<span class="badge">{_text(kind)}</span>'
    if run.label:
        badges += f'<span class="badge plain">{_text(run.label)}</span>'
    span = f"{_when(run.start_ns)} to {_when(run.end_ns)}" if run.start_ns else "nothing was recorded"
    if run.starts > 1:
        span = f"the whole run, {span}, in {run.starts:,} sessions, the last from {_when(run.session_ns)}"
    return (
        f"<header><h1>{_text(run.name)}</h1><p>{badges}</p>"
        f'<p class="quiet">{span} · {_ended(run)}</p></header>\n'
    )


def _ended(run: Digest) -> str:
    if run.ended:
        return f"ended: {_text(run.ended)}"
    return "not ended in good order, or still running: this is how far the journal goes"


def _notices(run: Digest) -> str:
    notices = (
        [f"The record is damaged, and what follows is only what comes before: {run.damage}"]
        if run.damage
        else []
    )
    notices += [f"Standing at the end: {text}" for text in run.standing]
    return "".join(f'<p class="notice" role="note">▲ {_text(text)}</p>\n' for text in notices)


# --- accounts ---------------------------------------------------------------------------------------------------


def _account(run: Digest, account: AccountDigest) -> str:
    unit = account.currency
    own = [trip for trip in run.trips if trip.account == account.name]
    won = sum(trip.profit > 0 for trip in own)
    tiles = [
        ("Equity at start", _money(account.opening), ""),
        ("Equity at end", _money(account.equity), _change(account)),
        ("Max drawdown", f"{account.drawdown:.2%}", f"of {_plural(len(account.line.points), 'sample')}"),
        ("Fees", _money(account.fees), f"{_plural(len(run.fills), 'fill')}"),
        ("Closed trades", f"{len(own):,}", f"{won / len(own):.0%} won" if own else "none"),
        ("Breaker trips", f"{run.tripped.total():,}", ", ".join(run.tripped) or "none"),
    ]
    grid = "".join(
        f'<div class="tile"><dt>{name}</dt><dd>{value}</dd><dd class="quiet">{_text(note)}</dd></div>'
        for name, value, note in tiles
    )
    points = account.line.points
    heading = f"Account {account.name}, in {unit}"
    if not points:
        return _section(heading, f'<dl class="tiles">{grid}</dl>')
    span = _span(run)
    peak, falls = float("-inf"), []
    for at, equity in points:
        peak = max(peak, equity)
        falls.append((at, (equity / peak - 1) * 100 if peak > 0 else 0.0))
    worst, best = min(value for _, value in points), max(value for _, value in points)
    equity_chart = chart(points, title=f"Equity of {account.name} in {unit}", span=span)
    fall_chart = chart(
        falls, title=f"Drawdown of {account.name} in percent", suffix=" %", span=span, css="fall",
        filled=True, zero=True,
    )  # fmt: skip
    words = f"Between {worst:,.2f} and {best:,.2f} {unit}; {_plural(len(points), 'point')} drawn."
    return _section(
        heading,
        f'<dl class="tiles">{grid}</dl>'
        + _figure("Equity", equity_chart, words)
        + _figure("Drawdown from the highest equity so far", fall_chart, f"At most {account.drawdown:.2%}."),
    )


def _change(account: AccountDigest) -> str:
    if not account.opening or account.equity is None:
        return ""
    change = account.equity - account.opening
    return f"{_arrow(change)} {change:+,.2f} ({change / account.opening:+.2%})"


# --- prices -----------------------------------------------------------------------------------------------------


def _prices(run: Digest, name: str) -> str:
    rules = run.instruments.get(name)
    fills = [fill for fill in run.fills if fill.instrument == name]
    markers = [
        Marker(
            fill.event_ns,
            float(fill.price),
            fill.side is Side.BUY,
            f"{fill.strategy} {fill.side} {figure(fill.quantity)} at {figure(fill.price)}, {_when(fill.event_ns)}",
        )
        for fill in fills
    ]
    drawing = chart(
        run.prices[name],
        title=f"Price of {name} and {_plural(len(fills), 'fill')}",
        span=_span(run),
        css="price",
        markers=markers,
    )
    if not drawing:
        return ""
    bought = sum(fill.side is Side.BUY for fill in fills)
    legend = (
        f'<span class="key buy">▲</span> buy ({bought:,}) '
        f'<span class="key sell">▼</span> sell ({len(fills) - bought:,})'
    )
    note = f"Prices from {run.prices_from}"
    if rules is not None:
        note += f"; tick {rules.tick}, maker fee {_percent(rules.maker_fee)}, taker fee {_percent(rules.taker_fee)}"
    return _section(short(name), _figure(legend, drawing, note + ".", raw=True))


# --- tables -----------------------------------------------------------------------------------------------------


def _strategies(run: Digest) -> str:
    rows = [
        [
            _text(own.name),
            _gain(own.total),
            _gain(float(own.realised)),
            _gain(own.unrealised),
            f"{own.fees:,.2f}",
            f"{own.deepest:,.2f}",
            f"{own.trades:,}",
            f"{own.won / own.trades:.0%}" if own.trades else "-",
            f"{own.orders:,}",
            f"{own.denied:,}",
            sparkline(own.line.points),
        ]
        for own in run.strategies.values()
        if _did_something(own)
    ]
    if not rows:
        return _section("Strategies", '<p class="quiet">No strategy has ordered anything.</p>')
    units = sorted({own.currency for own in run.strategies.values() if own.currency})
    headings = (
        "strategy", "profit", "realised", "open", "fees", "sampled drawdown", "trades", "won", "orders", "denied", "",
    )  # fmt: skip
    heading = f"Strategies, in {', '.join(units)}" if units else "Strategies"
    table = _table(heading, headings, rows, words=("strategy", ""))
    return _section(
        heading, table + '<p class="quiet">Profit is realised and open, less fees and funding.</p>'
    )


def _did_something(own: StrategyDigest) -> bool:
    return bool(own.name)


def _round_trips(run: Digest) -> str:
    last = run.trips[-ROWS:]
    if not last:
        return _section("Closed trades", '<p class="quiet">None was closed.</p>')
    rows = [
        [
            _when(trip.closed_ns),
            _text(trip.strategy),
            _text(short(trip.instrument)),
            "▲ long" if trip.side is Side.BUY else "▼ short",
            figure(trip.quantity),
            _price(run, trip.instrument, trip.entry_price),
            _price(run, trip.instrument, trip.exit_price),
            _gain(float(trip.profit)),
            f"{trip.fees:,.2f}",
            _held(trip.closed_ns - trip.opened_ns),
        ]
        for trip in reversed(last)
    ]
    headings = (
        "closed", "strategy", "instrument", "side", "quantity", "entry", "exit", "profit", "fees", "held",
    )  # fmt: skip
    shown = (
        f"the last {len(last):,} of {len(run.trips):,}"
        if len(last) < len(run.trips)
        else f"all {len(last):,}"
    )
    table = _table("Closed trades", headings, rows, words=("closed", "strategy", "instrument", "side"))
    return _section(
        "Closed trades", f'<p class="quiet">{shown}, newest first; profit is after fees.</p>{table}'
    )


def _orders(run: Digest) -> str:
    total = run.orders.total()
    if not total:
        return _section("Orders", '<p class="quiet">None was placed.</p>')
    rows = [
        [_text(status.replace("_", " ")), f"{number:,}", f"{number / total:.0%}"]
        for status, number in sorted(run.orders.items(), key=lambda item: -item[1])
    ]
    html = _table("Orders by status", ("status", "orders", "part"), rows, words=("status",), shown=True)
    if run.denials:
        denials = [[_text(reason), f"{number:,}"] for reason, number in run.denials.most_common(12)]
        html += _table("Why orders were denied", ("rule", "times"), denials, words=("rule",), shown=True)
    return _section("Orders", f'<div class="pair">{html}</div>')


def _breakers(run: Digest) -> str:
    if not run.breakers:
        return _section("Circuit breakers", '<p class="quiet">None tripped.</p>')
    last = run.breakers[-ROWS:]
    older = f'<p class="quiet">the last {len(last):,} of {len(run.breakers):,}, newest first.</p>'
    table = _feed("Breaker events", last, kinds=False)
    return _section("Circuit breakers", older + table if len(last) < len(run.breakers) else table)


def _events(run: Digest) -> str:
    rest = [event for event in run.events if event.kind != "breaker"][-ROWS:]
    if not rest:
        return ""
    return _section("Other events", _feed(f"The last {len(rest)} worth a line", rest, shown=True))


def _feed(caption: str, events: Sequence[Event], *, kinds: bool = True, shown: bool = False) -> str:
    signs = {"": "", "warning": "△ ", "alarm": "▲ "}
    rows = []
    for event in reversed(events):
        what = signs[event.level] + (f"{event.kind}: " if kinds else "")
        rows.append([_when(event.now), f'<span class="wrap">{_text(what + event.text)}</span>'])
    return _table(caption, ("time", "event"), rows, words=("time", "event"), shown=shown)


def _assumed(run: Digest) -> str:
    rows = [
        [
            _text(name),
            str(i.tick),
            str(i.lot),
            _percent(i.maker_fee),
            _percent(i.taker_fee),
            _text(str(i.contract)),
        ]
        for name, i in sorted(run.instruments.items())
    ]
    html = _table(
        "Instruments",
        ("instrument", "tick", "lot", "maker fee", "taker fee", "contract"),
        rows,
        words=("instrument",),
    )
    facts = [
        ("Data", run.label or "not recorded"),
        ("Starts", f"{run.starts:,}"),
        ("Facts in the journal", f"{run.facts:,}"),
        ("Fills", f"{len(run.fills):,}"),
        ("Journal hash", run.journal_hash or "-"),
    ]
    html += '<dl class="facts">' + "".join(
        f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in facts
    )
    return _section("What this rests on", html + "</dl>")


# --- pieces -----------------------------------------------------------------------------------------------------


def _section(heading: str, html: str) -> str:
    return f"<section><h2>{_text(heading)}</h2>{html}</section>\n"


def _figure(caption: str, drawing: str, note: str, *, raw: bool = False) -> str:
    if not drawing:
        return ""
    return (
        f"<figure><figcaption>{caption if raw else _text(caption)}</figcaption>{drawing}"
        f'<p class="quiet">{_text(note)}</p></figure>'
    )


def _table(
    caption: str,
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    words: Sequence[str],
    *,
    shown: bool = False,
) -> str:
    """A table, which a narrow page scrolls sideways. Cells are HTML already; `words` are the columns without figures.

    The caption is `shown` where it says more than the heading above it does.
    """
    kinds = ["" if heading in words else ' class="n"' for heading in headings]
    head = "".join(f'<th scope="col"{k}>{_text(h)}</th>' for h, k in zip(headings, kinds, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{k}>{cell}</td>" for cell, k in zip(row, kinds, strict=True)) + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{_text(caption)}"><table>'
        f"{_caption(caption, shown)}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _caption(caption: str, shown: bool) -> str:
    hidden = "" if shown else ' class="hidden"'
    return f"<caption{hidden}>{_text(caption)}</caption>"


def _text(text: str) -> str:
    return escape(printable(text), quote=True)


def _span(run: Digest) -> tuple[int, int]:
    return run.start_ns, run.end_ns


def _when(ns: int) -> str:
    return f"{utc(ns):%Y-%m-%d %H:%M:%S}"


def _held(ns: int) -> str:
    if ns >= 2 * DAY:
        return f"{ns / DAY:.1f} d"
    if ns >= 2 * HOUR:
        return f"{ns / HOUR:.1f} h"
    return f"{ns / MINUTE:.1f} m" if ns >= MINUTE else f"{ns / 1e9:.1f} s"


def _money(value: float | Decimal | None) -> str:
    return "unknown" if value is None else f"{value:,.2f}"


def _arrow(value: float) -> str:
    return "▲" if value > 0 else "▼" if value < 0 else "="


def _gain(value: float) -> str:
    sign = "up" if value > 0 else "down" if value < 0 else ""
    return f'<span class="{sign}">{value:+,.2f}</span>' if sign else "0.00"


def _percent(value: Decimal) -> str:
    return f"{figure(value * 100)} %"


def _price(run: Digest, name: str, value: Decimal) -> str:
    rules = run.instruments.get(name)
    return figure(rules.price(value)) if rules is not None else figure(round(value, 8))


def _plural(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
