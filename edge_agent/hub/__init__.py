"""What hub staff look at: dashboards made from the configurations and the sink's schema, so that they cannot drift.

`catalogue` (what the sites measure) → `pages` (what is shown, in Flux and in InfluxQL) → `influxdb` and `grafana`.
"""
