"""The enrolled as points on the unit sphere: search structures in RAM and the arithmetic of templates.

In: templates from the store, a probe. Out: the nearest people, best first. Never: a threshold, a decision, a file;
never a comparison between vectors of different models or with a probe that is not a finite unit vector.
"""
