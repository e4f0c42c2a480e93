"""Verification of simulators that read files: what they are given, and whether it is their reader that is wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from written_sbml import TIME, apply, compartment, event, local, parameter, reaction, sbml, species
from wrong_readers import Reader

import fsp
from fsp.formats.equivalence import difference
from fsp.formats.readers import own_sbml
from fsp.sampling.documents import document_for
from fsp.sampling.simulators import open_simulator
from fsp.verification.file_reader import with_reader_judged
from fsp.verification.run_source import RunSource
from fsp.verification.verdict import Finding

TIMES = [0.5, 1.0]
VOLUME = sbml(
    Compartments=[compartment(size="2")],
    Species=[species("A", 12, only="false")],
    Parameters=[parameter("k", "0.3")],
    Reactions=[reaction("join", ["A", "A"], [], apply("times", "k", "A", apply("minus", "A", "0.5"), "cell"))],
)
ANTIMONY = "model m; compartment c = 1; substanceOnly species A in c; r: A => ; k*A; A = 9; k = 1; end"
STOCHKIT = """<Model><Description>d</Description><NumberOfReactions>1</NumberOfReactions>
<NumberOfSpecies>1</NumberOfSpecies><ParametersList><Parameter><Id>k</Id><Expression>1.0</Expression></Parameter>
</ParametersList><ReactionsList><Reaction><Id>r</Id><Type>mass-action</Type><Rate>k</Rate><Reactants>
<SpeciesReference id="A" stoichiometry="1"/></Reactants></Reaction></ReactionsList><SpeciesList><Species><Id>A</Id>
<InitialPopulation>9</InitialPopulation></Species></SpeciesList></Model>"""


@pytest.fixture
def volume(tmp_path):
    path = tmp_path / "volume.xml"
    path.write_text(VOLUME)
    return path


# ---- what is given


@pytest.mark.parametrize(("name", "text"), [("m.ant", ANTIMONY), ("m.xml", VOLUME)])
def test_a_simulator_is_given_the_file_itself(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    found = document_for(fsp.load(path), path, 1.0)
    assert found.text == own_sbml(path)
    assert found.said == f"the file {name}"
    if name.endswith("xml"):
        assert found.text == VOLUME


def test_what_is_not_the_files_network_is_written_and_the_reason_given(tmp_path, volume):
    model = fsp.load(volume)
    plain = fsp.load(volume).with_parameters(k=0.3)
    assert document_for(plain, volume).why == ""  # the same value
    for changed, words in (
        (model.with_parameters(k=0.6), "at rate .* in place of"),
        (model.with_initial(A=8), "it starts in A = 8 in place of A = 12"),
        (fsp.load(volume, counts="omega=2"), "it starts in A = 24"),
    ):
        found = document_for(changed, volume)
        assert found.said.startswith("the network as fsp writes it in place of volume.xml: values or counts are not")
        assert np.any([part in found.why for part in words.split(" .* ")])
        assert difference(fsp.load(volume), changed)
    path = tmp_path / "m.xml"
    path.write_text(STOCHKIT)
    assert document_for(fsp.load(path), path).why == "the file is not SBML"
    assert document_for(model, None).why == "it has no file"


def test_a_command_is_given_the_bytes_of_the_file(tmp_path, volume):
    script = tmp_path / "show.py"
    script.write_text("import shutil, sys\nshutil.copy(sys.argv[1], sys.argv[2])\nsys.exit('seen')\n")
    seen = tmp_path / "seen.xml"
    command = open_simulator(f"python {script} {{model}} {seen} {{seed}} {{out}}", processes=1)
    with pytest.raises(fsp.BackendError, match="seen"):
        fsp.verify(volume, simulator=command, times=TIMES, runs=2)
    assert seen.read_bytes() == volume.read_bytes()
    with pytest.raises(fsp.BackendError, match="seen"):
        fsp.verify(fsp.load(volume).with_parameters(k=1.0), simulator=command, times=TIMES, runs=2, file=volume)
    assert seen.read_bytes() != volume.read_bytes()


def test_a_simulator_of_the_callers_is_given_the_path(volume):
    class Own:
        name = "own"

        def sample(self, model, times, runs, seed, file=None):
            self.file = file
            return fsp.ssa(model, times, runs, seed=seed)

    own = Own()
    report = fsp.verify(volume, simulator=own, times=TIMES, runs=50, power=None)
    assert own.file == volume
    assert report.given == "the file volume.xml"
    assert "given: the file volume.xml" in str(report)
    report = fsp.verify(fsp.load(volume), simulator="fsp", times=TIMES, runs=50, power=None)
    assert report.given == "the network itself"


# ---- the reader is judged by what is written


def test_networks_are_told_apart_by_rates_starts_and_events():
    def model(rate="2*X", start=3, at=1.0, to="X + 1", more=()):
        return fsp.Model(
            species={"X": start, "Y": 0},
            reactions=[fsp.Reaction("X -> Y", rate=rate), *more],
            events=[fsp.Event(f"time >= {at}", {"X": to})],
        )

    again = fsp.Model(
        species={"Y": 0, "X": 3},
        reactions=[fsp.Reaction("X -> Y", rate="X*0.5"), fsp.Reaction("X -> Y", rate="1.5*X")],
        events=[fsp.Event("time >= 1", {"X": "1 + X"})],
    )
    assert difference(model(), again, 2.0) == ""
    for other, words in (
        (model("2.0001*X"), "rate 6.0003 in place of 6"),
        (model(start=4), "starts in X = 4, Y = 0 in place of X = 3"),
        (model(at=1.5), "an event takes place at t = 1"),
        (model(to="X + 2"), "leads to"),
        (model(more=[fsp.Reaction("Y -> 0", rate="Y")]), "Y -> 0"),
    ):
        assert words in difference(other, again, 2.0)
    assert difference(model(at=3.0), again, 0.5) == ""


def test_a_right_reader_passes_and_a_wrong_one_is_named_as_such(volume):
    right = fsp.verify(volume, simulator=Reader(), times=TIMES, runs=300, power=None)
    assert right.passed, str(right)
    assert right.given == "the file volume.xml"
    wrong = fsp.verify(volume, simulator=Reader("size"), times=TIMES, runs=300, power=None)
    assert wrong.verdict == "fail"
    assert wrong.findings[0].name == "reader"
    assert "the file is misread" in str(wrong)


def test_where_the_reader_is_wrong_its_mistakes_come_before_those_of_samplers(volume):
    asked = RunSource(Reader("size"), fsp.load(volume), volume, np.array(TIMES), 1, ("A",))
    runs = asked.runs(300)
    report = fsp.verify(asked.model, runs, power=None, diagnosis=False)
    held = (("after-jump", 9.0, True), ("event", 8.0, False), ("size", 7.0, True))
    before = tuple(Finding(name, name, gain, fits) for name, gain, fits in held)
    judged = with_reader_judged(replace(report, findings=before), runs, asked, 1e-3)
    assert [one.name for one in judged.findings] == ["reader", "size", "after-jump", "event"]


def test_a_wrong_sampler_is_not_taken_for_a_wrong_reader(volume):
    class Fast(Reader):
        def _sample(self, job):
            return super()._sample(type(job)(job.model, job.file, job.times * 1.5, job.runs, job.seed, job.first, None))

    asked = RunSource(Fast(), fsp.load(volume), volume, np.array(TIMES), 1, ("A",))
    runs = asked.runs(300)
    report = fsp.verify(asked.model, runs, power=None, diagnosis=False)
    assert report.verdict == "fail"
    judged = with_reader_judged(report, runs, asked, 1e-3)
    assert judged.findings == ()
    assert "it fails too" in judged.notes[-1]


def test_local_parameters_reach_the_reader(tmp_path):
    path = tmp_path / "local.xml"
    law = apply("times", "k", "A")
    path.write_text(
        sbml(
            Species=[species("A", 20)],
            Parameters=[parameter("k", "0.2")],
            Reactions=[reaction("lose", ["A"], [], law, local=local(k=1.0))],
        )
    )
    assert fsp.verify(path, simulator=Reader(), times=TIMES, runs=300, power=None).passed
    assert fsp.verify(path, simulator=Reader("local"), times=TIMES, runs=300, power=None).verdict == "fail"


EVENTS = sbml(
    Species=[species("A", 12), species("B", 3, boundary="true")],
    Parameters=[parameter("k", "0.3", constant="false")],
    Reactions=[reaction("make", ["B"], ["A"], "B"), reaction("lose", ["A"], [], apply("times", "k", "A"))],
    Events=[event(apply("geq", TIME, "0.75"), {"k": "2", "A": apply("plus", "A", "5")})],
)


def test_events_at_known_times_and_boundary_species_are_verified(tmp_path):
    path = tmp_path / "events.xml"
    path.write_text(EVENTS)
    model = fsp.load(path)
    for file in (path, None):
        report = fsp.verify(model, simulator=Reader(), times=TIMES, runs=200, power=None, file=file)
        assert report.passed, str(report)
        assert ("as fsp writes it" in report.given) == (file is None)
    for dropped in ("event", "boundary"):
        runs = Reader(dropped).sample(model, TIMES, 200, 1, file=path)
        assert fsp.verify(model, runs, TIMES, power=None, diagnosis=False).verdict == "fail"
