"""Days of trading in simulation: the real engine, a simulated venue, and whatever can go wrong between them.

`python -m simulation --days 100` (or `./dev simulate`) runs seeded days and prints a scorecard. A day is a seed and
a set of faults; the same two give the same trace, byte for byte, on any machine and under any hash seed.

    faults      what can go wrong, and which rows of the catalogue each kind of fault stands for
    exchange    the venue, with a ledger of its own that nobody else writes
    network     what is between adapter and venue
    adapter     a broker adapter as its author would write it
    feed        the market, and the engine's view of it
    traders     strategies that place every kind of order, at random from the seed
    host        a process that holds an engine: it can be killed, cut from power, run out of disk
    day         one day, from its plan to what is left of it
    reader      the journal's bytes, read without the engine
    evidence    journal and ledger, folded without the engine
    checker     what must hold, found from the journal's bytes and the venue's ledger alone
    ablations   safeguards taken out, one at a time, each of which the checker must miss
    score       many days, and what they showed
"""
