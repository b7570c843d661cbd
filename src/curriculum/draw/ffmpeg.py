"""Pipe raw frames to the ffmpeg that imageio-ffmpeg ships."""

from __future__ import annotations

import errno
import os
import subprocess
import tempfile
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from curriculum.errors import InputError, RunError
from curriculum.store.place import Place, replace

AHEAD = 2  # frames that are drawn while the encoder takes an earlier one
PIPE_BYTES = 2**20  # the most that an ordinary user may ask for

# One palette for each frame: a palette for all would hold every frame in memory at once.
_GIF_FILTER = "split[a][b];[a]palettegen=stats_mode=single[p];[b][p]paletteuse=new=1"
CODECS: dict[str, list[str]] = {
    ".mp4": ["-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-pix_fmt", "yuv420p", "-movflags", "+faststart"],
    ".webm": [
        "-c:v",
        "libvpx-vp9",
        "-b:v",
        "0",
        "-crf",
        "30",
        "-deadline",
        "realtime",
        "-cpu-used",
        "8",
        "-row-mt",
        "1",
        "-pix_fmt",
        "yuv420p",
    ],
    ".gif": ["-filter_complex", _GIF_FILTER, "-loop", "0"],
}


def ffmpeg() -> str:
    """Find the encoder; IMAGEIO_FFMPEG_EXE names another one than the one shipped.

    Raises `InputError` where there is none.
    """
    import imageio_ffmpeg

    try:
        path: str = imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        raise InputError(f"cannot find ffmpeg to encode the video: {error}") from None
    return path


def encode(frames: Iterable[memoryview], path: Path, width: int, height: int, fps: float, place: Place = replace) -> Path:
    """Write RGBA frames as a video, which gets its name by `place` only when it is whole; return the path that it has.

    Raises `RunError` where the encoder fails or cannot write, and what `place` raises; what was written is removed then,
    as it is when this is interrupted.
    """
    beside = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    source = ["-f", "rawvideo", "-pix_fmt", "rgba", "-s", f"{width}x{height}", "-r", f"{fps:g}", "-i", "-"]
    command = [ffmpeg(), "-y", "-v", "error", *source, "-an", *CODECS[path.suffix.lower()], f"file:{beside}"]
    with tempfile.TemporaryFile() as messages:
        try:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=messages)
        except OSError as error:
            raise InputError(f"cannot start the encoder {command[0]}: {error.strerror or error}") from None
        try:
            assert process.stdin is not None
            _widen(process.stdin.fileno())
            _feed(process, frames)
            with suppress(BrokenPipeError):
                process.stdin.close()
            if process.wait() != 0:
                messages.seek(0)
                lines = messages.read().decode(errors="replace").strip().splitlines()
                raise RunError(f"cannot write {path}: {_reason(lines, process.returncode)}")
            try:
                return place(beside, path)
            except OSError as error:
                raise RunError(f"cannot write {path}: {error.strerror or error}") from error
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            if process.stdin is not None:
                with suppress(BrokenPipeError):
                    process.stdin.close()
            with suppress(OSError):
                beside.unlink()


def _feed(process: subprocess.Popen[bytes], frames: Iterable[memoryview]) -> None:
    """Write frames to a process until there are no more, or it takes none; while one is written the next are drawn.

    The process is killed where a frame cannot be drawn: nobody would wait for it.
    """
    pipe = process.stdin
    assert pipe is not None
    waiting: deque[Future[int]] = deque()
    copies: list[bytearray] = []  # a frame's own memory is that of the next one, too
    with ThreadPoolExecutor(1) as writer:
        try:
            for number, frame in enumerate(frames):
                if len(waiting) == AHEAD:
                    waiting.popleft().result()
                if len(copies) < AHEAD + 1:
                    copies.append(bytearray(frame.nbytes))
                copy = copies[number % len(copies)]
                copy[:] = frame
                waiting.append(writer.submit(pipe.write, copy))
            for write in waiting:
                write.result()
        except BrokenPipeError:
            return
        except BaseException:
            process.kill()
            raise


def _widen(pipe: int) -> None:
    """Let the pipe hold more of a frame at once where the system can: a seventh more frames a second."""
    with suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)


def _reason(lines: list[str], code: int) -> str:
    """Find why the encoder stopped: the system's own word, which it buries under what follows from it."""
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS, errno.EIO):
        if any(os.strerror(number) in line for line in lines):
            return os.strerror(number)
    return f"the encoder failed ({lines[-1] if lines else f'exit code {code}'})"
