"""What the places in a command line that runs a simulator are filled with; nothing is imported, for help texts."""

PLACES = {
    "model": "the SBML file to read",
    "seed": "a seed from 1 to 2147483647, another one for each call",
    "out": "the CSV file to write: columns time and each species, and run where a call makes several",
    "runs": "how many runs a call is to make; without it, each call makes one",
    "times": "the output times, separated by commas",
}
