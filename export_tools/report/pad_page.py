"""The page of presentation attack detection."""

from __future__ import annotations

from export_tools.evaluate.results.common import Rate
from export_tools.evaluate.results.pad import PadResult
from export_tools.report.markup import Child, Markup, element
from export_tools.report.page import listing, page, paragraph, plots, section, table
from export_tools.report.plots import INK, SERIES, canvas, hide_frame, style, svg
from export_tools.report.words import bounds, rate, share

_LIVE = "bona fide"


def pad_page(result: PadResult, *, conditions: Markup) -> str:
    """Attacks: per type and per clip, the worst type in front."""
    worst = "no attack got a response" if result.worst is None else f"{share(result.worst_apcer)} ({result.worst})"
    species: list[list[Child]] = [
        [
            each.species,
            f"{each.presentations:,}",
            f"{each.subjects:,}",
            rate(each.apcer),
            bounds(each.apcer),
            rate(each.apnrr),
        ]
        for each in result.species
    ]
    subjects: list[list[Child]] = [
        [
            each.subject,
            f"{each.bona_fide:,}",
            f"{each.bona_fide_rejected:,}",
            f"{each.attacks:,}",
            f"{each.attacks_accepted:,}",
            f"{each.no_response:,}",
        ]
        for each in result.subjects
    ]
    clips: list[list[Child]] = [
        [
            each.clip,
            each.subject,
            each.species or _LIVE,
            "none" if each.score is None else f"{each.score:.4f}",
            f"{each.scored} of {each.frames}",
            each.decision.replace("_", " "),
        ]
        for each in result.clips
    ]
    return page(
        "Doorward presentation attack detection",
        element("h1", "Presentation attack detection"),
        paragraph("The unit is the clip, never the frame.", soft="soft"),
        listing(
            [
                ("Worst APCER", worst),
                ("BPCER", f"{rate(result.bpcer)}, 95 %: {bounds(result.bpcer)}"),
                ("No response, bona fide", rate(result.bpnrr)),
                ("Turned away, bona fide", rate(result.turned_away)),
                ("ACER", f"{share(result.acer)}; customary in competitions, not a metric of ISO/IEC 30107-3"),
                ("Scorer", result.scorer),
                ("Rule", f"{result.rule} over the frames of a clip; bona fide from {result.threshold:g}"),
            ]
        ),
        section(
            "Attack types",
            plots(
                ("APCER with its 95 % interval", _species_plot(result)),
                ("Scores of clips", _clips_plot(result)),
            ),
            table(
                ("Attack type", "Clips", "People", "APCER", "95 %", "No response"),
                species,
                numbers=(1, 2),
                stack="stack",
            ),
        ),
        section(
            "People",
            table(
                ("Person", "Bona fide", "Rejected", "Attacks", "Accepted", "No response"),
                subjects,
                numbers=(1, 2, 3, 4, 5),
            ),
        ),
        section(
            "Clips",
            element(
                "details",
                element("summary", f"{len(clips)} clips"),
                table(("Clip", "Person", "Shows", "Score", "Frames", "Decision"), clips, numbers=(3, 4)),
            ),
        ),
        paragraph(f"Measured in {result.elapsed_s:.1f} s.", soft="soft"),
        conditions,
    )


def _species_plot(result: PadResult) -> Markup | None:
    shown: list[tuple[str, Rate, str]] = [(each.species, each.apcer, SERIES[1]) for each in result.species]
    shown.append(("bona fide (BPCER)", result.bpcer, SERIES[0]))
    shown = [(name, found, colour) for name, found, colour in shown if found.value is not None]
    if not shown:
        return None
    with style():
        figure, (axes,) = canvas(height_in=0.8 + 0.28 * len(shown))
        for place, (_, found, colour) in enumerate(shown):
            if found.interval is not None:
                ends = (100 * found.interval.lower, 100 * found.interval.upper)
                axes.plot(ends, [place, place], color=colour, linewidth=1.4, solid_capstyle="butt")
            axes.plot([100 * (found.value or 0.0)], [place], marker="o", markersize=5, color=colour)
        axes.set_yticks(range(len(shown)), [name for name, _, _ in shown])
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.set_xlim(-1, 101)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("% of clips decided wrongly")
        hide_frame(axes)
        return svg(figure, key="species", title="Share of attacks taken for bona fide, per attack type, with intervals")


def _clips_plot(result: PadResult) -> Markup | None:
    kinds = [_LIVE, *(each.species for each in result.species)]
    scores = {
        kind: [clip.score for clip in result.clips if (clip.species or _LIVE) == kind and clip.score is not None]
        for kind in kinds
    }
    shown = [kind for kind in kinds if scores[kind]]
    if not shown:
        return None
    with style():
        figure, (axes,) = canvas(height_in=0.8 + 0.28 * len(shown))
        for place, kind in enumerate(shown):
            colour = SERIES[0] if kind == _LIVE else SERIES[1]
            axes.plot(scores[kind], [place] * len(scores[kind]), "|", markersize=11, markeredgewidth=1.4, color=colour)
        axes.axvline(result.threshold, color=INK, linewidth=1, linestyle=":")
        axes.set_yticks(range(len(shown)), shown)
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.set_xlim(-0.02, 1.02)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("P(live) of a clip; dotted: the threshold")
        hide_frame(axes)
        return svg(figure, key="clips", title="Scores of clips, per attack type, threshold marked")
