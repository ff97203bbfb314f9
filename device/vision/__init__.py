"""Seeing: from a picture to faces with landmarks, pose, quality and embeddings."""
