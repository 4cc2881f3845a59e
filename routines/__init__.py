"""Inferred routines: actions that a resident keeps repeating."""
