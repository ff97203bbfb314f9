"""The page of an evaluation, whichever it is."""

from __future__ import annotations

from export_tools.evaluate.results.any import EvaluationResult
from export_tools.evaluate.results.detection import DetectionResult
from export_tools.evaluate.results.pad import PadResult
from export_tools.evaluate.results.recognition import IdentificationResult, VerificationResult
from export_tools.report.conditions import Conditions, told_conditions
from export_tools.report.detection_page import detection_page
from export_tools.report.latency_page import latency_page
from export_tools.report.pad_page import pad_page
from export_tools.report.recognition_page import identification_page, verification_page


def evaluation_page(result: EvaluationResult, *, conditions: Conditions) -> str:
    """One self-contained HTML document; the same result under the same conditions gives the same bytes."""
    told = told_conditions(conditions)
    if isinstance(result, VerificationResult):
        return verification_page(result, conditions=told)
    if isinstance(result, IdentificationResult):
        return identification_page(result, conditions=told)
    if isinstance(result, PadResult):
        return pad_page(result, conditions=told)
    if isinstance(result, DetectionResult):
        return detection_page(result, conditions=told)
    return latency_page(result, conditions=told)
