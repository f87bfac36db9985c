"""What the loss of power leaves of a folder: on a real file system, and at the worst that any may do."""

import contextlib
import os
import pathlib
import shutil
import subprocess

import pytest


@contextlib.contextmanager
def ext4(folder, image=None):
    """Mount a file system of its own, from an image if there is one; it commits on its own every five minutes."""
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("no mkfs.ext4 on the PATH")
    made = image is None
    image, disk = image or folder.with_suffix(".img"), folder
    disk.mkdir()
    if made:
        with image.open("wb") as file:
            file.truncate(2**26)
        subprocess.run(["mkfs.ext4", "-q", image], check=True)
    command = ["mount", "-o", "loop,commit=300", image, disk]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    os.sync()  # the empty one
    try:
        yield disk, image
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def cut(image, target):
    """Copy what has reached the device by now: the disk of a machine whose power is cut in this moment."""
    shutil.copyfile(image, target)
    return target


class Durable:
    """The worst disk that is allowed: it keeps the contents and the names that were synced, and nothing else.

    Removals happen at once, as a disk may do them in any order. Used in place of `os.fsync`.

    Args:
      root: of what is looked at; it is there before.
    """

    def __init__(self, root, monkeypatch):
        self.root = pathlib.Path(root)
        self._contents, self._names, self._sync = {}, {}, os.fsync
        monkeypatch.setattr(os, "fsync", self.fsync)

    def fsync(self, descriptor):
        self._sync(descriptor)
        path = pathlib.Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        found = os.stat(descriptor)
        if path.is_dir():
            self._names[found.st_ino] = {(entry.name, entry.inode()) for entry in os.scandir(path)}
        else:
            self._contents[found.st_ino] = (found.st_mtime_ns, path.read_bytes())

    def left(self, target):
        """Make a folder of what would be left if power were lost now."""
        self._rebuild(self.root, target)
        return target

    def _rebuild(self, folder, target):
        target.mkdir()
        for entry in os.scandir(folder):
            if (entry.name, entry.inode()) not in self._names.get(os.stat(folder).st_ino, ()):
                continue
            if entry.is_dir():
                self._rebuild(entry.path, target / entry.name)
                continue
            written, content = self._contents.get(entry.inode(), (0, b""))
            current = written == entry.stat().st_mtime_ns
            (target / entry.name).write_bytes(content if current else b"")  # a name without its content
