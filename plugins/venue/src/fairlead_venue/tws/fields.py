"""Tables of the text encoding: the fields of requests and of plain answers, in their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

CONTRACT = (
    "conId", "symbol", "secType", "lastTradeDate", "strike", "right", "multiplier", "exchange", "primaryExchange",
    "currency", "localSymbol", "tradingClass",
)  # fmt: skip
"""A contract as requests have it."""

REQUESTS: Mapping[int, tuple[str, str]] = {
    1: (
        "reqMktData",
        "version reqId contract deltaNeutral genericTickList snapshot regulatorySnapshot options",
    ),
    2: ("cancelMktData", "version reqId"),
    3: ("placeOrder", ""),
    4: ("cancelOrder", "version orderId manualOrderCancelTime"),
    5: ("reqOpenOrders", "version"),
    6: ("reqAccountUpdates", "version subscribe account"),
    7: ("reqExecutions", "version reqId clientId account time symbol secType exchange side"),
    8: ("reqIds", "version count"),
    9: ("reqContractDetails", "version reqId contract includeExpired secIdType secId issuerId"),
    10: ("reqMktDepth", "version reqId contract numRows isSmartDepth options"),
    11: ("cancelMktDepth", "version reqId isSmartDepth"),
    15: ("reqAutoOpenOrders", "version autoBind"),
    16: ("reqAllOpenOrders", "version"),
    17: ("reqManagedAccts", "version"),
    20: (
        "reqHistoricalData",
        "reqId contract includeExpired endDateTime barSize duration useRTH whatToShow formatDate keepUpToDate options",
    ),
    25: ("cancelHistoricalData", "version reqId"),
    49: ("reqCurrentTime", "version"),
    50: ("reqRealTimeBars", "version reqId contract barSize whatToShow useRTH options"),
    51: ("cancelRealTimeBars", "version reqId"),
    58: ("reqGlobalCancel", "version"),
    59: ("reqMarketDataType", "version marketDataType"),
    61: ("reqPositions", "version"),
    62: ("reqAccountSummary", "version reqId group tags"),
    63: ("cancelAccountSummary", "version reqId"),
    64: ("cancelPositions", "version"),
    71: ("startApi", "version clientId optionalCapabilities"),
    76: ("reqAccountUpdatesMulti", "version reqId account modelCode ledgerAndNLV"),
    77: ("cancelAccountUpdatesMulti", "version reqId"),
    87: ("reqHeadTimeStamp", "reqId contract includeExpired useRTH whatToShow formatDate"),
    90: ("cancelHeadTimeStamp", "reqId"),
    91: ("reqMarketRule", "marketRuleId"),
    97: ("reqTickByTickData", "reqId contract tickType numberOfTicks ignoreSize"),
    98: ("cancelTickByTickData", "reqId"),
    99: ("reqCompletedOrders", "apiOnly"),
}
"""Requests by number: name, and fields. `contract` stands for all of its own."""

ANSWERS: Mapping[str, tuple[str, str]] = {
    "tickPrice": ("1 6", "reqId tickType price size attributes"),
    "tickSize": ("2 6", "reqId tickType size"),
    "orderStatus": (
        "3",
        "orderId status filled remaining avgFillPrice permId parentId lastFillPrice clientId whyHeld mktCapPrice",
    ),
    "error": ("4 2", "reqId code message advanced"),
    "updateAccountValue": ("6 2", "key value currency account"),
    "updateAccountTime": ("8 1", "time"),
    "nextValidId": ("9 1", "orderId"),
    "updateMktDepth": ("12 1", "reqId position operation side price size"),
    "managedAccounts": ("15 1", "accounts"),
    "currentTime": ("49 1", "time"),
    "realtimeBar": ("50 3", "reqId time open high low close volume average count"),
    "contractDetailsEnd": ("52 1", "reqId"),
    "openOrderEnd": ("53 1", ""),
    "accountDownloadEnd": ("54 1", "account"),
    "execDetailsEnd": ("55 1", "reqId"),
    "tickSnapshotEnd": ("57 1", "reqId"),
    "marketDataType": ("58 1", "reqId type"),
    "commissionReport": ("59 1", "execId commission currency realizedPNL yield yieldRedemptionDate"),
    "positionEnd": ("62 1", ""),
    "accountSummary": ("63 1", "reqId account tag value currency"),
    "accountSummaryEnd": ("64 1", "reqId"),
    "accountUpdateMulti": ("73 1", "reqId account modelCode key value currency"),
    "accountUpdateMultiEnd": ("74 1", "reqId"),
    "tickReqParams": ("81", "reqId minTick bboExchange snapshotPermissions"),
    "headTimestamp": ("88", "reqId time"),
    "historicalDataUpdate": ("90", "reqId barCount date open close high low average volume"),
    "tickByTickLast": ("99", "reqId tickType time price size mask exchange conditions"),
    "tickByTickBidAsk": ("99", "reqId tickType time bid ask bidSize askSize mask"),
    "tickByTickMidPoint": ("99", "reqId tickType time price"),
    "completedOrdersEnd": ("102", ""),
}
"""Plain messages: what they begin with, and their fields."""

_ORDER = (
    "secIdType", "secId", "action", "totalQuantity", "orderType", "lmtPrice", "auxPrice", "tif", "ocaGroup", "account",
    "openClose", "origin", "orderRef", "transmit", "parentId", "blockOrder", "sweepToFill", "displaySize",
    "triggerMethod", "outsideRth", "hidden",
)  # fmt: skip
_MORE = (
    "sharesAllocation", "discretionaryAmt", "goodAfterTime", "goodTillDate", "faGroup", "faMethod", "faPercentage",
)  # fmt: skip
_REST = (
    "modelCode", "shortSaleSlot", "designatedLocation", "exemptCode", "ocaType", "rule80A", "settlingFirm", "allOrNone",
    "minQty", "percentOffset", "eTradeOnly", "firmQuoteOnly", "nbboPriceCap", "auctionStrategy", "startingPrice",
    "stockRefPrice", "delta", "stockRangeLower", "stockRangeUpper", "overridePercentageConstraints", "volatility",
    "volatilityType", "deltaNeutralOrderType", "deltaNeutralAuxPrice", "continuousUpdate", "referencePriceType",
    "trailStopPrice", "trailingPercent", "scaleInitLevelSize", "scaleSubsLevelSize", "scalePriceIncrement",
    "scaleTable", "activeStartTime", "activeStopTime", "hedgeType", "optOutSmartRouting", "clearingAccount",
    "clearingIntent", "notHeld", "deltaNeutralContract", "algoStrategy", "algoId", "whatIf",
)  # fmt: skip


def order_fields(version: int, sec_type: str) -> Sequence[str]:
    """The fields of an order after its contract, up to `whatIf`; a combination, which has more of them, has none."""
    if sec_type == "BAG":
        return _ORDER[:3]
    return (*_ORDER, *_MORE, *(("faProfile",) if version < 177 else ()), *_REST)
