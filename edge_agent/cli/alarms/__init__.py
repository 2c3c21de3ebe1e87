"""`edge-agent alarms`: what stands, and what people have shelved or taken out of service, at the running agent."""
