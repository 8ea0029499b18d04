"""The simulated venue of fairlead: matching, fees, slippage, latency and margin."""
