"""Every error this project raises on purpose.

TposError
├── InputError (ValueError)            what the user gave cannot be used        exit 2
│   ├── MissingFileError (FileNotFoundError)
│   ├── MediaError                     audio, image or video that cannot be read
│   ├── PresetError                    file, key, allowed values
│   ├── ModelError                     weights, records, shapes, checksums
│   └── DeviceError (LookupError)      no such audio device, display or GPU
└── RunError (RuntimeError)            trouble while running                    exit 1
    ├── StorageError (OSError)         disk full, read-only, no permission
    └── MissingPart (ImportError)      an optional part is absent; names the command that adds it

A message is one line: what is wrong, where, and what would be accepted.
"""


class TposError(Exception):
    """Root of the tree; `exit_code` is what the command line returns."""

    exit_code = 1


class InputError(TposError, ValueError):
    """Something the user gave cannot be used."""

    exit_code = 2


class MissingFileError(InputError, FileNotFoundError):
    """A path that does not exist."""


class MediaError(InputError):
    """An audio, image or video file that cannot be read."""


class PresetError(InputError):
    """A preset that breaks the schema: names the file, the key and the allowed values."""


class ModelError(InputError):
    """Weights, records or shapes that do not fit together."""


class DeviceError(InputError, LookupError):
    """No audio device, display or GPU of that name."""


class RunError(TposError, RuntimeError):
    """Trouble while the show runs."""


class StorageError(RunError, OSError):
    """The disk is full, read-only or not ours."""


class MissingPart(RunError, ImportError):
    """An optional part is absent; the message names the command that adds it."""
