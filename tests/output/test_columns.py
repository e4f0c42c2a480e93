"""Tables of text as programs and people write them: read rightly, or refused with what to do."""

import gzip

import numpy as np
import pytest

from fsp.errors import ArgumentError
from fsp.output.columns import read_columns

ROWS = {"time": [0.0, 0.0, 1.0], "x": [1.0, 2.0, 3.0]}

READ = {
    "comma": "time,x\n0,1\n0,2\n1,3\n",
    "no end of the last line": "time,x\n0,1\n0,2\n1,3",
    "Windows": "\ufefftime,x\r\n0,1\r\n0,2\r\n1,3\r\n",
    "old Macintosh": "time,x\r0,1\r0,2\r1,3\r",
    "tabs": "time\tx\n0\t1\n0\t2\n1\t3\n",
    "semicolons": "time;x\n0;1\n0;2\n1;3\n",
    "blanks": "# time  x\n 0  1\n 0  2\n 1  3\n",
    "blanks and quotations": 'time, x\n0, "1"\n0, "2"\n1, 3\n',
    "blank lines": "\n\ntime,x\n\n0,1\n0,2\n\n1,3\n\n",
    "Excel's line": "sep=;\ntime;x\n0;1\n0;2\n1;3\n",
    "Excel's line of commas": "sep=,\r\ntime,x\r\n0,1\r\n0,2\r\n1,3\r\n",
    "floats": "time,x\n0.0,1.0\n0e0,2.0\n1.,.3e1\n",
}

REFUSED = {
    'time,x,note\n0,1,a\n0,2,"b\n1,3,c\n': "must end each quotation that it begins, but does not from line 3 on",
    '\n\ntime,x,note\n0,1,a\n0,2,"b\n1,3,c\n': "from line 5 on",
    'time,x,note\n0,1,"b\n1,3,"c"\n': "must end each quotation that it begins, but does not from line 2 on",
    'time,x,note\n0,1,"b"c\n': "must be a table, but line 2 is none",
    "time,x\n0,1\0\n": "holds the character of number 0",
    "time|x\n0|1\n": "between commas, tabs, semicolons or blanks, but begins with 'time|x'",
    "# made by a program\n# on a day\ntime,x\n0,1\n": "begins with the comment 'made by a program'.*remove the lines",
    "\n\ntime,x\n0,1\n0\n": "line 5 has 1",
    "": "must be a table, but is empty",
    "\n \n": "must be a table, but is empty",
    "time,x\n": "has a header only",
    "time,x,x\n0,1,2\n": "has 'x' twice",
}

BINARY = {
    gzip.compress(b"time,x\n0,1\n", mtime=0): "is compressed by gzip; unpack it",
    b"PK\x03\x04 ...": "a workbook; unpack it, or save the sheet as CSV",
    b"PAR1 ...": "Parquet; give the DataFrame",
    "time,x\n0,1\n".encode("utf-16"): "in UTF-16; convert it: iconv -f UTF-16",
    "time,\xb5\n0,1\n".encode("latin-1"): "convert it: iconv -f ENCODING",
}


@pytest.mark.parametrize("name", READ)
def test_tables_are_read(name, tmp_path):
    (tmp_path / "t.csv").write_text(READ[name], encoding="utf-8", newline="")
    columns = read_columns(tmp_path / "t.csv")
    assert {key: column.tolist() for key, column in columns.items()} == ROWS


def test_words_keep_separators_and_ends_of_lines(tmp_path):
    (tmp_path / "t.csv").write_text('x,note\n1,"a, b"\n2,"two\nlines"\n3,"say ""c"""\n', encoding="utf-8")
    columns = read_columns(tmp_path / "t.csv")
    assert columns["note"].tolist() == ["a, b", "two\nlines", 'say "c"']
    assert columns["x"].tolist() == [1.0, 2.0, 3.0]


def test_names_that_look_like_numbers_of_python_are_words(tmp_path):
    (tmp_path / "t.csv").write_text("cell,x\n1_0,1\n2_0,2\n", encoding="utf-8")
    assert read_columns(tmp_path / "t.csv")["cell"].tolist() == ["1_0", "2_0"]


@pytest.mark.parametrize("text", REFUSED)
def test_tables_that_are_none_are_refused(text, tmp_path):
    (tmp_path / "t.csv").write_text(text, encoding="utf-8", newline="")
    with pytest.raises(ArgumentError, match=REFUSED[text]):
        read_columns(tmp_path / "t.csv")


@pytest.mark.parametrize("data", BINARY)
def test_files_that_are_no_text_are_named(data, tmp_path):
    (tmp_path / "t.csv").write_bytes(data)
    with pytest.raises(ArgumentError, match=BINARY[data]):
        read_columns(tmp_path / "t.csv")


def test_long_headers_are_no_comments(tmp_path):
    names = [f"gene_{i}" for i in range(2000)]
    (tmp_path / "t.csv").write_text(f"#{','.join(names)}\n{','.join(['1'] * 2000)}\n", encoding="utf-8")
    columns = read_columns(tmp_path / "t.csv")
    assert list(columns) == names
    assert np.all(np.concatenate(list(columns.values())) == 1.0)
