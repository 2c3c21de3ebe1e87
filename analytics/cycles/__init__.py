"""Cycles against golden curves: cut the stream into cycles, align each on its events, compare it with the good ones."""
