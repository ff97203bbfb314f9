"""`doorward bench`: what the appliance costs, against its own models run bare and against another project.

In: a recording and a built pack. Out: a table or JSON. Never: the gallery of the state directory it is called with.
"""
