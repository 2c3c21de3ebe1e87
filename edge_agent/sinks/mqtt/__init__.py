"""The MQTT sink: `config` (section), `plan` and `encode` (messages), `sparkplug/`, `broker` (paho), `client` (sink)."""
