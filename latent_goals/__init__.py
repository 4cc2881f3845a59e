"""Latent goals: what a first action implies next."""
