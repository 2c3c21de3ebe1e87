"""Arithmetic on arrays: state in, state and score out. No clock, no I/O, no logging, no asyncio."""
