"""`edge-agent backtest`: what a person asks for, and what is shown and written of it."""
