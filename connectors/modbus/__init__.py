"""Modbus TCP: coalesced block reads, columns from the bytes. Reads only: function codes 1 to 4 and no others."""
