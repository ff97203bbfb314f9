"""Pictures from the world: cameras, recordings, photographs.

In come a device, an address, a file or the bytes of a photograph; out come :class:`device.types.Frame` and BGR
pictures. Nothing here looks for faces, keeps a picture, or lets one leave the process.
"""
