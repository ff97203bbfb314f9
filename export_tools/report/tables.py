"""A report of packs as tables: one row per model and precision, one per choice."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from device.audit.export import safe_cell
from export_tools.report.result import ModelFigures, PrecisionFigures, ReportResult

MODEL_COLUMNS = (
    "model", "role", "precision", "excluded", "size_bytes", "inputs", "output_share_max", "cosine_mean", "cosine_min",
    "faces", "faces_lost", "faces_invented", "iou_mean", "iou_min", "points_mean_percent", "points_max_percent",
    "live_change_max", "backend", "threads", "batch", "runs",
    "median_ms", "p10_ms", "p90_ms", "times_as_fast_as_fp32",
)  # fmt: skip


def report_tables(result: ReportResult) -> dict[str, str]:
    """CSV files by name; a cell without a figure is empty."""
    models = [row for model in result.models for figures in model.precisions for row in _rows(model, figures)]
    choices = [
        (figures.pack, choice.role, choice.model, choice.target, choice.precision, choice.reason)
        for figures in result.packs
        for choice in figures.choices
    ]
    return {
        "models.csv": _csv(MODEL_COLUMNS, models),
        "choices.csv": _csv(("pack", "role", "model", "target", "precision", "reason"), choices),
    }


def _rows(model: ModelFigures, figures: PrecisionFigures) -> list[tuple[object, ...]]:
    drift = figures.drift
    error: tuple[object, ...] = (None,) * 11
    if drift is not None:
        shares = [each.max_abs / each.span for each in drift.outputs if each.span > 0]
        embedding, detection = drift.embedding, drift.detection
        error = (
            drift.inputs,
            max(shares, default=None),
            embedding and embedding.cosine_mean,
            embedding and embedding.cosine_min,
            detection and detection.reference,
            None if detection is None else detection.lost,
            None if detection is None else detection.invented,
            detection and detection.iou_mean,
            detection and detection.iou_min,
            drift.points and drift.points.mean_percent,
            drift.points and drift.points.max_percent,
        )
    live = None if drift is None or drift.liveness is None else drift.liveness.max_change
    start = (model.name, model.role, figures.precision, figures.excluded, figures.size_bytes, *error, live)
    if not figures.latency:
        return [(*start, *(None,) * 8)]
    return [
        (*start, row.backend, row.threads, row.batch, row.runs, row.median_ms, row.p10_ms, row.p90_ms, row.ratio)
        for row in figures.latency
    ]


def _csv(head: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(["" if cell is None else safe_cell(cell) for cell in row] for row in rows)
    return text.getvalue()
