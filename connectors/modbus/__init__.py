"""Modbus: coalesced block reads, columns from the bytes. Reads only: codes 1 to 4, 43/14 and 17, no others."""
