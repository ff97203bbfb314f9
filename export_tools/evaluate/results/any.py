"""Whichever result an evaluation has."""

from __future__ import annotations

from export_tools.evaluate.results.detection import DetectionResult
from export_tools.evaluate.results.latency import LatencyResult
from export_tools.evaluate.results.pad import PadResult
from export_tools.evaluate.results.recognition import IdentificationResult, VerificationResult

EvaluationResult = VerificationResult | IdentificationResult | PadResult | DetectionResult | LatencyResult
