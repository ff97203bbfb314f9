"""How good the door is, in the words of ISO/IEC 19795-1 and ISO/IEC 30107-3.

In come pictures with the truth about them; out come frozen results (:mod:`export_tools.evaluate.results`). Faces go
through the device's own pipeline, never through one of this room. What has no score never matches, and is counted.
This room prints nothing and draws nothing.
"""
