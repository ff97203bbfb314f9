"""From an upstream model file (bytes) to a plain FP32 ONNX file (bytes) with the names its description promises."""
