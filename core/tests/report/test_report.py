"""The report: one well-formed file that needs nothing else, from whatever the journal has."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from fairlead import LiveTradingEngine, Quote, Result, Strategy, default_instrument
from fairlead._report import write_report
from fairlead._report.digest import digest
from fairlead._report.page import page
from fairlead._report.phrases import Event
from fairlead._report.svg import chart, sparkline
from fairlead_paper import PaperBroker
from fairlead_streams import ReplayStream

MINUTE = 60_000_000_000
INSTRUMENT = default_instrument("BTC/USDT:USDT", "sim", tick="0.1")
HOSTILE = '<script>alert("x")</script>'


class Swing(Strategy):
    def on_start(self) -> None:
        self.watch("BTC/USDT:USDT", quotes=True)
        self.seen = 0

    def on_quote(self, quote: Quote) -> None:
        self.seen += 1
        if self.seen % 4 == 1:
            self.close() if self.position() else self.buy(percent="40%", tag=HOSTILE)
        if self.seen == 7:
            self.buy(percent="900%")


class Fussy:
    """Refuses what is large, in words that a page must not believe."""

    name = f"Fussy{HOSTILE}"
    wants = ()

    def check(self, intent, view):
        from fairlead.ports import Trip

        return Trip(f"too much {HOSTILE} \x1b[31m") if intent.quantity > 500 else None

    def watch(self, item, view):
        return None


@pytest.fixture
def result(tmp_path: Path) -> Result:
    """A backtest over an hour of quotes."""
    quotes = [
        Quote(
            INSTRUMENT.id,
            100 + n % 9,
            100.2 + n % 9,
            5_000,
            5_000,
            at := 1_704_067_200_000_000_000 + n * MINUTE,
            at,
        )
        for n in range(60)
    ]
    engine = LiveTradingEngine(
        Swing(name=f"Swing{HOSTILE}"),
        plugins=[PaperBroker(cash="10_000 USDT"), ReplayStream.of([], instrument=INSTRUMENT), Fussy()],
        run=tmp_path / "run",
    )
    return engine.backtest(ReplayStream.of(quotes, instrument=INSTRUMENT))


class Page(HTMLParser):
    """Checks that what is opened is closed, in order."""

    VOID = frozenset({"meta", "br", "link", "img", "input", "hr"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def parse(path: Path) -> Page:
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    assert not page.open
    return page


def test_the_report_is_well_formed_and_needs_nothing_else(result: Result) -> None:
    """No script, no link, no picture, no address: the file is all there is."""
    path = result.report()
    page, text = parse(path), path.read_text(encoding="utf-8")
    assert path == result.folder.reports / "report.html"
    assert not {tag for tag, _ in page.seen} & {"script", "link", "img", "iframe", "object"}
    assert not re.search(r"https?:|url\(|@import|//[a-z]", text)
    assert not any(name in ("src", "href", "onclick") for _, attrs in page.seen for name in attrs)
    assert "prefers-color-scheme:dark" in text


def test_hostile_text_stays_text(result: Result) -> None:
    """Names, tags and reasons are escaped, and cannot steer a terminal that prints the file either."""
    text = result.report().read_text(encoding="utf-8")
    assert "<script" not in text
    assert "Swing&lt;script&gt;" in text
    assert "\x1b" not in text


def test_what_the_report_shows(result: Result) -> None:
    """Kind and label, curves, fills as shapes, round trips, assumptions, hash and sample sizes."""
    page, text = parse(result.report()), result.report().read_text(encoding="utf-8")
    assert "BACKTEST" in text
    assert result.journal_hash in text
    assert "tick 0.1, maker fee 0.05 %, taker fee 0.05 %" in text
    assert re.search(r"of \d+ samples", text)
    drawn = [attrs.get("class") for tag, attrs in page.seen if tag == "path"]
    fills = list(result.fills())
    assert drawn.count("buy") == 2 * sum(fill.side == "buy" for fill in fills)
    assert drawn.count("sell") == 2 * sum(fill.side == "sell" for fill in fills)
    assert text.count("▲ long") == result.trades
    assert "too much &lt;script&gt;" in text


def test_the_page_scrolls_as_one_and_says_things_once(result: Result) -> None:
    """No box scrolls up and down, units stand in headings instead of in tiles, no visible caption repeats a heading."""
    text = result.report().read_text(encoding="utf-8")
    assert "max-height" not in text
    assert "overflow-y" not in text
    assert "<h2>Account paper, in USDT</h2>" in text
    assert "<h2>Strategies, in USDT</h2>" in text
    tiles = re.findall(r"<dt>([^<]+)</dt><dd>([^<]+)</dd>", text)
    assert len(tiles) >= 6
    assert all("USDT" not in value for _, value in tiles[:6])
    headings = re.findall(r"<h2>([^<]+)</h2>", text)
    captions = re.findall(r"<caption>([^<]+)</caption>", text)
    assert not set(headings) & set(captions)


def test_of_a_long_list_the_newest_are_shown(result: Result) -> None:
    """A run of a thousand trades and trips is still a page; it says how many there are."""
    run = digest(result.folder, prices=result.prices)
    run.trips = run.trips * 1_000
    run.breakers = [Event(1, "breaker", "tripped", "alarm")] * 5_000
    text = page(run)
    assert len(text) < 400_000
    assert f"the last 100 of {len(run.trips):,}, newest first" in text
    assert "the last 100 of 5,000, newest first" in text


def test_the_journal_alone_is_enough(result: Result, tmp_path: Path) -> None:
    """Without the data's prices the fills give them, and the figures are the same."""
    path = write_report(result.folder, tmp_path / "alone.html")
    text = path.read_text(encoding="utf-8")
    parse(path)
    assert "Prices from our fills" in text
    assert "BACKTEST" in text
    with_prices = digest(result.folder, prices=result.prices)
    assert digest(result.folder).orders == with_prices.orders
    assert with_prices.accounts["paper"].equity == pytest.approx(result.accounts[0].equity_end)
    assert with_prices.accounts["paper"].drawdown == pytest.approx(result.accounts[0].max_drawdown, abs=1e-4)


