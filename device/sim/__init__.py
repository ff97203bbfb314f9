"""A whole simulated platform: clock, camera scenes, relay, signals.

It serves the demo and the tests alike and keeps the same contracts as the real adapters. Nothing of it is imported on a
real platform, and every start that uses it says SIMULATED.
"""
