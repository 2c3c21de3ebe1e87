"""Backtest: what detection would have said of data that are already there, by the very code that runs live.

`reading` (a source: file, journal, hub) gives frames in the order of their time; `Simulation` feeds them to a
`Detection` whose clock is the data's own; `Outcome` is what came of it. Nothing here reads a real clock.
"""
