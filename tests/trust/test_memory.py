import pytest

from fedretina.errors import BadArgument
from fedretina.trust import TrustMemory


def test_all_of_it_survives_a_restart(tmp_path):
    memory = TrustMemory(tmp_path / "memory.json")
    memory.install("duke/reuse", 7, b"\x00\xff")
    memory.hear(3, 1_800_000_000)
    memory.count_attack("Forged")
    memory.count_attack("Forged")
    assert [memory.next_counter("duke/home") for _ in range(2)] == [1, 2]
    again = TrustMemory(tmp_path / "memory.json")
    assert again.installed("duke/reuse") == (7, b"\x00\xff")
    assert again.newest == (3, 1_800_000_000)
    assert again.attacks == {"Forged": 2}
    assert again.next_counter("duke/home") == 3


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"installed": {"a": 1}}', '{"installed": {"a": [1, "zz"]}}', "[" * 99_999]
)
def test_a_damaged_memory_is_not_an_empty_one(tmp_path, text):
    path = tmp_path / "memory.json"
    path.write_text(text)
    with pytest.raises(BadArgument, match="would permit rollbacks"):
        TrustMemory(path)
    assert path.read_text() == text
