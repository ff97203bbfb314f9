"""Proof of life: a challenge that a living head answers and a flat picture of it cannot.

In: the frames and faces of one track. Out: a :class:`device.types.LivenessStatus` per frame. Never: an identity.
"""
