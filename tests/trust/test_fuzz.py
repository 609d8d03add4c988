"""A short run of the fuzzer of trust; `tests/attacks/fuzz_trust.py` runs for an hour by hand."""

import importlib.util
import random
from pathlib import Path

SPEC = importlib.util.spec_from_file_location("fuzz_trust", Path(__file__).parents[1] / "attacks" / "fuzz_trust.py")
fuzz_trust = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(fuzz_trust)


def test_hostile_documents_raise_only_our_errors(tmp_path):
    seen = fuzz_trust.fuzz(random.Random(0), tmp_path, lambda count: count >= 1500)
    kinds = {name.partition(": ")[2] for name in seen}
    assert {"Corrupt", "Forged", "Replayed", "Truncated", "read", "Unsealed"} <= kinds
