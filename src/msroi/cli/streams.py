"""Stdout and stderr that end no run: they drop what they can't take."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO


class Stream:
    """A text stream that remembers its failures instead of raising them.

    It writes an escape for what its encoding has no character for.

    Attributes
    ----------
    failure : OSError or None
        Why nothing more is written.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._closed = stream is None  # as Python has it where the descriptor is closed
        self._stream = stream or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
        self.failure: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write text, or nothing after a failure."""
        if self.failure is None:
            encoding = getattr(self._stream, "encoding", None) or "utf-8"
            sayable = text.encode(encoding, "backslashreplace").decode(encoding)
            try:
                self._stream.write(sayable)
            except OSError as error:
                self._fail(error)
        return len(text)

    def flush(self) -> None:
        """Flush, or nothing after a failure."""
        if self.failure is None:
            try:
                self._stream.flush()
            except OSError as error:
                self._fail(error)

    def _fail(self, error: OSError) -> None:
        self.failure = error
        # what is left in the buffer would fail again when Python ends
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)

    def close(self) -> None:
        """Close the stream that stands in place of a closed one."""
        if self._closed:
            self._stream.close()


@contextmanager
def unfailing() -> Iterator[tuple[Stream, Stream]]:
    """Let stdout and stderr fail silently in the block, and yield both."""
    given = sys.stdout, sys.stderr
    out, err = Stream(sys.stdout), Stream(sys.stderr)
    sys.stdout, sys.stderr = out, err
    try:
        yield out, err
    finally:
        out.flush()
        err.flush()
        out.close()
        err.close()
        sys.stdout, sys.stderr = given
