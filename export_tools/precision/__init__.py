"""From an FP32 ONNX file to FP16, INT8 with u8 activations and INT8 with symmetric s8; bytes in, bytes out."""
