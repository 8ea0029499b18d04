"""Two strategies on four markets and two currencies: weights, groups, and a budget for each strategy.

    python examples/08_multi_asset.py
    fairlead backtest examples/08_multi_asset.py

A day of an invented market, as a backtest. The account has euros beside its dollars: they count as what the euro is
worth in its own market, and as nothing known before that has a price.
"""

from collections import Counter
from decimal import Decimal

from fairlead import Bar, LiveTradingEngine, Strategy
from fairlead.facts import OrderDenied
from fairlead_breakers import DailyLoss, Limits
from fairlead_paper import PaperBroker
from fairlead_streams import SyntheticStream

BTC, ETH, SOL, EUR = "BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT", "EUR/USDT"


class Balanced(Strategy):
    """Keeps three markets at their weights, looked at every half an hour."""

    def __init__(self, weights: dict[str, str], **more: str) -> None:
        super().__init__(**more)
        self.weights = weights

    def on_start(self) -> None:
        for symbol in (*self.weights, EUR):
            self.watch(symbol, bars="1m")
        self.every("30m", self.look)

    def look(self) -> None:
        if all(self.price(symbol) for symbol in self.weights):
            self.rebalance(self.weights, band="0.5%")


class Breakout(Strategy):
    """Buys what is higher than in the two hours before, sells it when it is lower than in the last."""

    def __init__(self, symbols: list[str], **more: str) -> None:
        super().__init__(**more)
        self.symbols = symbols

    def on_start(self) -> None:
        for symbol in self.symbols:
            self.watch(symbol, bars="5m", warmup=24)

    def on_bar(self, bar: Bar) -> None:
        past = self.history(25, instrument=bar.instrument)[:-1]
        if len(past) < 24:
            return
        held = self.position(bar.instrument)
        if bar.close > max(one.high for one in past):
            self.buy(value="3_000 USDT", instrument=bar.instrument, tag="breakout")
        elif held and bar.close < min(one.low for one in past[-12:]):
            self.close(bar.instrument)


engine = LiveTradingEngine(
    [
        Balanced({BTC: "50%", ETH: "30%", SOL: "15%"}, name="balanced", allocation="60%"),
        Breakout([ETH, SOL], name="breakout", allocation="20%"),
    ],
    plugins=[
        PaperBroker(cash=["100_000 USDT", "20_000 EUR"]),
        SyntheticStream(
            [BTC, ETH, SOL, EUR], seed=8, volatility="8%", every="20s", start_price={EUR: 1.08}, duration="1d"
        ),
        Limits(
            max_leverage=1,
            max_order_value="40_000 USDT",
            groups={  # what counts together, whichever strategy holds it
                "base:BTC": {"max_exposure": "40_000 USDT"},
                "altcoins": {"members": [ETH, SOL], "max_exposure": "42_000 USDT"},
            },
            strategies={"breakout": {"max_exposure": "9_000 USDT"}},  # its budget
        ),
        DailyLoss("5%"),
    ],
    run="runs/multi-asset",
)


def main() -> tuple[dict[tuple[str, str], Decimal], list[OrderDenied]]:
    """Backtest, and show who traded what; returns what each strategy holds of each market, and what was refused."""
    result = engine.backtest()
    held: dict[tuple[str, str], Decimal] = {}
    fills, fees = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for fill in result.fills():
        key = (fill.strategy, fill.instrument.partition("@")[0])
        held[key] = held.get(key, Decimal(0)) + (fill.quantity if fill.side == "buy" else -fill.quantity)
        fills[key] += 1
        fees[key] += fill.fee  # type: ignore[assignment]
    print(f"{'strategy':<10} {'market':<14} {'fills':>6} {'fees':>8} {'holds':>10}")
    for key in sorted(held):
        print(f"{key[0]:<10} {key[1]:<14} {fills[key]:>6} {fees[key]:>8.2f} {held[key]:>10}")
    (account,) = result.accounts
    print(
        f"\nequity {account.equity_start:,.2f} to {account.equity_end:,.2f} {account.currency}, its euros in it: "
        + ", ".join(f"{amount:,.2f} {currency}" for currency, amount in account.balances.items())
    )
    denied = [fact for fact in result.facts() if isinstance(fact, OrderDenied)]
    print(f"\n{len(denied)} orders refused, the first of each reason:")
    first: dict[str, str] = {}
    for fact in denied:
        for reason in fact.reasons[0].split("; "):
            first.setdefault(reason.partition(" is above ")[2], f"{fact.intent.strategy}: {reason}")
    for reason in first.values():
        print(f"  {reason}")
    return held, denied


if __name__ == "__main__":
    print(engine.describe())
    main()
