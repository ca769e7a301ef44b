"""The number formats that networks compute in, as users and records name them."""

from __future__ import annotations

from enum import StrEnum

from tpos_models.errors import InputError


class Precision(StrEnum):
    """`AUTO` is a question, the fastest that is faithful here; the others are answers, and only they are recorded."""

    AUTO = "auto"
    FP32 = "fp32"
    INT8 = "int8"
    FP16 = "fp16"

    @classmethod
    def parse(cls, text: str, option: str = "--precision") -> Precision:
        """The member of that name; raises `InputError` that names the option."""
        try:
            return cls(text)
        except ValueError:
            *names, last = cls
            raise InputError(f"{option} {text}: {', '.join(names)} or {last} would be accepted") from None
