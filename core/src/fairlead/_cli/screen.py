"""The live view: a process of its own that reads the run's folder and draws it at most four times a second."""

from __future__ import annotations

import select
import signal
import sys
import time
from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.layout import Layout
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

from fairlead._cli.gauges import Gauges
from fairlead._cli.mirror import Gauge, Mirror
from fairlead._cli.words import clock, gain, money
from fairlead._models.accounts import TradingState
from fairlead._models.market import utc
from fairlead._models.orders import Order, Side
from fairlead._report.phrases import figure, printable, short
from fairlead._storage.run import RunFolder
from fairlead.errors import JournalError

LOOK_SECONDS = 0.25

_BLOCKS = " ▁▂▃▄▅▆▇█"
_SELF_EVIDENT = ("breaker", "strategy", "note", "state")
_LEVELS = {"": "", "warning": "yellow", "alarm": "bold red"}


def watch(folder: RunFolder, *, attached: bool) -> None:
    """Draw until Ctrl-C; attached to an engine's process, until that closes our standard input."""
    if attached:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the engine's to answer
    console = Console(highlight=False)
    mirror = Mirror(folder)
    gauges = Gauges(folder.path)
    view = Screen(mirror, folder, console)
    try:
        with Live(console=console, screen=True, auto_refresh=False) as live:
            while True:
                mirror.poll()
                mirror.limits = gauges.poll()
                live.update(view.draw(), refresh=True)
                if _over(attached):
                    return
    except KeyboardInterrupt:
        return
    except JournalError as error:
        console.print(f"fairlead: the view ended: {printable(str(error))}", markup=False)
    finally:
        mirror.close()
        gauges.close()


def _over(attached: bool) -> bool:
    """Wait for the next look; true when there will be none."""
    if not attached:
        time.sleep(LOOK_SECONDS)
        return False
    ready, _, _ = select.select([sys.stdin], [], [], LOOK_SECONDS)
    return bool(ready) and not sys.stdin.buffer.read(1)


