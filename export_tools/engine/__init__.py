"""From an ONNX file to a TensorRT engine, on the machine that will run it."""
