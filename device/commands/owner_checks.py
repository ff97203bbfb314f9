"""What only the owner of the state can tell an installer: the answers of :mod:`device.app.control`, judged."""

from __future__ import annotations

from typing import Any

from device.commands.checks import CheckResult, Outcome


def check_database(told: dict[str, Any], state: dict[str, Any]) -> CheckResult:
    """Every page authentic, space left, reserve held back."""
    if told["integrity"] is None:
        return CheckResult(
            "database",
            Outcome.AMBER,
            "too large to be looked through while the door runs",
            "stop the daemon, then check again",
        )
    if told["integrity"]:
        problems = "; ".join(told["integrity"][:3])
        return CheckResult("database", Outcome.FAIL, problems, "restore the state directory from its backup")
    space = state["database"]
    found = f"sound, {100 * space['used_share']:.1f} % of {space['quota_bytes'] // 2**20} MiB used"
    if not space["reserve"] or space["used_share"] > 0.9 or space["scrub_pending"]:
        return CheckResult("database", Outcome.AMBER, found, "make room on the disk, or raise audit.quota_mb")
    return CheckResult("database", Outcome.PASS, found)


def check_audit(told: dict[str, Any]) -> CheckResult:
    """The chain from its first entry to its last."""
    if told["sound"]:
        return CheckResult("audit", Outcome.PASS, f"{told['entries']} entries verify")
    return CheckResult(
        "audit",
        Outcome.FAIL,
        f"broken at entry {told['seq']}: {told['detail']}",
        "keep a copy, see `doorward audit verify`",
    )


def check_gallery(told: dict[str, Any], state: dict[str, Any]) -> CheckResult:
    """How many are enrolled, who must be enrolled anew, and whether two of them are too much alike."""
    gallery, threshold, pair = state["gallery"], state["threshold"], told["closest_pair"]
    found = f"{gallery['people']} enrolled, {gallery['enabled']} enabled"
    if gallery["needs_template"] and gallery["model"] is None:
        return CheckResult("gallery", Outcome.AMBER, f"{found}; without a pack nobody can be compared", "see `pack`")
    if gallery["needs_template"]:
        return CheckResult(
            "gallery",
            Outcome.AMBER,
            f"{found}; {len(gallery['needs_template'])} without a template of {gallery['model']}",
            "they are not recognised: `doorward people reenroll FOLDER` enrols them anew from photographs",
        )
    if pair is not None:
        found += f"; most alike: {pair['names'][0]} and {pair['names'][1]}, cosine {pair['similarity']:.3f}"
        if threshold is not None and not pair["similarity"] < threshold:
            return CheckResult(
                "gallery", Outcome.AMBER, found, "the door will find them ambiguous: twins, or one enrolled twice"
            )
    return CheckResult("gallery", Outcome.PASS, found)


def camera_words(camera: dict[str, Any]) -> str:
    """What the daemon says about its camera, as one line; empty when it says nothing."""
    if "state" not in camera:
        return ""
    parts = [f"{camera.get('description', 'camera')}: {camera['state']}"]
    if isinstance(camera.get("fps"), int | float):
        parts.append(f"{camera['fps']:.1f} fps")
    if isinstance(camera.get("age_s"), int | float):
        parts.append(f"last frame {camera['age_s']:.1f} s ago")
    if camera.get("fault"):
        parts.append(str(camera["fault"]))
    return ", ".join(parts)


def check_daemon(health: dict[str, Any]) -> tuple[CheckResult, ...]:
    """What a running daemon says about the parts that it owns."""
    camera = health.get("camera") or {}
    state = str(camera.get("state", "unknown"))
    about = camera_words(camera)
    seen = {"ok": Outcome.PASS, "ended": Outcome.PASS, "starting": Outcome.AMBER}.get(state, Outcome.FAIL)
    return (
        CheckResult("daemon", Outcome.PASS, f"answers on its socket, process {health.get('pid')}"),
        CheckResult(
            "camera",
            seen,
            about or "the daemon says nothing about it",
            "" if seen is Outcome.PASS else str(camera.get("fault") or "check cable and camera.source"),
        ),
        CheckResult(
            "relay",
            Outcome.AMBER if health.get("simulated_relay") else Outcome.PASS,
            f"door {health.get('door')}" + (", SIMULATED relay" if health.get("simulated_relay") else ""),
            "no door is behind it" if health.get("simulated_relay") else "",
        ),
    )
