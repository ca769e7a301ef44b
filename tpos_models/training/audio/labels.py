"""What sounds are called: the labels of recordings, the class names of taggers, and the phrases that say them."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from tpos_models.toml_data import read_toml


class Labels(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """labels.toml: what each label is called, labels and classes that are one of ours, and those that say little."""

    phrases: dict[str, tuple[str, ...]]
    same_as: dict[str, str]
    classes: dict[str, tuple[str, ...]]
    general: dict[str, tuple[str, ...]]


LABELS = read_toml(Path(__file__).with_name("labels.toml"), Labels)
GENERAL = frozenset(name for names in LABELS.general.values() for name in names)
_LABEL_OF = {name: label for label, names in LABELS.classes.items() for name in names} | LABELS.same_as


def label_of(name: str) -> str:
    """Our label for a recording's label or an AudioSet class; its own name where we have none."""
    return _LABEL_OF.get(name, name)


def phrases(label: str) -> tuple[str, ...]:
    """The phrases a label is trained with, its plainest first."""
    plain = re.sub(r" *\(.*?\)", "", label.replace("_", " ")).lower()
    return LABELS.phrases.get(label, (plain,))
