"""`python -m edge_agent` is the console command."""

from edge_agent.cli import main

main()
