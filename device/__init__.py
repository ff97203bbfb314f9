"""The door controller: everything that runs on the device.

    camera -> vision -> gallery -> access -> audit -> door

Imports go down only; the folders of that line do not know one another, ``device.app`` joins them.
"""
