"""Tests mirror the packages; `e2e` needs real servers (`make e2e`)."""
