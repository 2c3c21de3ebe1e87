"""The `sparkplug` format: `codec` (protobuf), `catalogue` (metrics), `rows` (columns to metrics), `node`."""
