"""Model files: what SBML and Antimony mean as a jump process, and what is refused by name."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time

import pytest
from written_sbml import ANTIMONY, GOOD, sbml

from fsp.errors import ArgumentError, ModelError, ModelFileNotFoundError
from fsp.formats import load, loads

NET = """begin parameters
 1 k 2
end parameters
begin species
 1 A() 7
end species
begin reactions
 1 1 0 k #_R1
end reactions
"""


@pytest.mark.parametrize("encoding", ["UTF-16", "UTF-32", "ISO-8859-1", "windows-1252"])
@pytest.mark.parametrize("name", ["decay", "dégradation"])
def test_files_in_other_encodings_come_with_the_command_that_converts_them(encoding, name, tmp_path):
    good = sbml(**GOOD)
    text = good.split("?>", 1)[1] if good.startswith("<?xml") else good
    model = f'<?xml version="1.0" encoding="{encoding}"?>\n<!-- {name} -->{text}'
    (tmp_path / "m.xml").write_bytes(model.encode(encoding))
    with pytest.raises(ModelError, match=f"must be text in UTF-8, but .* (is in|names) {encoding}. ") as refusal:
        load(tmp_path / "m.xml")
    _convert(refusal, tmp_path)
    assert load(tmp_path / "converted.xml").hash == loads(good).hash


@pytest.mark.parametrize(
    ("named", "name", "written", "said"),
    [
        ("x-mac-roman", "decay", "utf-8", "names the encoding x-mac-roman, in which it cannot be read. Take the name"),
        ("x-mac-roman", "d\xe9gradation", "iso-8859-1", "cannot be read. Convert it, if it is in ISO-8859-1: iconv"),
        ("UTF-16", "d\xe9gradation", "utf-8", "names the encoding UTF-16, in which it cannot be read. Take the name"),
        ("UTF-8-SIG", "d\xe9gradation", "utf-8", "names UTF-8-SIG. Take the name out, as the text is in UTF-8 as well"),
        ("UTF-8", "d\xe9gradation", "iso-8859-1", "is not. Convert it, if it is in ISO-8859-1: iconv -f ISO-8859-1"),
    ],
)
def test_commands_for_files_that_name_another_encoding_than_theirs_succeed(named, name, written, said, tmp_path):
    text = sbml(**GOOD).split("?>", 1)[-1]
    file = tmp_path / "my model's.xml"
    file.write_bytes(f'<?xml version="1.0" encoding="{named}"?>\n<!-- {name} -->{text}'.encode(written))
    with pytest.raises(ModelError, match=re.escape(said)) as refusal:
        load(file)
    _convert(refusal, tmp_path)
    assert load(tmp_path / "converted.xml").hash == loads(sbml(**GOOD)).hash
    assert name in (tmp_path / "converted.xml").read_text("utf-8")


def _convert(refusal, folder):
    """Run the command at the end of a message."""
    if not (shutil.which("iconv") and shutil.which("sed")):
        pytest.skip("iconv or sed is missing")
    command = re.split(r": (?=iconv|sed)", str(refusal.value))[1]
    subprocess.run(command, shell=True, cwd=folder, check=True)


def test_files_in_an_encoding_that_nothing_names_are_refused(tmp_path):
    (tmp_path / "m.ant").write_bytes(b"species X = 1; r: X -> ; X // \xe9t\xe9\n")
    with pytest.raises(ModelError, match=r"but '.*m.ant' is not. Convert it, if .*: iconv -f ISO-8859-1") as told:
        load(tmp_path / "m.ant")
    _convert(told, tmp_path)
    assert load(tmp_path / "converted.ant").n_reactions == 1
    (tmp_path / "m.ant").write_bytes(b"species\0\xff")
    with pytest.raises(ModelError, match="is no text"):
        load(tmp_path / "m.ant")


def test_a_size_that_is_set_by_a_concentration_comes_with_two_ways_out():
    text = "model m()\n compartment cell;\n {}species X in cell; X = 3; k = 1;\n cell = {}; r: X -> ; k*X;\nend\n"
    ways_out = r"(Loop|implicit reference).* give the size as a number, or make amounts .*substanceOnly"
    with pytest.raises(ModelError, match=ways_out):
        loads(text.format("", "4*X"))
    assert loads(text.format("substanceOnly ", "4*X"), counts="as-is").initial_states.tolist() == [[3]]
    assert loads(text.format("", "12"), counts="as-is").initial_states.tolist() == [[36]]


def test_an_import_comes_from_beside_the_file(read, tmp_path):
    for folder, count in (("one", 4), ("two", 5)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "part.ant").write_text(f"model part()\n substanceOnly species X = {count};\nend\n")
        whole = 'import "part.ant"\nmodel whole()\n p: part();\n r: p.X => ; p.X;\nend\n'
        assert read(whole, name=f"{folder}/whole.ant").initial_states.tolist() == [[count]]


@pytest.mark.parametrize("name", ["m.ant", "m.xml", "m.net"])
def test_a_text_is_read_as_the_file_that_holds_it(name, tmp_path):
    text = {"m.ant": ANTIMONY, "m.xml": sbml(**GOOD), "m.net": NET}[name]
    (tmp_path / name).write_text(text)
    one, other = load(tmp_path / name), loads(text)
    assert one.hash == other.hash
    assert one.species == other.species


def test_a_path_is_no_text(tmp_path):
    for path in (tmp_path, str(tmp_path / "m.ant"), "model.XML"):
        with pytest.raises(ArgumentError, match=r"must be what a model file holds, but is .*; give a path to fsp.load"):
            loads(path)


IN_THREADS = """
import sys, threading
from fsp.formats import load
from fsp.model import Model, Reaction
from fsp.errors import ModelError

