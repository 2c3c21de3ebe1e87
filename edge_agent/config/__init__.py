"""Configuration: YAML and CSV files to frozen, typed sections; every fault at once, with its place and its cure."""
