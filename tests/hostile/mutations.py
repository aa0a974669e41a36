"""Seeded changes of bytes, JSON values and command lines."""
import json

ODD = [None, True, False, -1, 0, 2 ** 31, 2 ** 63, 10 ** 30, 0.5, -0.0, 1e308, '', 'x', '\x1b[31m',
       '../x', [], [[]], {}, {'a': 1}, [1, 2, 3], [None], ['a'], [0, 0, 0], 'NaN', '☃', '\udcff']


def flip(data, rng):
    changed = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        changed[rng.randint(len(changed))] ^= 1 << rng.randint(8)
    return bytes(changed)


def cut(data, rng):
    return data[:rng.randint(len(data))]


def double(data, rng):
    return data + data[:rng.randint(len(data))]


def overwrite(data, rng):
    start = rng.randint(len(data))
    return data[:start] + rng.bytes(64)[:len(data) - start] + data[start + 64:]


def zero(data, rng):
    start = rng.randint(len(data))
    return data[:start] + bytes(min(512, len(data) - start)) + data[start + 512:]


def insert(data, rng):
    start = rng.randint(len(data))
    return data[:start] + rng.bytes(rng.randint(1, 40)) + data[start:]


BYTES = (flip, cut, double, overwrite, zero, insert)


def pick(things, rng):
    return things[rng.randint(len(things))]


def change_json(value, rng):
    """A dict with a value, a key or an element of a list that is another; or no dict at all."""
    value = json.loads(json.dumps(value))
    for _ in range(rng.randint(1, 3)):
        way, key = rng.randint(8), pick(sorted(value), rng)
        if way == 0:
            value.pop(key)
            if not value:
                return value
        elif way == 1:
            value[pick(['other', '', key + ' ', '\x1b'], rng)] = pick(ODD, rng)
        elif way == 2 and isinstance(value[key], list) and value[key]:
            value[key][rng.randint(len(value[key]))] = pick(ODD, rng)
        else:
            value[key] = pick(ODD, rng)
    return value
