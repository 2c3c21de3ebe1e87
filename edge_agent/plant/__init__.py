"""The virtual factory: machines as difference equations, their labelled faults, and the servers that show them."""
