"""`edge-agent opcua`: the technician's tools for OPC UA servers. They only read."""
