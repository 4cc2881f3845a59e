"""Streaming detectors of what is out of the ordinary; one algorithm a file."""

from hunches.surprise import ActionSurprise

__all__ = ["ActionSurprise"]
