"""Streaming detectors of what is out of the ordinary; one algorithm a file."""
