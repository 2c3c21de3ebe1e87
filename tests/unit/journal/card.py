"""A memory card in memory: a file system that knows what is durable and what is only in the page cache.

`mounted` puts it beneath `os` and `fcntl` for every path under /card, so that whatever the journal calls ends here, and
nothing can go past it. `Card.still` keeps a moment; `Still.after_power_cut` is what may be found after the power went
in that moment. Rules, each at least as harsh as ext4 (data=ordered, delayed allocation) keeps them:

- fsync and fdatasync make a file's contents and length durable, not its name: that takes fsync of the directory
  (fsync(2), "Notes"; ext4 would commit the name too).
- Names that are not durable (create, rename, unlink, mkdir) come through in order up to any point, as one ext4 journal
  would keep them, or any of them in any order, as long as those of one name stay in order (btrfs, f2fs, exFAT; the
  "any order" of Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014). A rename is one step.
- Lengths that are not durable (extending writes, truncate, fallocate): any that the file had since its last sync,
  whatever came through of its contents. What no write reached is zeros, never another file's old bytes (data=ordered).
- Contents that are not durable come through by sectors of 512 bytes, in any order: each as it was after any of the
  writes that touched it, torn at any byte between two of these (beginning or end), or, in the bytes that were being
  written, as noise. Bytes that nothing wrote to stay ("powersafe overwrite", sqlite.org/psow.html): durable bytes are
  never hurt by a write beside them. Nor is a sector that is written over with just what it held.
- Where `fails` says so, a write or a sync is answered with EIO. Of such a write nothing comes. After such a sync the
  page cache calls clean what it could not write, so that no later sync writes it, and the power takes it; only what is
  written again gets another chance (Rebello et al., "Can Applications Recover from fsync Failures?", ATC 2020).
"""

import contextlib
import errno
import fcntl
import io
import os
import random
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import pytest

_ROOT = "/card"
ROOT = Path(_ROOT)
SECTOR = 512
_FIRST_FD = 1 << 24
_MAY_FAIL = {"pwrite", "fdatasync", "fsync"}
_CHANGES = {"open", "pwrite", "ftruncate", "posix_fallocate", "fdatasync", "fsync", "rename", "unlink", "mkdir"}


def _refuse(number, path=""):
    raise OSError(number, os.strerror(number), str(path))


class File:
    """Contents now, contents as they are durable, and the writes in between: (at, bytes), or a new length."""

    def __init__(self, durable=b""):
        self.durable = durable
        self.writes: list[tuple[int, bytes] | int] = []
        self.failed = False
        """There is what seems clean and is not on the card."""

    @cached_property
    def data(self):
        """Made when somebody looks: of most files of most cards nobody does."""
        return bytearray(self.durable)

    def write(self, at, data):
        if at > len(self.data):
            self.data += bytes(at - len(self.data))
        self.data[at : at + len(data)] = data
        self.writes.append((at, data))

    def resize(self, size):
        if size != len(self.data):
            _resize(self.data, size)
            self.writes.append(size)

    def sync(self):
        if self.writes:
            self.durable, self.writes = bytes(self._written() if self.failed else self.data), []

    def _written(self):
        """What a sync writes where an earlier one failed: not what that one did not write."""
        data = bytearray(self.durable)
        for write in self.writes:
            if isinstance(write, tuple):
                at, new = write
                _resize(data, max(len(data), at + len(new)))
                data[at : at + len(new)] = new
            else:
                _resize(data, write)
        return data

    def fail(self):
        """A sync did."""
        self.failed, self.writes = self.failed or bool(self.writes), []


class Folder(dict[str, Any]):
    """Names to files and folders, as they are now. Equal to itself only."""

    __hash__ = object.__hash__

    def __eq__(self, other):
        return self is other

    def sync(self):
        """The card knows which names it makes durable."""


def _resize(data, size):
    if size < len(data):
        del data[size:]
    else:
        data += bytes(size - len(data))


