"""Measurements for people: one self-contained HTML page, tables as CSV."""
