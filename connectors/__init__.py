"""Connectors: one folder a protocol, each seeing the agent only through `edge_agent.api`."""