@dataclass(frozen=True, eq=False)
class Naming:
    """One step that changes names: what each of these names is afterwards, None for nothing."""

    names: tuple[tuple[Folder, str, Any], ...]

    def do(self, tree):
        for folder, name, target in self.names:
            if target is None:
                tree[folder].pop(name, None)
            else:
                tree[folder][name] = target


class Card:
    """What `os` offers, for paths under /card. `before` is called ahead of each call that changes something."""

    def __init__(self, root=None):
        self.root = root if root is not None else Folder()
        self.namings: list[Naming] = []
        """Steps that are not durable yet, oldest first."""
        self.durable: dict[Folder, dict[str, Any]] = {}
        self.fds: dict[int, tuple[Any, int]] = {}
        self.locked: dict[int, int] = {}
        self.before: Callable[[str], None] = lambda call: None
        self.fails: Callable[[str], bool] = lambda call: False
        self.calls = 0
        self._know(self.root)

    def _know(self, folder):
        self.durable[folder] = dict(folder)
        for entry in folder.values():
            if isinstance(entry, Folder):
                self._know(entry)

    def find(self, path):
        entry: Any = self.root
        for name in _parts(path):
            if not isinstance(entry, Folder):
                _refuse(errno.ENOTDIR, path)
            if name not in entry:
                _refuse(errno.ENOENT, path)
            entry = entry[name]
        return entry

    def _place(self, path):
        *above, name = _parts(path)
        folder: Any = self.root
        for part in above:
            if not isinstance(folder, Folder) or part not in folder:
                _refuse(errno.ENOENT, path)
            folder = folder[part]
        if not isinstance(folder, Folder):
            _refuse(errno.ENOTDIR, path)
        return folder, name

    def _name(self, *names):
        for folder, name, target in names:
            if target is None:
                folder.pop(name, None)
            else:
                folder[name] = target
        self.namings.append(Naming(names))

    def open(self, path, flags, mode=0o777):
        folder, name = self._place(path) if _parts(path) else ({"": self.root}, "")
        entry = folder.get(name)
        if entry is None:
            if not flags & os.O_CREAT:
                _refuse(errno.ENOENT, path)
            entry = File()
            self._name((folder, name, entry))
        if isinstance(entry, Folder) and flags & (os.O_WRONLY | os.O_RDWR):
            _refuse(errno.EISDIR, path)
        if flags & os.O_TRUNC and isinstance(entry, File):
            entry.resize(0)
        self.calls += 1
        fd = _FIRST_FD + self.calls
        self.fds[fd] = (entry, flags)
        return fd

    def dup(self, fd):
        self.calls += 1
        other = _FIRST_FD + self.calls
        self.fds[other] = self.fds[fd]
        return other

    def close(self, fd):
        self.fds.pop(fd)
        self.locked = {of: by for of, by in self.locked.items() if by != fd}

    def file(self, fd):
        if fd not in self.fds:
            _refuse(errno.EBADF)
        return self.fds[fd][0]

    def pread(self, fd, size, at):
        return bytes(memoryview(self.file(fd).data)[at : at + size])

    def pwrite(self, fd, data, at):
        self.file(fd).write(at, bytes(data))
        return len(data)

    def ftruncate(self, fd, size):
        self.file(fd).resize(size)

    def posix_fallocate(self, fd, at, size):
        file = self.file(fd)
        file.resize(max(len(file.data), at + size))

    def fdatasync(self, fd):
        self.file(fd).sync()

    def fsync(self, fd):
        entry = self.file(fd)
        entry.sync()
        if isinstance(entry, Folder):
            self._sync_names(entry)

    def _sync_names(self, folder):
        mine = [any(where is folder for where, _, _ in naming.names) for naming in self.namings]
        for naming in _in_order(self.namings, mine):
            naming.do(_Durable(self.durable))
        self.namings = [naming for naming in self.namings if naming not in set(_in_order(self.namings, mine))]

    def rename(self, old, new, **_):
        folder, name = self._place(old)
        if name not in folder:
            _refuse(errno.ENOENT, old)
        into, new_name = self._place(new)
        self._name((folder, name, None), (into, new_name, folder[name]))

    def unlink(self, path, **_):
        folder, name = self._place(path)
        if name not in folder:
            _refuse(errno.ENOENT, path)
        if isinstance(folder[name], Folder):
            _refuse(errno.EISDIR, path)
        self._name((folder, name, None))

    def mkdir(self, path, mode=0o777, **_):
        folder, name = self._place(path)
        if name in folder:
            _refuse(errno.EEXIST, path)
        self._name((folder, name, Folder()))

    def stat(self, path, **_):
        return _stat(self.find(path))

    def fstat(self, fd):
        return _stat(self.file(fd))

    def listdir(self, path):
        return list(self.find(path))

    def scandir(self, path):
        folder = self.find(path)
        if not isinstance(folder, Folder):
            _refuse(errno.ENOTDIR, path)
        return _Listing([_Entry(name, f"{path}/{name}", entry) for name, entry in folder.items()])

    def readlink(self, path, **_):
        self.find(path)
        _refuse(errno.EINVAL, path)

    def statvfs(self, path):
        return os.statvfs_result((4096, 4096, 1 << 20, 1 << 20, 1 << 20, 1 << 16, 1 << 16, 1 << 16, 0, 255))

    def flock(self, fd, how):
        number = id(self.file(fd))
        if self.locked.get(number, fd) != fd:
            raise BlockingIOError(errno.EWOULDBLOCK, os.strerror(errno.EWOULDBLOCK))
        self.locked[number] = fd

    def still(self):
        """This moment, to be looked at later."""
        return Still(
            self.root,
            {folder: dict(names) for folder, names in self.durable.items()},
            tuple(self.namings),
            {file: (file.durable, tuple(file.writes)) for file in self._files()},
        )

    def _files(self):
        """All that a name leads to, or may lead to."""
        folders = [*self.durable.values(), *(naming.names for naming in self.namings)]
        for names in folders:
            for target in names.values() if isinstance(names, dict) else (target for _, _, target in names):
                if isinstance(target, File):
                    yield target

    def settled(self):
        """All that is durable, as one value: what a card that nobody has changed yet holds."""

        def within(folder):
            names = self.durable[folder].items()
            return frozenset(
                (name, entry.durable if isinstance(entry, File) else within(entry)) for name, entry in names
            )

        return within(self.root)

    def contents(self):
        """Path -> bytes, and None for a folder, as it is now."""
        out: dict[str, bytes | None] = {}
        todo: list[tuple[str, Folder]] = [("", self.root)]
        while todo:
            at, folder = todo.pop()
            for name, entry in folder.items():
                path = f"{at}/{name}"
                out[path] = bytes(entry.data) if isinstance(entry, File) else None
                if isinstance(entry, Folder):
                    todo.append((path, entry))
        return out


