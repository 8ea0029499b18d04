"""Asking IB for a contract and the rules of its prices."""

from __future__ import annotations

from fairlead import ConfigurationError, VenueError
from fairlead_ib.gateway import Gateway
from fairlead_ib.instruments import Known, known, wanted


async def find(gateway: Gateway, symbol: str) -> Known:
    """The contract of a symbol. Raises ConfigurationError, ConnectivityError or VenueError."""
    asked, client = wanted(gateway.sdk, symbol), gateway.client
    try:
        details = await gateway.ask(lambda number: client.reqContractDetails(number, asked))
    except VenueError as error:
        if error.code != "200":
            raise
        raise ConfigurationError(f"Interactive Brokers does not know {symbol!r}: {error}") from None
    steps: list[float] = []
    if len(details) == 1 and details[0].marketRuleIds:
        # One rule for each exchange that it trades on, in their order; what is asked for is the first.
        rule = int(details[0].marketRuleIds.split(",")[0])
        steps = await gateway.ask_once(f"rule {rule}", lambda: client.reqMarketRule(rule))
    found = known(symbol, details, steps)
    if found.contract.secType == "STK":
        found.contract.exchange = "SMART"
    return found
