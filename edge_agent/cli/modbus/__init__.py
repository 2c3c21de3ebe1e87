"""`edge-agent modbus`: the technician's tools, from the vendor's register table to values on the screen. Reads only."""
