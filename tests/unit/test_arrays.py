import io
import zipfile

import numpy as np
import pytest

from configs.errors import ArtifactDamaged
from storage import arrays

ROWS = np.arange(12, dtype=np.float32).reshape(4, 3)


def _npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _header(shape):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": "<f4", "fortran_order": False, "shape": shape}
    )
    return file.getvalue()


def _zip():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("rows.npy", _npy(ROWS))
    return file.getvalue()


def test_a_matrix_written_in_blocks_is_mapped_as_one(tmp_path):
    arrays.save_matrix(tmp_path / "rows", ROWS.shape, (ROWS[:1], ROWS[1:]))

    found = arrays.open_matrix(tmp_path / "rows")

    assert np.array_equal(found, ROWS)
    assert not found.flags.writeable
    assert (tmp_path / "rows").read_bytes() == _npy(ROWS)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY",
        b"noise" * 50,
        _npy(ROWS)[:-1],
        _header((2**40, 2**40)),
        _header((10**30, 3)),
        _header((-1, 3)),
        _header((True, 3)),
        b"\x93NUMPY\1\0" + (9000).to_bytes(2, "little") + b"(" * 9000,
        _npy(ROWS[0]),
        _npy(ROWS.astype(np.float64)),
        _zip(),
    ],
    ids=[
        "empty",
        "cut off",
        "noise",
        "a byte short",
        "huge",
        "beyond any number",
        "negative",
        "no number",
        "nested",
        "one row",
        "other type",
        "zip",
    ],
)
def test_a_file_that_is_no_matrix_is_damaged(content, tmp_path):
    (tmp_path / "rows").write_bytes(content)

    with pytest.raises(ArtifactDamaged, match="rows is not a matrix"):
        arrays.open_matrix(tmp_path / "rows")


@pytest.mark.parametrize(
    ("dtype", "shape"), [("BF16", "8"), ("F8_E4M3", "16"), ("F32", "0,18446744073709551615")]
)
def test_a_file_of_arrays_that_numpy_has_not_is_damaged(dtype, shape, tmp_path):
    size = 0 if shape.startswith("0") else 16
    place = f'"dtype":"{dtype}","shape":[{shape}],"data_offsets":[0,{size}]'
    header = f'{{"a":{{{place}}}}}'.encode()
    content = len(header).to_bytes(8, "little") + header + bytes(size)
    (tmp_path / "rows").write_bytes(content)

    with pytest.raises(ArtifactDamaged, match="rows is not a safetensors file"):
        arrays.load(tmp_path / "rows", "a")
