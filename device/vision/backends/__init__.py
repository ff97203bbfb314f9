"""Inference backends: tensors in, tensors out; no image, no threshold, no decoding."""
