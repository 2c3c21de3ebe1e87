"""Sections for the MQTT sink's tests; rows are those of the InfluxDB sink's."""

from edge_agent.sinks.mqtt.config import MqttSection


def section_of(url: str, **more: object) -> MqttSection:
    """A section as the configuration would give it."""
    return MqttSection.model_validate({"name": "hub", "sink": "mqtt", "url": url, "client_id": "gateway1"} | more)