class _Durable(dict[Folder, dict[str, Any]]):
    """The durable names, where a folder that came later has none yet."""

    def __init__(self, names):
        self._names = names

    def __getitem__(self, folder):
        return self._names.setdefault(folder, {})


def _parts(path):
    return _split(os.fspath(path))


@lru_cache(4096)
def _split(path):
    return tuple(part for part in path[len(_ROOT) :].split("/") if part)


def _stat(entry):
    kind = stat.S_IFDIR | 0o750 if isinstance(entry, Folder) else stat.S_IFREG | 0o640
    size = len(entry.data) if isinstance(entry, File) else 4096
    return os.stat_result((kind, id(entry), 1, 1, 0, 0, size, 0, 0, 0))


@dataclass
class _Entry:
    name: str
    path: str
    entry: Any

    def is_dir(self, **_):
        return isinstance(self.entry, Folder)

    def is_file(self, **_):
        return isinstance(self.entry, File)

    def is_symlink(self):
        return False

    def stat(self, **_):
        return _stat(self.entry)


class _Listing(contextlib.AbstractContextManager[Any]):
    def __init__(self, entries):
        self._entries = iter(entries)

    def __iter__(self):
        return self._entries

    def __next__(self):
        return next(self._entries)

    def close(self):
        """Nothing is held."""

    def __exit__(self, *_):
        return None


