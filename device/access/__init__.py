"""From matches to a decision: pure rules over values, time is an argument.

In: candidates, liveness, the person's record. Out: a reason, granted or not. Never: a camera, a database, a relay, a
clock, or a verdict that nobody proved.
"""
