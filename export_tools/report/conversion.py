"""How far each FP32 file is from the runtime its model was made for, as `models/README.md` records.

Measured there with LiteRT, dlib and PyTorch, which no device needs; a report repeats the figures and says so.
"""

from __future__ import annotations

from typing import Final

from export_tools.report.result import Conversion

_SQUARES: Final = "36 squares out of six photographs and four of noise"

CONVERSIONS: Final[dict[str, Conversion]] = {
    "blazeface-full-range-sparse": Conversion(runtime="LiteRT 2.3.0", max_abs=3.4e-4, reach=261, set=_SQUARES),
    "facemesh-468": Conversion(runtime="LiteRT 2.3.0", max_abs=1.8e-4, reach=169, set=_SQUARES),
    "mediapipe-iris": Conversion(runtime="LiteRT 2.3.0", max_abs=5.7e-5, reach=56, set=_SQUARES),
    "dlib-resnet29-v1": Conversion(
        runtime="dlib 20.0.1", max_abs=2.9e-7, reach=0.4, set="six faces and their mirror images"
    ),
    "minifasnet-v2": Conversion(runtime="PyTorch 2.13.0", max_abs=1.4e-6, reach=1, set="drawings and noise"),
    "minifasnet-v1se": Conversion(runtime="PyTorch 2.13.0", max_abs=8.9e-7, reach=1, set="drawings and noise"),
}
"""By model. YuNet is published as ONNX: its graph is taken over, and there is nothing to compare."""