def _in_order(namings, chosen):
    """The chosen steps, with every earlier one that touches a name which a chosen one touches."""
    out, touched = [], set()
    for naming, is_chosen in zip(reversed(namings), reversed(chosen), strict=True):
        names = {(id(folder), name) for folder, name, _ in naming.names}
        if is_chosen or names & touched:
            out.append(naming)
            touched |= names
    return out[::-1]


class Luck:
    """Decides what comes through. This one: everything."""

    def namings(self, count):
        """Which of so many steps."""
        return [True] * count

    def length(self, count):
        """Which of so many lengths, the durable one first."""
        return count - 1

    def sector(self, versions, spans):
        """The sector, from its versions, the durable one first; spans: (start, end) written for each after that."""
        return versions[-1]


class BadLuck(Luck):
    """Nothing that was not synced comes through."""

    def namings(self, count):
        return [False] * count

    def length(self, count):
        return 0

    def sector(self, versions, spans):
        return versions[0]


class NamesOnly(BadLuck):
    """Names and lengths, no contents."""

    namings = Luck.namings
    length = Luck.length


class ContentsOnly(Luck):
    """Contents, no names."""

    namings = BadLuck.namings


class Noise(Luck):
    """Names and lengths; contents as noise wherever something was being written."""

    def __init__(self, chance):
        self.chance = chance

    def sector(self, versions, spans):
        return _noisy(versions[-1], spans, self.chance)


class Chance(Luck):
    """Any of all that may be. `kept`: how likely each part is to come through as it was last."""

    def __init__(self, chance: random.Random):
        self.chance = chance
        self.kept = chance.choice((0.1, 0.5, 0.8, 0.95))

    def namings(self, count):
        if self.chance.random() < 0.5:
            until = self.chance.randint(0, count)
            return [number < until for number in range(count)]
        return [self.chance.random() < self.kept for _ in range(count)]

    def length(self, count):
        return count - 1 if self.chance.random() < self.kept else self.chance.randrange(count)

    def sector(self, versions, spans):
        chance = self.chance
        if chance.random() < self.kept:
            return versions[-1]
        how = chance.random()
        one = chance.choice(versions)
        if how < 0.4:
            return one
        if how < 0.5:
            return _noisy(one, spans, chance)
        start, end = chance.choice(spans)
        at, other = chance.randint(start, end), chance.choice(versions)
        return one[:at] + other[at:]


def _noisy(sector, spans, chance):
    start, end = min(start for start, _ in spans), max(end for _, end in spans)
    return sector[:start] + chance.randbytes(end - start) + sector[end:]


@dataclass(eq=False)
class Still:
    """A moment of a card: what is durable, and what may be."""

    root: Folder
    durable: dict[Folder, dict[str, Any]]
    namings: tuple[Naming, ...]
    files: dict[File, tuple[bytes, tuple[Any, ...]]]
    _pending: dict[File, tuple[list[int], dict[int, tuple[list[bytes], list[tuple[int, int]]]]]] = field(
        default_factory=dict
    )

    @property
    def is_settled(self):
        """Nothing is left to luck."""
        return not self.namings and not any(writes for _, writes in self.files.values())

    def after_power_cut(self, luck: Luck) -> Card:
        """The card when the power is back."""
        names = _Durable({folder: dict(entries) for folder, entries in self.durable.items()})
        for naming in _in_order(self.namings, luck.namings(len(self.namings))):
            naming.do(names)
        made: dict[File, File] = {}
        return Card(self._folder(self.root, names, made, luck))

    def _folder(self, folder, names, made, luck):
        out = Folder()
        for name, entry in names[folder].items():
            if isinstance(entry, Folder):
                out[name] = self._folder(entry, names, made, luck)
            else:
                if entry not in made:
                    made[entry] = File(self._contents(entry, luck))
                out[name] = made[entry]
        return out

    def _contents(self, file, luck):
        durable, writes = self.files[file]
        if not writes:
            return durable
        if file not in self._pending:
            self._pending[file] = _versions(durable, writes)
        lengths, sectors = self._pending[file]
        out = bytearray(durable)
        _resize(out, lengths[luck.length(len(lengths))])
        size = len(out)
        for number, (versions, spans) in sectors.items():
            at = number * SECTOR
            if at < size:
                out[at : at + SECTOR] = luck.sector(versions, spans)[: size - at]
        return bytes(out)


