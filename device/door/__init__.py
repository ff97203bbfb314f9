"""The door: a bounded pulse for a granted decision, and what the person outside is told.

In comes a :class:`device.types.Decision`; out goes a pulse on a :class:`device.interfaces.Relay` and an answer that
says whether there was one. Nothing here decides who may enter, and nothing here keeps the relay driven.
"""
