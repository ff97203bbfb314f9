"""The audit trail as pure functions: what goes into an entry, how entries are chained, how the chain is checked.

In: what happened, as frozen records. Out: canonical bytes, hashes, a verdict, CSV or JSON lines. Never: a database, a
clock, a file name; never a personal field in the part that the chain vouches for.
"""
