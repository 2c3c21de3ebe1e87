"""The InfluxDB sink: `config` (section), `schema` and `plan` (what goes where), `encode` (bytes), `client` (HTTP)."""
