"""Random changes of bytes and of nested documents, for fuzzers."""

import random

INTERESTING = [
    0,
    1,
    -1,
    2**31,
    2**63 - 1,
    2**64 - 1,
    1.5,
    float("nan"),
    None,
    True,
    "",
    b"",
    "duke",
    b"x" * 32,
    [],
    {},
    [[]],
    {"": 0},
]


def mutate_bytes(data: bytes, rng: random.Random) -> bytes:
    """Flip, cut, repeat or insert bytes."""
    changed = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 5])):
        at = rng.randrange(len(changed) + 1)
        match rng.randrange(4):
            case 0 if at < len(changed):
                changed[at] ^= rng.randrange(1, 256)
            case 1:
                del changed[at : at + rng.randrange(1, 40)]
            case 2:
                changed[at:at] = changed[: rng.randrange(60)]
            case _:
                changed[at:at] = rng.randbytes(rng.randrange(1, 9))
    return bytes(changed)


def mutate_value(value: object, rng: random.Random) -> object:
    """Change one place of a nested document."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        name = rng.choice(list(value))
        if rng.random() < 0.1:
            return {k: v for k, v in value.items() if k != name}
        return {**value, name: mutate_value(value[name], rng)}
    if isinstance(value, list) and value and rng.random() < 0.85:
        at = rng.randrange(len(value))
        return [*value[:at], mutate_value(value[at], rng), *value[at + 1 :]]
    if isinstance(value, int) and rng.random() < 0.5:
        return value + rng.choice([-1, 1, 2**32])
    if isinstance(value, bytes) and value and rng.random() < 0.5:
        return mutate_bytes(value, rng)
    return rng.choice(INTERESTING)