def _versions(durable, writes):
    """All lengths, and of each sector that a write changed all versions and what was written."""
    data, lengths = bytearray(durable), [len(durable)]
    sectors: dict[int, tuple[list[bytes], list[tuple[int, int]]]] = {}
    for write in writes:
        before = bytes(data)
        start, end = (write[0], write[0] + len(write[1])) if isinstance(write, tuple) else (write, len(data))
        if isinstance(write, tuple):
            _resize(data, max(len(data), end))
            data[start:end] = write[1]
        else:
            _resize(data, write)
        lengths.append(len(data))
        if data == before:
            continue
        for number in range(start // SECTOR, -(-end // SECTOR)):
            was, now = _sector(before, number), _sector(data, number)
            if was != now or number in sectors:
                versions, spans = sectors.setdefault(number, ([was], []))
                versions.append(now)
                at = number * SECTOR
                spans.append((max(0, start - at), min(SECTOR, end - at)))
    return lengths, sectors


def _sector(data, number):
    part = bytes(data[number * SECTOR : (number + 1) * SECTOR])
    return part + bytes(SECTOR - len(part))


class Mount:
    """The slot that a card is in. `card` may be changed at any time; descriptors of another are then unknown."""

    def __init__(self):
        self.card = Card()

    def insert(self, card):
        """Another card; what was open stays with the old one."""
        self.card = card

    def by_path(self, name, real):
        changes = name in _CHANGES

        def call(path, *args, **options):
            if isinstance(path, int):
                return self.fstat(path, real) if name == "stat" else real(path, *args, **options)
            text = os.fspath(path)
            if text.__class__ is bytes or not text.startswith(_ROOT):
                return real(path, *args, **options)
            card = self.card
            if changes and (name != "open" or args[0] & (os.O_CREAT | os.O_TRUNC)):
                card.before(name)
            return getattr(card, name)(text, *args, **options)

        return call

    def by_fd(self, name, real):
        changes = name in _CHANGES

        def call(fd, *args, **options):
            if fd.__class__ is not int or fd < _FIRST_FD:
                return real(fd, *args, **options)
            card = self.card
            if changes:
                card.before(name)
                if name in _MAY_FAIL and card.fails(name):
                    if name != "pwrite" and isinstance(card.file(fd), File):
                        card.file(fd).fail()
                    _refuse(errno.EIO)
            return getattr(card, name)(fd, *args, **options)

        return call

    def fstat(self, fd, real):
        return real(fd) if fd < _FIRST_FD else self.card.fstat(fd)


_BY_PATH = (
    "open",
    "rename",
    "replace",
    "unlink",
    "remove",
    "mkdir",
    "stat",
    "listdir",
    "scandir",
    "readlink",
    "statvfs",
)
_BY_FD = ("close", "dup", "pread", "pwrite", "ftruncate", "posix_fallocate", "fdatasync", "fsync", "fstat")
_SAME = {"replace": "rename", "remove": "unlink"}


@contextlib.contextmanager
def mounted() -> Iterator[Mount]:
    """A card beneath `os`, `fcntl` and `open` until it ends."""
    mount = Mount()
    with pytest.MonkeyPatch.context() as patch:
        for name in _BY_PATH:
            patch.setattr(os, name, mount.by_path(_SAME.get(name, name), getattr(os, name)))
        for name in _BY_FD:
            patch.setattr(os, name, mount.by_fd(name, getattr(os, name)))
        patch.setattr(fcntl, "flock", mount.by_fd("flock", fcntl.flock))
        patch.setattr(io, "open", _opened(io.open))
        yield mount


def _opened(real):
    """Python's own files are not part of the model: the journal has no use for them."""

    def call(file, *args, **options):
        if not isinstance(file, int) and str(file).startswith("/card/"):
            raise AssertionError(f"{file} is opened past edge_agent/journal/disk.py")
        return real(file, *args, **options)

    return call
