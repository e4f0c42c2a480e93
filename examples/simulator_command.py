"""Make a command that `fsp verify` can ask for runs of a simulator of your own: put it in place of `simulate`.

    fsp verify model.xml --times 0.5,1,2 --runs 1000 \\
        --command "python simulator_command.py {model} {seed} {out} --runs {runs} --times {times}"

Each call makes as many runs as `{runs}` says, and writes a table with the columns run, time and one for each species.
"""

import argparse
import csv
import random
import sys
from pathlib import Path
from xml.etree import ElementTree


def simulate(model, times, rng):
    """Yield the counts at each time, by species: here, of molecules that decay with rate 1 each.  Put yours here."""
    counts = {
        species.get("id"): round(float(species.get("initialAmount")))
        for species in ElementTree.parse(model).iter()
        if species.tag.endswith("}species")
    }
    t = 0.0
    for output in times:
        while (total := sum(counts.values())) > 0:
            wait = rng.expovariate(total)
            if t + wait > output:  # exponential waits have no memory: go on from the output time
                break
            t += wait
            counts[rng.choices(list(counts), list(counts.values()))[0]] -= 1
        t = output
        yield dict(counts)


def main(arguments):
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("seed", type=int)
    parser.add_argument("out")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--times", type=lambda text: [float(t) for t in text.split(",")], required=True)
    given = parser.parse_args(arguments)
    rng = random.Random(given.seed)  # one seed for all runs of a call, whose random numbers go on from run to run
    with open(given.out, "w", newline="") as file:
        writer = None
        for run in range(given.runs):
            for t, counts in zip(given.times, simulate(given.model, given.times, rng), strict=True):
                row = {"run": run, "time": repr(t), **counts}
                writer = writer or csv.DictWriter(file, row)
                if file.tell() == 0:
                    writer.writeheader()
                writer.writerow(row)


def test_simulator_command(tmp_path):
    import fsp

    model = tmp_path / "decay.ant"
    model.write_text("model decay; compartment c = 1; substanceOnly species A in c; r: A => ; A; A = 30; end")
    words = f"{sys.executable} {Path(__file__)} {{model}} {{seed}} {{out}} --runs {{runs}} --times {{times}}"
    report = fsp.verify(model, simulator=words, times=[0.1, 0.2, 0.1 + 0.2], runs=200, power=None)
    assert report.passed, str(report)
    assert report.given == "the file decay.ant"


if __name__ == "__main__":
    main(sys.argv[1:])