def test_a_torn_journal_still_gives_a_report(result: Result, tmp_path: Path) -> None:
    """After a crash the report shows what the journal has, and says that the run did not end."""
    segment = next(result.folder.journal.iterdir())
    held = segment.read_bytes()
    segment.write_bytes(held[: len(held) // 2])
    text = write_report(result.folder, tmp_path / "torn.html").read_text(encoding="utf-8")
    assert "not ended in good order" in text


def test_an_empty_run_has_a_report(tmp_path: Path) -> None:
    """A run that has not begun is a page with nothing in it, not an error."""
    from fairlead._storage.run import RunFolder

    path = write_report(RunFolder(tmp_path / "new"), tmp_path / "new.html")
    parse(path)
    assert "nothing was recorded" in path.read_text(encoding="utf-8")


def test_prices_are_thinned_but_keep_their_ends(result: Result) -> None:
    """A result keeps few enough prices to draw, the last one included."""
    line = result.prices[INSTRUMENT.id]
    assert 2 <= len(line) <= 2_001
    assert line[-1] == (result.end_ns, pytest.approx(100.1 + 59 % 9))


@pytest.mark.parametrize(
    "values", [[5.0, 5.0], [0.0, 0.0], [-1e-9, 1e-9], [1e12, 1e12 + 1], [-3.0, 7.5, 2.0]]
)
def test_charts_of_odd_values(values: list[float]) -> None:
    """Flat, tiny and huge series are drawn inside the picture."""
    points = [(index * MINUTE, value) for index, value in enumerate(values)]
    drawn = chart(points, title="odd", span=(0, len(values) * MINUTE))
    assert drawn.count("<svg") == 2
    assert "nan" not in drawn
    assert "inf" not in drawn
    assert sparkline(points).startswith("<svg")
    assert chart(points, title="odd", span=(0, len(values) * MINUTE), zero=True).count("<svg") == 2
    for y in re.findall(r'<text x="[\d.]+" y="([-\d.]+)"', drawn):
        assert -5 <= float(y) <= 265


def test_a_spike_survives_thinning() -> None:
    """However many points there are, the highest and the lowest are drawn."""
    points = [(index * MINUTE, 100.0) for index in range(20_000)]
    points[7_777] = (7_777 * MINUTE, 500.0)
    drawn = chart(points, title="spike", span=(0, points[-1][0]))
    assert len(drawn) < 60_000
    heights = [float(y) for y in re.findall(r"L[\d.]+ ([\d.]+)", drawn)]
    assert min(heights) < 30
