"""Latent goals: what a first action implies next."""

from latent_goals.next_action import NextAction

__all__ = ["NextAction"]
