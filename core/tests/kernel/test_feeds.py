"""Feeds: what a stream is asked for, and what it is no longer asked for once nobody has use for it."""

from typing import Any

from fairlead import Quote, Strategy
from fairlead.ports import Subscription
from fairlead.testing import Bench, Puppet, make_instrument

BTC = make_instrument()


class Looking(Puppet):
    """Watches quotes."""

    def on_start(self) -> None:
        self.watch(BTC.symbol, quotes=True)

    def on_quote(self, quote: Quote) -> None:
        self.seen.append(quote)


def bench(*strategies: Strategy) -> tuple[Bench, list[Subscription]]:
    """A bench, and what it gives back of its feeds."""
    made, given_back = Bench(*strategies), []
    made.kernel.feeds.unsubscribe = given_back.append
    return made, given_back


def feed(kind: str) -> Subscription:
    return Subscription(BTC.id, kind)


def unwatch(strategy: Any) -> None:
    strategy.unwatch(BTC.symbol)


def test_the_last_watcher_gives_the_feeds_back() -> None:
    """What nobody watches is asked for no more, and asked for again when somebody watches it again."""
    b, given_back = bench(Puppet(bars="1m"))
    assert b.subscribed == [feed("quote"), feed("trade")]
    b.do(unwatch)
    assert given_back == [feed("quote"), feed("trade")]
    b.do(lambda s: s.watch(BTC.symbol, bars="1m"))
    assert b.subscribed == [feed("quote"), feed("trade")] * 2


def test_what_another_strategy_uses_stays() -> None:
    """Of two watchers the one that goes takes nothing from the other."""
    one, other = Puppet(bars="1m", name="one", allocation="10%"), Looking(name="other", allocation="10%")
    b, given_back = bench(one, other)
    b.do(unwatch)
    assert given_back == [feed("trade")]
    b.quote(100, 101)
    assert isinstance(other.seen[-1], Quote)
    b.do(unwatch, strategy=1)
    assert given_back == [feed("trade"), feed("quote")]


def test_the_prices_of_a_position_stay() -> None:
    """What is held is valued, and what is worked is matched, whether it is watched or not."""
    b, given_back = bench(Puppet())
    b.quote(100, 101)
    order = b.do(lambda s: s.buy(1))
    b.broker.accept(order)
    b.do(unwatch)
    assert given_back == []
    b.broker.fill(order, price=101)
    b.do(lambda s: s.watch(BTC.symbol, trades=True))
    b.do(unwatch)
    assert given_back == [feed("trade")]
    order = b.do(lambda s: s.close(BTC.symbol))
    b.broker.accept(order)
    b.broker.fill(order, price=100)
    b.do(lambda s: s.watch(BTC.symbol))
    b.do(unwatch)
    assert given_back == [feed("trade"), feed("quote")]


def test_a_bar_that_was_begun_for_nobody_is_left_unfinished() -> None:
    """The bar in hand when the last watcher goes is not delivered to whoever comes next."""
    b, _ = bench(Puppet(bars="1m"))
    b.trade(100)
    b.do(unwatch)
    b.advance("10s")
    b.do(lambda s: s.watch(BTC.symbol, bars="1m"))
    b.trade(200)
    b.advance("1m")
    assert [bar.open for bar in b.strategy.seen] == [200.0]


def test_an_order_on_what_is_not_watched_brings_its_prices() -> None:
    """An order needs prices to be valued by, so they are asked for with it."""
    b, given_back = bench(Puppet())
    b.quote(100, 101)
    b.do(unwatch)
    assert given_back == [feed("quote")]
    b.do(lambda s: s.buy(1, instrument=BTC.symbol))
    assert b.subscribed == [feed("quote")] * 2