wrong = []

def work(i):
    for _ in range(10):
        model = load(f"{sys.argv[1]}/t{i}.ant")
        if model.initial_states[0, 0] != i + 1:
            wrong.append((i, model.initial_states.tolist()))
        try:
            Model(species={"X": 0}, reactions=[Reaction("0 -> X", rate=f"{i} ${{i}}")])
        except ModelError as error:
            if str(i) not in str(error):
                wrong.append((i, str(error)))

load(f"{sys.argv[1]}/t0.ant")
threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print("wrong:", wrong)
"""


def test_files_are_read_in_threads(tmp_path):
    for i in range(4):
        (tmp_path / f"t{i}.ant").write_text(ANTIMONY.replace("X = 7", f"X = {i + 1}"))
    done = subprocess.run(
        [sys.executable, "-c", IN_THREADS, str(tmp_path)], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout) == (0, "wrong: []\n"), done.stderr[-500:]


def test_parameters_at_loading(tmp_path):
    file = tmp_path / "decay.ant"
    file.write_text(ANTIMONY)
    assert load(file, k=5).parameters["k"] == 5.0
    with pytest.raises(ModelError, match=r"must name one of .*, but has 'q'"):
        load(str(file), q=5)


def test_missing_files(tmp_path):
    for path in (tmp_path / "none.xml", tmp_path):
        with pytest.raises(ModelFileNotFoundError, match="must exist"):
            load(path)
    binary = tmp_path / "b.xml"
    binary.write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(ModelError, match="UTF-8"):
        load(binary)


MANY = 30_000
SECONDS = 2.0  # of CPU; where the time grows with the square of the text, these take 6 or more
INSIDE = "<listOfSpecies>"  # of the SBML that what is repeated comes before


LONG = {
    "model.xml": "\n" * MANY + "x",
    "comments.xml": sbml(**GOOD).replace(INSIDE, "<!-- " * MANY + INSIDE),
    "data.xml": sbml(**GOOD).replace(INSIDE, "<![CDATA[" * MANY + INSIDE),
    "annotations.xml": sbml(**GOOD).replace(INSIDE, "<annotation " * MANY + INSIDE),
    "attributes.xml": sbml(**GOOD).replace(INSIDE, "<a \"' " * (MANY + 1) + INSIDE),
    "numbers.xml": sbml(**GOOD).replace(INSIDE, "<cn " * MANY + INSIDE),
    "models.ant": "model a()\n" * MANY + "end here",
    "arrows.txt": "->" * 2 * MANY,
    "blanks.ant": "\n" * MANY + ANTIMONY + "model",
}


@pytest.mark.parametrize("name", LONG)
def test_what_is_no_model_is_refused_after_one_pass(read, name):
    begun = time.process_time()
    with pytest.raises(ModelError) as refused:
        read(LONG[name], name=name)
    assert time.process_time() - begun < SECONDS
    assert len(str(refused.value)) < 1000


def test_blank_lines_take_one_pass(read):
    begun = time.process_time()
    assert read("\n" * MANY + ANTIMONY, name="model").species == ("X",)
    assert time.process_time() - begun < SECONDS
