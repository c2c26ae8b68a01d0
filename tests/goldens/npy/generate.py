"""Small .npy files as NumPy writes them, good and bad, for the reader in `datasets/src/npy.rs`.

Run from the repository root with NumPy 2.2.6: `python tests/goldens/npy/generate.py`
"""

from pathlib import Path

import numpy as np
from numpy.lib import format as npy

HERE = Path(__file__).parent


def save(name, array):
    np.save(HERE / f"{name}.npy", array)


def thirds(*shape):
    """Row by row -2, -5/3, -4/3, ..."""
    return (np.arange(int(np.prod(shape))) / 3 - 2).reshape(shape)


def main():
    values = thirds(2, 3, 4)
    save("plain", values.astype("<f4"))
    save("big_endian", values.astype(">f4"))
    save("fortran", np.asfortranarray(values.astype("<f4")))
    save("fortran_big_endian", np.asfortranarray(values.astype(">f8")))
    save("float64", values.astype("<f8"))
    save("float16", values.astype("<f2"))
    save("matrix", thirds(3, 4).astype("<f4"))
    save("fortran_matrix", np.asfortranarray(thirds(3, 4).astype("<f4")))
    save("vector", thirds(5).astype("<f4"))
    save("scalar", np.float32(-2))
    save("no_chunks", np.zeros((0, 3, 4), "<f4"))
    for version in (2, 3):
        with open(HERE / f"version_{version}.npy", "wb") as file:
            npy.write_array(file, values.astype("<f4"), version=(version, 0))

    save("object", np.array([1, "two"], dtype=object))
    save("int64", np.arange(4))
    save("bool", np.array([True, False]))
    save("complex", np.array([1j]))
    save("text", np.array(["a", "bc"]))
    save("records", np.array([(1.0, 2)], dtype=[("x", "<f4"), ("y", "<i4")]))
    save("longdouble", np.zeros(2, np.longdouble))


if __name__ == "__main__":
    main()
