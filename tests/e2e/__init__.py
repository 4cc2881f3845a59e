"""End-to-end tests: a real mosquitto and a real Home Assistant (`make e2e`)."""
