"""Who plays which part: the only place that names concrete classes.

    part       sim                        pi                        jetson
    camera     recordings, scenes, V4L2   V4L2, RTSP                V4L2, RTSP
    relay      SimulatedRelay             GpioRelay (gpiozero)      none yet
    models     onnxruntime                onnxruntime               onnxruntime
    state      SQLCipher, key file        SQLCipher, key file       SQLCipher, key file

Parts are opened in order and let go in reverse. Nothing of ``device.sim`` is imported on a real platform.
"""
