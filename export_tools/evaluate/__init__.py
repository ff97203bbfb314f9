"""Measuring: scores and labels in, rates with their confidence intervals out; what a threshold means."""
