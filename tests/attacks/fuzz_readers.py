"""A fuzzer for every reader of files: data sets, weights, checkpoints, run folders, ledgers, cells of studies.

    PYTHONPATH=tests:simulations/duke_target python tests/attacks/fuzz_readers.py [--minutes 60] [--seed 0] [--only N]

Small real trees are damaged as disks, people and attackers damage them, and read. Any exception that is none of ours stops
it and names the input, which `--only` makes again; so does a reader that takes more than `SECONDS`. The number of the input
is written before it is read, so that a crash of the process names it too.
"""

import argparse
import logging
import re
import shutil
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from damage import MUTATIONS
from small_trees import TREES

from fedretina.errors import FedRetinaError

SECONDS = 20
FOREIGN_ADVICE = re.compile(r"weights_only|add_safe_globals|LOAD_TRUNCATED", re.IGNORECASE)


class Fuzzer:
    """Damages copies of small trees, and reads them.

    Parameters
    ----------
    folder : Path
        For the trees and their copies.
    seed : int
        Everything random follows from it and an input's number.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.seed = folder, seed
        self.outcomes: Counter[str] = Counter()
        self.trees: dict[str, Callable[[Path], None]] = {}
        for name, (make, read) in TREES.items():
            (folder / name).mkdir(parents=True)
            make(folder / name)
            read(folder / name)  # what is whole is read
            self.trees[name] = read

    def run(self, number: int) -> str:
        """Make and read an input; give the words in which it ended. Anything but success or an error of ours is raised."""
        rng = np.random.default_rng((self.seed, number))
        name = sorted(self.trees)[rng.integers(len(self.trees))]
        copy = self.folder / "copy" / name
        shutil.rmtree(copy.parent, ignore_errors=True)
        shutil.copytree(self.folder / name, copy, symlinks=True)
        done = []
        for _ in range(1 + int(rng.integers(3))):
            mutate = MUTATIONS[rng.integers(len(MUTATIONS))]
            done.append(mutate(copy, rng))
        start = time.process_time()
        what, said = f"input {number} of seed {self.seed}, {name}, {done}", ""
        try:
            self.trees[name](copy)
        except FedRetinaError as error:
            said = f"{type(error).__name__}: {error}"
        except Exception as error:
            raise AssertionError(f"{what}: {type(error).__name__}") from error
        assert not FOREIGN_ADVICE.search(said), f"{what} passes on another library's advice: {said}"
        assert time.process_time() - start < SECONDS, f"{what} takes too long"
        words = f"{name}: {re.sub(r'[0-9a-f]{8}|[0-9]+|/[^ ]*', '#', said)[:80] or 'read'}"
        self.outcomes[words] += 1
        return words


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int)
    asked = parser.parse_args()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    folder = Path(tempfile.mkdtemp(prefix="fuzz-readers-"))
    fuzzer = Fuzzer(folder, asked.seed)
    if asked.only is not None:
        print(fuzzer.run(asked.only))
        return
    print(f"trees and last.txt in {folder}", flush=True)
    end, number, shown = time.monotonic() + 60 * asked.minutes, 0, 0.0
    while time.monotonic() < end:
        (folder / "last.txt").write_text(f"--seed {asked.seed} --only {number}\n")
        fuzzer.run(number)
        number += 1
        if time.monotonic() > shown + 60:
            shown = time.monotonic()
            print(f"{number} inputs, {len(fuzzer.outcomes)} outcomes, {end - shown:.0f} s left", flush=True)
    for words, count in fuzzer.outcomes.most_common():
        print(f"{count:7d}  {words}")
    print(f"{number} inputs, {len(fuzzer.outcomes)} different outcomes, no other exception")


if __name__ == "__main__":
    main()
