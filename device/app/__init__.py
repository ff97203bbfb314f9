"""What the appliance does, readable as the specification; joins the stages, which do not know one another.

In: frames, requests of the control socket. Out: decisions that are audited before the door moves. Never: a driver, a
thread, or a concrete class of a platform.
"""
