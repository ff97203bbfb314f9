"""How good the whole liveness policy of a door is, measured attempt by attempt on simulated and recorded presentations.

In come presentations; each is recorded once as a trace of what the door's own vision saw (no picture in it), and every
policy is then played on the trace, which gives the very attempt that the door would have seen. Out come attempts and
sessions; rates are made of them elsewhere. Nothing here judges: every verdict is the device's own code.
"""
