"""Every call that changes the disk, and the reading of bytes, in one place: what a crash can come between is here.

All take paths or descriptors and raise OSError; `refused` turns that into words.
"""

import errno
import fcntl
import os
from pathlib import Path
from typing import Final

from edge_agent.errors import JournalError, Words

_PAGE: Final = 4096
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_CLOSED: Final = (errno.EROFS, errno.EACCES, errno.EPERM)


def create(path: Path) -> int:
    """A new file, open for reading and writing; an old one under this name is emptied."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)


def open_for_writing(path: Path) -> int:
    """A file that may or may not be there yet; its contents are kept."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)


def open_for_reading(path: Path) -> int:
    """A file that is there."""
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def write(fd: int, data: bytes, at: int) -> None:
    """All of `data` in one call where the kernel takes it so; what it took of it before refusing stays."""
    done = os.pwrite(fd, data, at)
    while done < len(data):
        done += os.pwrite(fd, data[done:], at + done)


def put(path: Path, data: bytes) -> None:
    """A file with this in it; an old one under this name is emptied first."""
    fd = create(path)
    try:
        write(fd, data, 0)
    finally:
        os.close(fd)


def truncate(fd: int, size: int) -> None:
    """Cuts the file, or makes it longer with zeros."""
    os.ftruncate(fd, size)


def reserve(fd: int, size: int) -> bool:
    """Space for the whole file ahead of time; False where the file system can't, or has not got it."""
    try:
        os.posix_fallocate(fd, 0, size)
    except OSError:
        return False
    return True


def sync(fd: int) -> None:
    """Contents and length are durable when it returns."""
    os.fdatasync(fd)


def sync_directory(path: Path) -> None:
    """Names are durable when it returns."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def rename(old: Path, new: Path) -> None:
    """In one step; `new` is replaced."""
    old.rename(new)


def remove(path: Path) -> None:
    """It may be gone already."""
    path.unlink(missing_ok=True)


def make_directory(path: Path) -> None:
    """With its parents; it may be there already."""
    path.mkdir(parents=True, exist_ok=True, mode=0o750)


def room(path: Path) -> tuple[int, int]:
    """Bytes that may still be taken on the file system of `path`, and all it has."""
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize


def lock(path: Path) -> int:
    """The file's descriptor with an exclusive lock; BlockingIOError where another holds it."""
    fd = open_for_writing(path)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise
    return fd


def read(fd: int, size: int, at: int) -> bytes:
    """`size` bytes or as many as there are. A page that the disk can't read is zeros, which no checksum accepts."""
    try:
        return os.pread(fd, size, at)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return b"".join(_read_page(fd, min(_PAGE, at + size - page), page) for page in range(at, at + size, _PAGE))


def _read_page(fd: int, size: int, at: int) -> bytes:
    try:
        return os.pread(fd, size, at)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return bytes(size)


def is_full(error: OSError) -> bool:
    """No space, no quota, or no longer file allowed."""
    return error.errno in _FULL


def wants_room(error: OSError) -> bool:
    """It may succeed once something else has gone."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def is_closed(error: OSError) -> bool:
    """May be read but not written."""
    return error.errno in _CLOSED


def refused(operation: str, path: Path, error: OSError) -> JournalError:
    """The error for a person: what the disk said, and what to do."""
    cause, hint = _words(error)
    return JournalError(operation, str(path), cause, hint)


def _words(error: OSError) -> tuple[Words, Words]:
    if error.errno in _FULL:
        return (
            Words("저장 공간이 없습니다", "no space left on the disk"),
            Words(
                "디스크를 비우거나 journal.max_bytes를 줄이십시오",
                "free space on the disk or make journal.max_bytes smaller",
            ),
        )
    if error.errno in _CLOSED:
        return (
            Words(
                "쓸 수 없는 폴더입니다(읽기 전용 또는 권한 없음)",
                "the folder can't be written (read-only, or no permission)",
            ),
            Words(
                "폴더의 소유자와 마운트 상태를 확인하십시오. SD 카드는 고장 나면 읽기 전용이 됩니다",
                "check the folder's owner and mount; an SD card that fails becomes read-only",
            ),
        )
    if isinstance(error, BlockingIOError):
        return (
            Words("다른 edge-agent가 이 저널을 쓰고 있습니다", "another edge-agent is using this journal"),
            Words(
                "다른 프로세스를 멈추거나 journal.path를 바꾸십시오", "stop the other process or change journal.path"
            ),
        )
    return (
        Words(f"디스크가 거부했습니다: {error.strerror}", f"the disk refused: {error.strerror}"),
        Words("디스크 상태를 확인하십시오(dmesg, SMART)", "check the disk (dmesg, SMART)"),
    )
