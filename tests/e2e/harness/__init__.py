"""What the end-to-end tests stand on: processes, destinations, senders, and the reading of OTLP."""
