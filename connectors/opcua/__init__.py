"""OPC UA: one client per link, columns straight from the bytes of its publish responses. See README.md."""
