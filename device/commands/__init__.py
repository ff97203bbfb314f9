"""The verbs of `doorward`, one module each: words in, words out.

In: the command line. Out: tables for people, JSON for machines, an exit code by class of error. Never: a decision
about the door. What needs the state goes through :mod:`device.commands.session`, to the running daemon or, where none
runs, to the state itself.
"""
