"""Table files of TensorFlow, such as the index of a checkpoint: changed, with right checksums."""
import struct


def _crc_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_CRC_TABLE = _crc_table()


def masked_crc32c(data):
    """The checksum that a table has of each of its blocks."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC_TABLE[(crc ^ byte) & 255] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return (crc >> 15 | crc << 17) + 0xA282EAD8 & 0xFFFFFFFF


def _varint(data, position):
    number = shift = 0
    while True:
        byte = data[position]
        number, position, shift = number | (byte & 127) << shift, position + 1, shift + 7
        if byte < 128:
            return number, position


def blocks(data):
    """[(offset, size)] of the blocks of a table: that of the index first, then those of data."""
    position = len(data) - 48
    _, position = _varint(data, position)
    _, position = _varint(data, position)
    offset, position = _varint(data, position)
    size, _ = _varint(data, position)
    found = [(offset, size)]
    restarts, = struct.unpack_from('<I', data, offset + size - 4)
    position, end = offset, offset + size - 4 - 4 * restarts
    while position < end:
        _, position = _varint(data, position)
        unshared, position = _varint(data, position)
        length, position = _varint(data, position)
        start, after = _varint(data, position + unshared)
        found.append((start, _varint(data, after)[0]))
        position += unshared + length
    return found


def changed(data, rng):
    """A table of which one to three bits of a block are others, mostly of data; seeded by `rng`."""
    where, data = blocks(data), bytearray(data)
    offset, size = where[0 if rng.randint(6) == 0 else rng.randint(1, len(where))]
    for _ in range(rng.randint(1, 4)):
        data[offset + rng.randint(size)] ^= 1 << rng.randint(8)
    return with_checksums(data, where)


def with_checksums(data, where):
    """A table whose blocks have their right checksums."""
    data = bytearray(data)
    for offset, size in where:
        checksum = masked_crc32c(bytes(data[offset:offset + size + 1]))
        data[offset + size + 1:offset + size + 5] = struct.pack('<I', checksum)
    return bytes(data)
