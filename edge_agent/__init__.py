"""edge-agent: columns from the factory's wires to the hub's database."""

__version__ = "0.1.0"
