"""Sinks: one file or folder a destination, each seeing the agent only through `edge_agent.api`."""
