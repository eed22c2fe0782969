"""Archives that stage `download` is given, with the right hash, to unpack."""

import gzip
import io
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from hostile import EITHER, PROCESSED
from hostile.bytes_of import flipped, saved, solid

SOUND = ("one.png", "two.png")
END = "; nothing was unpacked; pack it anew."
OUTSIDE = f"FILE holds a name that leads outside: …{END}"
ODD = f"FILE holds a name that no file should have: …{END}"
TWICE = f"FILE holds a name that occurs twice: …{END}"
LINK_ZIP = f"FILE holds a link or a device: …{END}"
LINK_TAR = f"FILE holds a link, a device or a sparse file: …{END}"
BIG = f"FILE unpacks to more than … bytes, the limit for its size{END}"
DAMAGED = f"FILE is damaged or no zip or tar archive (…){END}"


@dataclass(frozen=True)
class Archive:
    """One archive and what becomes of it; `dangerous` as for photos."""

    case: str
    file: str
    make: Callable[[], bytes]
    outcome: str
    dangerous: bool = False


def zipped(
    *names: str, mode: int = 0, kind: int = zipfile.ZIP_DEFLATED, data: bytes = b""
) -> bytes:
    """Return a ZIP archive of sound photographs, and of `data` under more names."""
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w") as archive:
        warnings.simplefilter("ignore")  # zipfile warns of a name that occurs twice
        for name in SOUND:
            archive.writestr(name, saved(solid(), "PNG"))
        for name in names:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            archive.writestr(entry, data, kind)
    return buffer.getvalue()


def tarred(
    *names: str, kind: bytes = tarfile.REGTYPE, target: str = "", data: bytes = b""
) -> bytes:
    """Return a tar archive of sound photographs, and of more entries of a kind."""
    buffer = io.BytesIO()
    photo = saved(solid(), "PNG")
    with tarfile.open(fileobj=buffer, mode="w:gz", format=tarfile.GNU_FORMAT) as archive:
        for name in SOUND:
            entry = tarfile.TarInfo(name)
            entry.size = len(photo)
            archive.addfile(entry, io.BytesIO(photo))
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname, entry.size = kind, target, len(data)
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def encrypted() -> bytes:
    data = bytearray(zipped("secret"))
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def patched(offset: int, value: int) -> bytes:
    """Return a ZIP archive with one byte changed in its directory's last entry."""
    data = bytearray(zipped("x"))
    data[data.rindex(b"PK\x01\x02") + offset] = value
    return bytes(data)


def lying() -> bytes:
    """Return a ZIP archive whose last file says that it has 10 bytes."""
    size = 1_000_003
    honest = zipped("zeros", data=bytes(size))
    return honest.replace(struct.pack("<I", size), struct.pack("<I", 10))


def of_sparse_file() -> bytes:
    """Return a tar archive of a file of 1 TB that has no contents."""
    entry = tarfile.TarInfo("evil")
    entry.pax_headers = {
        "GNU.sparse.map": f"{1 << 40},0",
        "GNU.sparse.size": str(1 << 40),
        "GNU.sparse.name": "evil",
    }
    return gzip.compress(entry.tobuf(tarfile.PAX_FORMAT))


def of_long_header() -> bytes:
    entry = tarfile.TarInfo("long")
    entry.pax_headers = {"comment": "x" * 60_000_000}
    return gzip.compress(entry.tobuf(tarfile.PAX_FORMAT))


def without_header() -> bytes:
    """Return a tar archive whose second file has rubbish for a header."""
    plain = bytearray(gzip.decompress(tarred()))
    start = plain.index(SOUND[1].encode())
    plain[start : start + 512] = b"?" * 512
    return gzip.compress(bytes(plain))


