"""Reads chosen members of a .tar.gz archive into memory, within limits; writes none to disk."""
import gzip
import tarfile
import zlib

from ash_tf1.input_pipelines.dataset import DataFileError
from ash_tf1.reading import open_regular

_PLAIN_TYPES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE)
_OVERHEAD = 2 ** 20  # bytes for headers, padding and members that are not wanted


def read_members(path, limits, other_limit, most_members):
    """Reads members of an archive in one pass.

    Args:
      path: of the archive.
      limits: dict of the wanted members' names to the most bytes that each may have.
      other_limit: the most bytes that any other member may have.
      most_members: how many members the archive may have.

    Returns:
      Dict of name -> bytes, of those wanted members that are there.

    Raises:
      OSError: the archive cannot be opened.
      ValueError: the archive is truncated, damaged, larger than the limits allow, or has a
        member that is a link or a device, or whose path leads out of the archive.
    """
    contents = {}
    with open_regular(path) as packed:
        try:
            with gzip.open(packed) as stream:
                reader = _BoundedReader(stream, path, sum(limits.values()) + _OVERHEAD)
                with tarfile.open(fileobj=reader, mode='r:') as archive:
                    for count, member in enumerate(archive):
                        name = member.name[2:] if member.name.startswith('./') else member.name
                        if count >= most_members:
                            _refuse(path, member, 'it comes after {} others, more than are '
                                                  'expected'.format(count))
                        _check_member(path, member, limits.get(name, other_limit))
                        if name in limits and member.isfile():
                            contents[name] = archive.extractfile(member).read()
                while reader.read(65536):  # to the end, where gzip compares its own checksum
                    pass
        except DataFileError:
            raise
        except (tarfile.TarError, EOFError, OSError, ValueError, zlib.error) as error:
            raise DataFileError(
                '{}: truncated or not a .tar.gz archive ({})'.format(path, error)) from None
    return contents


class _BoundedReader:
    """The front of a decompressed stream: no header can ask for more than the files need."""

    def __init__(self, stream, path, limit):
        self._stream, self._path, self._limit = stream, path, limit
        self.tell = stream.tell

    def read(self, size):
        self._check(self._stream.tell() + size)
        return self._stream.read(size)

    def seek(self, position):
        self._check(position)
        return self._stream.seek(position)

    def _check(self, position):
        if position > self._limit:
            raise DataFileError('{}: holds more than the expected {} bytes'.format(
                self._path, self._limit))


def _check_member(path, member, limit):
    """Refuses an archive whose member could harm: here, or whoever extracts it later."""
    name = member.name.replace('\\', '/')
    if name.startswith('/') or '..' in name.split('/') or name[1:2] == ':':
        _refuse(path, member, 'its path leads out of the archive')
    if member.type not in _PLAIN_TYPES or member.issparse():
        _refuse(path, member, 'it is a link or another special file')
    if not 0 <= member.size <= limit:
        _refuse(path, member, 'it declares {} bytes, expected are at most {}'.format(
            member.size, limit))


def _refuse(path, member, problem):
    raise DataFileError('{}: refused because of its member {!r:.200}: {}'.format(
        path, member.name, problem))
