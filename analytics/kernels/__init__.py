"""The always-on pass: `layout` says what is kept for each tag, `block` how rows are handed over.

`fused_numba` and `fused_numpy` are two engines with equal results, bit for bit: they use only + − × ÷ √ and
comparisons, in the same order (see `layout` for the arithmetic in prose). Only `fused_numba` imports numba.
"""
