"""What a configuration must not combine: found when it is read, not when somebody stands at the door."""

from __future__ import annotations

import pytest

from device.config import Config, parse_config
from device.errors import ConfigError


def _config(text: str) -> Config:
    return parse_config(text.encode(), origin="test")


def test_a_simulated_platform_drives_no_real_relay() -> None:
    """There, a recording is the camera and moves the clock: it would open a real door as often as it is played."""
    with pytest.raises(ConfigError) as refused:
        _config(
            "platform: sim\ndoor: {relay: gpiozero}\nliveness: {accept_replay_risk: true}\n"
            "camera: {source: /srv/visitor.mp4, pace: fast}"
        )
    assert refused.value.problems == ("test: door.relay: a real relay only on platform pi or jetson",)


@pytest.mark.parametrize("platform", ["pi", "jetson"])
@pytest.mark.parametrize("source", ["scene", "/srv/visitor.mp4", "visitor.mp4", "/srv/pictures", "/dev/video", "0"])
def test_a_real_platform_looks_through_a_camera(platform: str, source: str) -> None:
    """A recording is nobody at the door."""
    with pytest.raises(ConfigError) as refused:
        _config(f"platform: {platform}\ndoor: {{relay: gpiozero}}\ncamera: {{source: '{source}'}}")
    assert any("camera.source" in problem for problem in refused.value.problems)


@pytest.mark.parametrize("source", ["/dev/video0", "/dev/video12", "rtsp://door/1", "rtsps://door/1"])
def test_a_camera_is_a_camera(source: str) -> None:
    """Devices and streams."""
    config = _config(f"platform: pi\ndoor: {{relay: gpiozero}}\ncamera: {{source: '{source}'}}")
    assert config.camera.source == source


@pytest.mark.parametrize("platform", ["pi", "jetson"])
def test_a_real_platform_has_a_real_relay(platform: str) -> None:
    """A door that only seems to open is none."""
    with pytest.raises(ConfigError):
        _config(f"platform: {platform}\ncamera: {{source: /dev/video0}}")


def test_the_gap_within_a_proof_of_life_cannot_be_widened() -> None:
    """Nobody trades places with somebody else between two samples, whatever the owner writes."""
    assert _config("liveness: {max_gap_s: 0.2}").liveness.max_gap_s == 0.2
    with pytest.raises(ConfigError):
        _config("liveness: {max_gap_s: 0.34}")