def holed(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes(64) + data[middle + 64 :]


def names() -> list[Archive]:
    """Names that a file in an archive may have."""
    evil = [
        ("a name with ..", "../evil", OUTSIDE),
        ("a name with .. inside", "a/../../evil", OUTSIDE),
        ("a name that ends in ..", "a/..", OUTSIDE),
        ("an absolute path", "/tmp/evil", OUTSIDE),
        ("a drive", "C:/evil", OUTSIDE),
        ("backslashes", "..\\evil", OUTSIDE),
        ("backslashes inside", "a\\..\\evil", OUTSIDE),
        ("a name with a line break", "a\nb", ODD),
        ("a name that colours the terminal", "\x1b[31m", ODD),
        ("a name of 256 bytes", "x" * 256, ODD),
        ("a path of 2000 bytes", "a/" * 1000 + "b", ODD),
        ("a name that occurs twice", SOUND[0], TWICE),
        ("a name that occurs twice, by way of ./", f"./{SOUND[0]}", TWICE),
        ("a file that is a folder, too", f"{SOUND[0]}/b", TWICE),
    ]
    return [
        Archive(f"{kind} with {case}", f"a.{suffix}", partial(make, name), outcome)
        for case, name, outcome in evil
        for kind, suffix, make in (("ZIP", "zip", zipped), ("tar", "tar.gz", tarred))
    ]


def contents() -> list[Archive]:
    """Links, devices, bombs, damage."""
    kinds = [
        ("a symbolic link out", tarfile.SYMTYPE, "/etc/passwd"),
        ("a hard link out", tarfile.LNKTYPE, "/etc/passwd"),
        ("a character device", tarfile.CHRTYPE, ""),
        ("a block device", tarfile.BLKTYPE, ""),
        ("a named pipe", tarfile.FIFOTYPE, ""),
    ]
    zeros = bytes(60_000_000)
    noise = b"".join(n.to_bytes(4, "little") for n in range(50_000))
    whole, whole_tar = zipped("noise", data=noise), tarred("noise", data=noise)
    both = ("sub/b", "sub")
    return [
        Archive("ZIP with a folder that is a file, too", "a.zip", partial(zipped, *both), TWICE),
        Archive("tar with a folder that is a file, too", "a.tar.gz", partial(tarred, *both), TWICE),
        Archive("ZIP of photographs", "a.zip", zipped, PROCESSED),
        Archive("tar of photographs", "a.tar.gz", tarred, PROCESSED),
        *(
            Archive(
                f"tar with {case}", "a.tar.gz", partial(tarred, "x", kind=k, target=to), LINK_TAR
            )
            for case, k, to in kinds
        ),
        Archive("tar with a sparse file", "a.tar.gz", of_sparse_file, LINK_TAR),
        Archive("ZIP with a link", "a.zip", partial(zipped, "x", mode=0o120777), LINK_ZIP),
        Archive("ZIP with a device", "a.zip", partial(zipped, "x", mode=0o020666), LINK_ZIP),
        Archive(
            "ZIP with an encrypted file",
            "a.zip",
            encrypted,
            f"FILE holds an encrypted file: …{END}",
        ),
        Archive(
            "ZIP with a rare compression",
            "a.zip",
            partial(zipped, "x", kind=zipfile.ZIP_LZMA),
            f"FILE holds a file that is not deflated: …{END}",
        ),
        Archive("ZIP bomb", "a.zip", partial(zipped, "x", data=zeros), BIG, dangerous=True),
        Archive("tar bomb", "a.tar.gz", partial(tarred, "x", data=zeros), BIG, dangerous=True),
        Archive("tar bomb in a header", "a.tar.gz", of_long_header, BIG, dangerous=True),
        Archive("ZIP that lies about a size", "a.zip", lying, DAMAGED),
        Archive("ZIP cut in the middle", "a.zip", lambda: whole[: len(whole) // 2], DAMAGED),
        Archive(
            "tar cut in the middle", "a.tar.gz", lambda: whole_tar[: len(whole_tar) // 2], DAMAGED
        ),
        Archive("ZIP with zeros in the middle", "a.zip", lambda: holed(whole), DAMAGED),
        Archive("tar with zeros in the middle", "a.tar.gz", lambda: holed(whole_tar), DAMAGED),
        Archive("tar with rubbish for a header", "a.tar.gz", without_header, DAMAGED),
        Archive("ZIP of a version to come", "a.zip", partial(patched, 6, 84), DAMAGED),
        Archive(
            "ZIP whose directory leads before its start",
            "a.zip",
            partial(patched, 44, 0xFF),
            DAMAGED,
        ),
        Archive("a web page named .zip", "a.zip", lambda: b"<!DOCTYPE html><html>", DAMAGED),
        Archive("0 bytes named .tar", "a.tar", bytes, DAMAGED),
    ]


def fuzzed(seeds: range) -> list[Archive]:
    """Archives with four bits flipped."""
    return [
        Archive(f"{kind} with 4 bits flipped", file, partial(damaged, make, seed), EITHER)
        for kind, file, make in (("ZIP", "a.zip", zipped), ("tar", "a.tar.gz", tarred))
        for seed in seeds
    ]


def damaged(make: Callable[[], bytes], seed: int) -> bytes:
    return flipped(make(), seed)


ARCHIVES = (*names(), *contents())
