"""Cycles against golden curves: align each cycle on its events, and compare it with the good ones."""