class Screen:
    """A mirror as something that rich can draw."""

    def __init__(self, mirror: Mirror, folder: RunFolder, console: Console) -> None:
        self._mirror = mirror
        self._folder = folder
        self._console = console
        self._kind = ""
        self._label = ""
        self._wide = False

    def draw(self) -> RenderableType:
        """The whole screen, for the size that it has now."""
        width, height = self._console.size
        if not self._kind:
            info = self._folder.read_info()
            self._kind = str(info.get("kind", ""))
            self._label = ", ".join(str(text) for text in info.get("data", ()))
        self._wide = width >= 100
        spark = 4 if height >= 34 else 1
        rest = height - 2 - spark
        first = min(rest // 3, 2 + max(1 + len(self._mirror.profits()), len(self._mirror.gauges()), 2))
        second = max(5, (rest - first) * 2 // 5)
        room = rest - first - second - 2
        half = width // 2 - 4
        fills = half if self._wide else width * 2 // 5 - 4
        layout = Layout()
        layout.split_column(
            Layout(self._head(width), size=2),
            Layout(self._curve(width, spark), size=spark),
            Layout(name="first", size=first),
            Layout(name="second", size=second),
            Layout(name="third"),
        )
        layout["first"].split_row(
            _box("Strategies", self._strategies(half)), _box("Breakers", self._breakers(half))
        )
        layout["second"].split_row(
            _box("Positions", self._positions(half)), _box("Working orders", self._working(half, second - 2))
        )
        layout["third"].split_row(
            Layout(_panel("Last fills", self._fills(fills, room)), size=fills + 4),
            _box("Events", self._events(width - fills - 8, room)),
        )
        return layout

    # --- parts ----------------------------------------------------------------------------------------------

    def _head(self, width: int) -> RenderableType:
        mirror = self._mirror
        state = mirror.trading
        word = state.name.replace("_", " ") if mirror.running else "STOPPED"
        colour = {TradingState.ACTIVE: "green", TradingState.REDUCE_ONLY: "yellow"}.get(state, "red")
        left = Text.assemble(
            (f" {self._folder.name} ", "bold"),
            (f" {self._kind or 'RUN'} ", "reverse"),
            " ",
            (f" {word} ", f"bold {colour if mirror.running else 'default'}"),
            f" {printable(self._label)}",
        )
        equity, opening, currency = mirror.equity()
        second = Text.assemble(" equity ", (money(equity, currency), "bold"))
        if equity is not None and opening:
            change = equity - opening
            second.append(f" {_arrow(change)} {gain(change)} ({change / opening:+.2%})", _colour(change))
        counts = f" orders {mirror.orders}  fills {mirror.filled}  denied {mirror.denied} "
        if self._wide:
            counts += f" breaker trips {mirror.trips} "
        return Group(
            _ends(left, Text(f"{utc(mirror.now):%Y-%m-%d %H:%M:%S}Z " if mirror.now else ""), width),
            _ends(second, Text(counts, "dim"), width),
        )

    def _curve(self, width: int, rows: int) -> RenderableType:
        values = [value for _, value in self._mirror.curve]
        return Text("\n".join(f" {line}" for line in sparkline(values, width - 2, rows)), "cyan")

    def _strategies(self, width: int) -> RenderableType:
        state = self._mirror.state
        rows = [_dim("", "profit", "fees", "")]
        for name, (profit, fees) in self._mirror.profits().items():
            word = "halted" if name in state.halted else "paused" if state.is_paused(name) else ""
            rows.append(
                [
                    Text(printable(name)),
                    Text(f"{_arrow(profit)} {gain(profit)}", _colour(profit)),
                    Text(money(fees)),
                    Text(word, "bold red"),
                ]
            )
        return _columns(rows, width, right=(1, 2))

    def _breakers(self, width: int) -> RenderableType:
        rows = [_gauge_row(gauge, 16 if self._wide else 8) for gauge in self._mirror.gauges()]
        return _columns(rows, width, right=(2,)) if rows else Text("no engine tells of them", "dim")

    def _positions(self, width: int) -> RenderableType:
        rows = [
            [
                Text(printable(position.key.strategy)),
                Text(self._name(position.key.instrument)),
                Text(f"{'long' if position.quantity > 0 else 'short'} {figure(abs(position.quantity))}"),
                Text(f"at {figure(round(position.average_price, 2))}" if self._wide else ""),
                Text("?" if profit is None else gain(profit), _colour(profit or 0.0)),
            ]
            for position, profit in self._mirror.positions()
        ]
        return _columns(rows, width, right=(4,)) if rows else Text("flat", "dim")

    def _working(self, width: int, room: int) -> RenderableType:
        orders = self._mirror.working()
        shown = orders if len(orders) <= room else orders[: room - 1]
        rows = [
            [
                Text(str(order.side), _side(order.side)),
                Text(figure(order.remaining_quantity)),
                Text(self._name(order.instrument)),
                Text(f"{str(order.type).replace('_', ' ')} {_price_of(order)}".rstrip()),
                Text(str(order.status).replace("_", " ") if self._wide else "", "dim"),
            ]
            for order in shown
        ]
        if len(shown) < len(orders):
            rows.append(_dim(f"and {len(orders) - len(shown)} more", "", "", "", ""))
        return _columns(rows, width) if rows else Text("none", "dim")

    def _fills(self, width: int, room: int) -> RenderableType:
        rows = [
            [
                Text(clock(fill.event_ns), "dim"),
                Text(f"{_arrow(1 if fill.side is Side.BUY else -1)} {fill.side}", _side(fill.side)),
                Text(figure(fill.quantity) if self._wide else ""),
                Text(f"{self._name(fill.instrument)} {figure(fill.price)}"),
                Text(printable(fill.strategy) if self._wide else "", "dim"),
            ]
            for fill in list(self._mirror.fills)[-room:][::-1]
        ]
        return _columns(rows, width) if rows else Text("none yet", "dim")

    def _events(self, width: int, room: int) -> RenderableType:
        rows = []
        for event in list(self._mirror.events)[-room:][::-1]:
            text = event.text if event.kind in _SELF_EVIDENT else f"{event.kind}: {event.text}"
            rows.append([Text(clock(event.now), "dim"), Text(text, _LEVELS[event.level])])
        return _columns(rows, width) if rows else Text("none yet", "dim")

    def _name(self, instrument: str) -> str:
        """Its symbol, or on a narrow screen what is traded of it."""
        symbol = short(instrument).partition(":")[0]
        return printable(symbol if self._wide else symbol.partition("/")[0])


def sparkline(values: Sequence[float], width: int, rows: int = 1) -> list[str]:
    """A curve in block characters, the newest value at the right."""
    if not values or width < 1:
        return [""] * rows
    step = max(1.0, len(values) / width)
    picked = [
        values[min(len(values) - 1, int((index + 1) * step) - 1)] for index in range(int(len(values) / step))
    ]
    low, high = min(picked), max(picked)
    most = rows * 8
    heights = [1 + round((value - low) / (high - low) * (most - 1)) if high > low else 1 for value in picked]
    return [
        "".join(_BLOCKS[min(8, max(0, height - 8 * row))] for height in heights)
        for row in reversed(range(rows))
    ]


def _gauge_row(gauge: Gauge, width: int) -> list[Text]:
    name = Text(printable(gauge.name))
    if gauge.tripped:
        return [name, Text("TRIPPED", "bold red"), Text(""), Text(printable(gauge.tripped), "red")]
    if gauge.used is None:
        return [name, Text("-", "dim"), Text(""), Text(printable(gauge.limit), "dim")]
    part = min(1.0, max(0.0, gauge.used))
    full = round(part * width)
    colour = "green" if part < 0.5 else "yellow" if part < 0.8 else "red"
    bar = Text.assemble(("█" * full, colour), ("░" * (width - full), "dim"))
    return [name, bar, Text(f"{part:.0%}"), Text(f"of {printable(gauge.limit)}", "dim")]


def _box(title: str, body: RenderableType) -> Layout:
    return Layout(_panel(title, body))


def _panel(title: str, body: RenderableType) -> Panel:
    return Panel(body, title=title, title_align="left", border_style="dim", padding=(0, 1))


def _dim(*cells: str) -> list[Text]:
    return [Text(cell, "dim") for cell in cells]


def _columns(rows: Sequence[Sequence[Text]], width: int, right: Sequence[int] = ()) -> RenderableType:
    """Rows in columns as wide as they need; what does not fit is cut at the end of a line."""
    widths = [max(row[index].cell_len for row in rows) for index in range(len(rows[0]))]
    lines = []
    for row in rows:
        line = Text(no_wrap=True, overflow="ellipsis")
        for index, (cell, wide) in enumerate(zip(row, widths, strict=True)):
            if wide:
                gap = " " * (wide - cell.cell_len)
                line = (
                    Text.assemble(line, gap, cell, " ")
                    if index in right
                    else Text.assemble(line, cell, gap, " ")
                )
        line.rstrip()
        line.truncate(width, overflow="ellipsis")
        line.no_wrap = True
        lines.append(line)
    return Group(*lines)


def _ends(left: Text, right: Text, width: int) -> RenderableType:
    """Two texts at the two ends of a line; the right one goes where there is no room."""
    if left.cell_len + right.cell_len > width:
        if left.cell_len > width:
            left.truncate(width, overflow="ellipsis")
            return left
        right.truncate(width - left.cell_len)
    return Text.assemble(left, " " * (width - left.cell_len - right.cell_len), right)


def _price_of(order: Order) -> str:
    price = order.limit_price if order.limit_price is not None else order.stop_price
    return figure(price) if price is not None else ""


def _arrow(value: float) -> str:
    return "▲" if value > 0 else "▼" if value < 0 else " "


def _colour(value: float) -> str:
    return "green" if value > 0 else "red" if value < 0 else ""


def _side(side: Side) -> str:
    return "blue" if side is Side.BUY else "yellow"


__all__ = ["Screen", "sparkline", "watch"]
