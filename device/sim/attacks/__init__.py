"""Presentation attacks before the simulated camera: each brings something that is not a living face, and obeys."""
