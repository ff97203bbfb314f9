"""The encrypted database: people, templates and audit entries in one file: "apply and audit" is one transaction.

In: rows to keep, under a key from :mod:`device.keys`. Out: the same rows, or an error that says whether the key is
wrong, the file damaged, the space used up or the state owned by another process. Never: plaintext on a disk, a key in a
message, a decision about what a row means. Only ``driver.py`` knows the driver.
"""
