"""Where upstream files come from: pinned by sha256, cached, resumed; what comes out is verified bytes, never run."""
