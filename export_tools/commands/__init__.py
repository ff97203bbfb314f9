"""The commands of `doorward-export`, one module each."""
