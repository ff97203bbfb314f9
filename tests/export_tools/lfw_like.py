"""Sets of pictures in the layout of LFW, made of the demo's photographs: as many as wanted, all of them different.

Two people, so the truth about every pair is known; the pictures are 250 x 250, as LFW's are, the face in the middle.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from device.camera.photo import decode_photo
from device.types import Image

SIDE_PX = 250
#: Middle of the face and its width in each photograph, pixels.
FACES = {
    "obama.jpg": (450, 410, 360),
    "obama2.jpg": (340, 340, 300),
    "obama3.jpg": (720, 570, 470),
    "biden.jpg": (500, 560, 480),
}
PEOPLE = {"Obama": ("obama.jpg", "obama2.jpg", "obama3.jpg"), "Biden": ("biden.jpg",)}


def picture(photo: Image, place: tuple[int, int, int], *, draw: np.random.Generator) -> Image:
    """One variant: turned, shifted, scaled, lit and noisy by chance."""
    x, y, width = place
    scale = SIDE_PX / (width * draw.uniform(2.0, 2.5))
    matrix = cv2.getRotationMatrix2D((float(x), float(y)), draw.uniform(-8, 8), scale)
    matrix[0, 2] += SIDE_PX / 2 - x + draw.uniform(-8, 8)
    matrix[1, 2] += SIDE_PX / 2 - y + draw.uniform(-8, 8)
    cut = cv2.warpAffine(photo, matrix, (SIDE_PX, SIDE_PX), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    lit = cut.astype(np.float32) * draw.uniform(0.8, 1.15) + draw.normal(0, draw.uniform(1, 6), cut.shape)
    done: Image = np.clip(lit, 0, 255).astype(np.uint8)
    return done


def write_set(folder: Path, photos: dict[str, bytes], *, per_person: int, seed: int = 7) -> Path:
    """``per_person`` pictures of each person below ``folder``; returns it."""
    draw = np.random.default_rng(seed)
    decoded = {name: decode_photo(photos[name], name=name) for name in FACES}
    for person, names in PEOPLE.items():
        (folder / person).mkdir(parents=True)
        for number in range(1, per_person + 1):
            name = names[number % len(names)]
            done = cv2.imwrite(
                str(folder / person / f"{person}_{number:04d}.jpg"),
                picture(decoded[name], FACES[name], draw=draw),
                [cv2.IMWRITE_JPEG_QUALITY, 92],
            )
            if not done:
                raise OSError(f"cannot write into {folder}")
    return folder


def write_pairs(path: Path, *, folds: int, per_kind: int, per_person: int, seed: int = 7) -> Path:
    """A list of pairs with folds that uses every picture at least once where there are pairs enough."""
    draw = np.random.default_rng(seed)
    order = {person: draw.permutation(per_person) + 1 for person in PEOPLE}
    used = dict.fromkeys(PEOPLE, 0)

    def take(person: str) -> int:
        number = int(order[person][used[person] % per_person])
        used[person] += 1
        return number

    lines = [f"{folds}\t{per_kind}"]
    for _ in range(folds):
        for index in range(per_kind):
            person = ("Obama", "Biden")[index % 2]
            lines.append(f"{person}\t{take(person)}\t{take(person)}")
        lines.extend(f"Obama\t{take('Obama')}\tBiden\t{take('Biden')}" for _ in range(per_kind))
    path.write_text("\n".join(lines) + "\n")
    return path
