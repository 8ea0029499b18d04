"""The account: positions, its values, and the portfolio.

https://interactivebrokers.github.io/tws-api/account_updates.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from fairlead_venue.account import Account
from fairlead_venue.orders import ZERO
from fairlead_venue.tws.catalogue import Catalogue, Listed
from fairlead_venue.tws.session import Session

BASE = "USD"
_CENT = Decimal("0.01")


class Wallet:
    """What clients are told of the account's money."""

    def __init__(self, account: Account, catalogue: Catalogue, number: str, now: Callable[[], int]) -> None:
        self._account = account
        self._catalogue = catalogue
        self._number = number
        self._now = now

    def held(self) -> Iterator[tuple[Listed, Decimal, Decimal]]:
        """Each position with its quantity and its average cost, which counts the multiplier."""
        for name, holding in self._account.holdings().items():
            if holding.quantity:
                listed = self._catalogue.contracts[name]
                yield listed, holding.quantity, holding.average_price * listed.instrument.contract_size

    def tell_positions(self, session: Session) -> None:
        """All positions, and that these are all."""
        for listed, quantity, cost in self.held():
            self.tell_position(session, listed, quantity, cost)
        session.tell("positionEnd")

    def tell_position(self, session: Session, listed: Listed, quantity: Decimal, cost: Decimal) -> None:
        """One position; 0 where there is none any more."""
        session.tell(
            "position", account=self._number, contract=listed.about, position=quantity, avgCost=float(cost)
        )

    def position_of(self, name: str) -> tuple[Listed, Decimal, Decimal]:
        """A position, which may be none."""
        holding, listed = self._account.holding(name), self._catalogue.contracts[name]
        return listed, holding.quantity, holding.average_price * listed.instrument.contract_size

    def values(self) -> list[tuple[str, str, str]]:
        """Key, value and currency of the account's values."""
        codes = {listed.instrument.base for listed in self._stocks()}
        balances = {
            currency: amount for currency, amount in self._account.balances().items() if currency not in codes
        }
        found = [("AccountCode", self._number, ""), ("AccountType", "INDIVIDUAL", "")]
        for currency, amount in balances.items():
            found += [("CashBalance", str(amount), currency), ("TotalCashBalance", str(amount), currency)]
        equity = self.equity()
        for key in ("NetLiquidation", "AvailableFunds", "BuyingPower", "EquityWithLoanValue"):
            found.append((key, str(equity), BASE))
        found.append(("TotalCashValue", str(balances.get(BASE, ZERO)), BASE))
        return found

    def equity(self) -> Decimal:
        """What everything is worth in the base currency."""
        return self._account.equity().quantize(_CENT)

    def _stocks(self) -> list[Listed]:
        return [listed for listed in self._catalogue.contracts.values() if listed.about["secType"] == "STK"]

    def tell_updates(self, session: Session) -> None:
        """The values, the portfolio, the time, and that this is all."""
        for key, value, currency in self.values():
            session.tell("updateAccountValue", key=key, value=value, currency=currency, account=self._number)
        for listed, quantity, cost in self.held():
            self._tell_portfolio(session, listed, quantity, cost)
        session.tell("updateAccountTime", time=f"{datetime.fromtimestamp(self._now() // 10**9, UTC):%H:%M}")
        session.tell("accountDownloadEnd", account=self._number)

    def _tell_portfolio(self, session: Session, listed: Listed, quantity: Decimal, cost: Decimal) -> None:
        price = self._account.price(listed.instrument.id)
        worth = quantity * price * listed.instrument.contract_size
        holding = self._account.holding(listed.instrument.id)
        session.tell(
            "updatePortfolio", contract=listed.about, position=quantity, marketPrice=price, marketValue=worth,
            averageCost=cost, unrealizedPNL=worth - quantity * cost, realizedPNL=holding.realised,
            account=self._number,
        )  # fmt: skip

    def tell_multi(self, session: Session, request: int) -> None:
        """The values for one account of several."""
        for key, value, currency in self.values():
            words: dict[str, Any] = {"key": key, "value": value, "currency": currency}
            session.tell("accountUpdateMulti", reqId=request, account=self._number, modelCode="", **words)
        session.tell("accountUpdateMultiEnd", reqId=request)

    def tell_summary(self, session: Session, request: int, tags: str) -> None:
        """The values with these tags."""
        wanted = set(tags.split(",")) - {""}
        for key, value, currency in self.values():
            if key in wanted or not wanted:
                session.tell(
                    "accountSummary",
                    reqId=request,
                    account=self._number,
                    tag=key,
                    value=value,
                    currency=currency,
                )
        session.tell("accountSummaryEnd", reqId=request)
