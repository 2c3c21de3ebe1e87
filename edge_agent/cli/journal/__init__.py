"""`edge-agent journal`: what a store holds, whether it is sound, and getting it out again; beside an agent too."""
