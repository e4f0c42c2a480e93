"""COMBINE archives and SED-ML: which model is read, with which changes, and the time course that is asked for."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from click.testing import CliRunner
from written_sbml import apply, parameter, reaction, sbml, species

import fsp
from fsp.command.main import main
from fsp.errors import ModelError
from fsp.formats import time_course
from fsp.formats.sbml_writer import write_sbml

MODEL = write_sbml(
    fsp.Model(
        species={"X": 4},
        reactions=[fsp.Reaction("0 -> X", rate=3.0), fsp.Reaction("X -> 0", mass_action=0.5)],
        name="bd",
    )
)
PARAMETER = MODEL.replace(
    "<listOfReactions>",
    '<listOfParameters><parameter id="k" value="3" constant="true"/></listOfParameters><listOfReactions>',
    1,
)
PARAMETER = PARAMETER.replace('<cn type="integer"> 3 </cn>', "<ci> k </ci>", 1)
SPECIES = "/sbml:sbml/sbml:model/sbml:listOfSpecies/sbml:species[@id='X']/@initialAmount"
K = "/sbml:sbml/sbml:model/sbml:listOfParameters/sbml:parameter[@id='k']/@value"


def sedml(
    changes="", models="", tasks="", course='initialTime="0" outputStartTime="0" outputEndTime="2" numberOfSteps="4"'
):
    models = models or f'<model id="m" source="model.xml"><listOfChanges>{changes}</listOfChanges></model>'
    tasks = tasks or '<task id="t" modelReference="m" simulationReference="s"/>'
    return (
        '<sedML xmlns="http://sed-ml.org/sed-ml/level1/version4" xmlns:sbml="http://www.sbml.org/sbml/level2/version4">'
        f"<listOfModels>{models}</listOfModels>"
        f'<listOfSimulations><uniformTimeCourse id="s" {course}/><steadyState id="e"/></listOfSimulations>'
        f"<listOfTasks>{tasks}</listOfTasks></sedML>"
    )


def change(target, value):
    return f'<changeAttribute target="{target}" newValue="{value}"/>'


def entry(name, kind, master=False):
    formats = {"sbml": "sbml.level-3.version-1", "sed-ml": "sed-ml.level-1.version-4", "png": "png"}
    return f'<content location="./{name}" format="http://identifiers.org/combine.specifications/{formats[kind]}"' + (
        ' master="true"/>' if master else "/>"
    )


@pytest.fixture
def archive(tmp_path):
    def written(files, entries, name="model.omex"):
        manifest = '<omexManifest xmlns="http://identifiers.org/combine.specifications/omex-manifest">'
        manifest += f'<content location="." format="omex"/>{"".join(entries)}</omexManifest>'
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w") as opened:
            for place, text in {"manifest.xml": manifest, **files}.items():
                opened.writestr(place, text)
        (tmp_path / name).write_bytes(data.getvalue())
        return tmp_path / name

    return written


def test_an_archive_of_one_model(archive):
    file = archive({"model.xml": MODEL, "x.png": "png"}, [entry("x.png", "png"), entry("model.xml", "sbml")])
    assert fsp.load(file).initial_states.tolist() == [[4]]
    assert time_course(file) == []


def test_the_simulation_of_an_archive_is_run_without_times(archive):
    files = {"sub/model.xml": PARAMETER, "sub/run.sedml": sedml(change(SPECIES, 6) + change(K, 5))}
    file = archive(files, [entry("sub/model.xml", "sbml"), entry("sub/run.sedml", "sed-ml", master=True)])
    model = fsp.load(file)
    assert model.initial_states.tolist() == [[6]]
    assert model.propensities(np.array([[2]])).ravel().tolist() == [5.0, 1.0]
    assert time_course(file) == [0.0, 0.5, 1.0, 1.5, 2.0]
    done = CliRunner().invoke(main, ["transient", str(file), "--quiet"])
    assert done.exit_code == 0, done.output
    solution = fsp.transient(model, time_course(file), 1e-6)
    for t, d in zip(solution.times, solution, strict=True):
        exact = 10 + (6 - 10) * np.exp(-0.5 * t)  # the mean of births at 5 and deaths at 0.5
        assert d.mean_interval()["X"].lower - 1e-9 <= exact <= d.mean_interval()["X"].upper + 1e-9


def test_a_document_beside_its_model(tmp_path):
    models = f'<model id="a" source="model.xml"><listOfChanges>{change(K, 5)}</listOfChanges></model>'
    models += f'<model id="b" source="#a"><listOfChanges>{change(SPECIES, 1)}</listOfChanges></model>'
    tasks = '<task id="t" modelReference="b" simulationReference="s"/>'
    tasks += '<task id="u" modelReference="b" simulationReference="e"/>'
    (tmp_path / "model.xml").write_text(PARAMETER)
    (tmp_path / "run.sedml").write_text(sedml(models=models, tasks=tasks))
    model = fsp.load(tmp_path / "run.sedml")
    assert (model.parameters["k"], model.initial_states.tolist()) == (5.0, [[1]])
    assert time_course(tmp_path / "run.sedml")[-1] == 2.0


@pytest.mark.parametrize(
    "target",
    [
        K,
        "/sbml:sbml/sbml:model/descendant::*[@id='k']/@value",
        "//sbml:parameter[@id='k']/@value",
        "//*[@id='k']/@value",
    ],
)
@pytest.mark.parametrize("version", [1, 2, 3, 4, 5])
def test_changes_are_made_in_every_version_of_level_2(tmp_path, version, target):
    namespace = "http://www.sbml.org/sbml/level2" + (f"/version{version}" if version > 1 else "")
    decay = {"Parameters": [parameter("k", 3)], "Reactions": [reaction("r", ["X"], [], apply("times", "k", "X"))]}
    text = sbml(f'xmlns="{namespace}" level="2" version="{version}"', Species=[species("X", 4)], **decay)
    (tmp_path / "a model.xml").write_text(text)
    models = f'<model id="m" source="a%20model.xml"><listOfChanges>{change(target, 5)}</listOfChanges></model>'
    (tmp_path / "run.sedml").write_text(sedml(models=models))
    assert fsp.load(tmp_path / "run.sedml").propensities(np.array([[2]])).tolist() == [[10.0]]


def test_a_model_may_be_named_as_a_uri(tmp_path):
    (tmp_path / "model.xml").write_text(PARAMETER)
    (tmp_path / "run.sedml").write_text(sedml(models=f'<model id="m" source="{(tmp_path / "model.xml").as_uri()}"/>'))
    assert fsp.load(tmp_path / "run.sedml").parameters["k"] == 3.0


def test_times_are_asked_for_where_no_file_gives_them(tmp_path):
    (tmp_path / "model.xml").write_text(MODEL)
    done = CliRunner().invoke(main, ["transient", str(tmp_path / "model.xml")])
    assert done.exit_code == 2
    assert "Missing option '--times'" in done.output


TASKS = '<task id="t" modelReference="m" simulationReference="s"/><repeatedTask id="r" range="x"/>'
REFUSED = {
    "repeated": ({"tasks": TASKS}, "simple tasks, but has repeatedTask 'r'.*--sweep"),
    "later": ({"course": 'initialTime="1" outputStartTime="1" outputEndTime="2" numberOfSteps="4"'}, "from 0 on"),
    "backwards": ({"course": 'initialTime="0" outputStartTime="3" outputEndTime="2" numberOfSteps="4"'}, "from 0 on"),
    "no number": ({"course": 'initialTime="0" outputStartTime="0" outputEndTime="2"'}, "no steps"),
    "elsewhere": ({"models": '<model id="m" source="urn:miriam:biomodels.db:BIOMD1"/>'}, "refers to 'urn:miriam"),
    "circle": ({"models": '<model id="m" source="#m"/>'}, "refers to 'm'"),
    "computed": ({"changes": '<computeChange target="k"/>'}, "computeChange of 'k'"),
    "nothing": ({"changes": change(K.replace("'k'", "'q'"), 1)}, "attribute of one element a value"),
    "empty": ({"models": " ", "tasks": " "}, "must simulate a model, but names none; load the model file itself"),
    "no source": ({"models": '<model id="m"/>'}, "but names no source; put it beside"),
    "several": ({"models": '<model id="m" source="a.xml"/><model id="n" source="b.xml"/>', "tasks": " "},
                "the models m, n; load the model that is meant, and give the times"),
    "lost": ({"models": '<model id="m" source="other.xml"/>'}, "'other.xml', which it refers to"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_of_a_simulation(archive, name):
    parts, said = REFUSED[name]
    files = {"model.xml": PARAMETER, "run.sedml": sedml(**parts)}
    with pytest.raises(ModelError, match=said):
        fsp.load(archive(files, [entry("run.sedml", "sed-ml")]))


def test_what_is_refused_of_an_archive(archive, tmp_path):
    two = [entry("a.xml", "sbml"), entry("b.xml", "sbml")]
    with pytest.raises(ModelError, match=r"that is its master, but has a\.xml, b\.xml"):
        fsp.load(archive({"a.xml": MODEL, "b.xml": MODEL}, two))
    with pytest.raises(ModelError, match="its manifest lists none"):
        fsp.load(archive({}, []))
    (tmp_path / "broken.omex").write_bytes(b"PK\x03\x04xxxx\xfe\xff")
    with pytest.raises(ModelError, match=r"a ZIP file with a manifest\.xml, but is not"):
        fsp.load(tmp_path / "broken.omex")
