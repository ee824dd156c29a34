"""Where a body that comes in chunks ends. The standard library only."""

LINE = 8192  # bytes of a chunk's first line, or of what follows the last chunk


class Chunks:
    """Finds the end of a chunked body; whether it is well formed is for gunicorn's reader to say."""

    def __init__(self) -> None:
        self.at, self.last = 0, False

    def ended(self, data: bytearray) -> bool:
        """Whether `data`, which only grows between two calls, holds all of the body, or what cannot be one."""
        while self.at <= len(data):
            # Each chunk but the last ends with an empty line of its own.
            if self.at and not self.last and data[self.at - 2 : self.at] != b"\r\n":
                return True
            end = data.find(b"\r\n", self.at)
            if self.last:
                return end == self.at or data.find(b"\r\n\r\n", self.at) >= 0 or len(data) - self.at > LINE
            if end < 0:
                return len(data) - self.at > LINE
            try:
                size = int(data[self.at : end].partition(b";")[0], 16)
            except ValueError:
                return True
            if size < 0:
                return True
            self.last = not size
            self.at = end + 2 + (size + 2 if size else 0)
        return False
