"""What a node remembers: it survives restarts and kills, and several apps may use it."""

import subprocess
import sys

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


def test_an_older_version_or_list_does_not_replace_a_newer_one(tmp_path):
    memory = TrustMemory(tmp_path / "memory.json")
    memory.install("duke", 7, b"new")
    memory.install("duke", 6, b"old")
    memory.hear(3, 30)
    memory.hear(2, 40)
    assert memory.installed("duke") == (7, b"new")
    assert memory.newest == (3, 30)


COUNT = """
import sys
from pathlib import Path
from fedretina.trust import TrustMemory
memory = TrustMemory(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[2])):
    print(memory.next_counter("duke"), flush=True)
    memory.count_attack("Forged")
"""


def start_counting(path, times):
    command = [sys.executable, "-c", COUNT, str(path), str(times)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    return process


def test_two_apps_of_one_node_give_no_number_twice_and_lose_no_count(tmp_path):
    path = tmp_path / "memory.json"
    apps = [start_counting(path, 40) for _ in range(2)]
    for app in apps:
        app.stdin.write("\n")
        app.stdin.flush()
    numbers = [int(line) for app in apps for line in app.communicate(timeout=60)[0].split()]
    assert sorted(numbers) == list(range(1, 81))
    assert TrustMemory(path).attacks == {"Forged": 80}


def test_an_app_that_is_killed_gives_no_number_twice_and_locks_nobody_out(tmp_path):
    path = tmp_path / "memory.json"
    given = 0
    for _ in range(5):
        app = start_counting(path, 100_000)
        app.stdin.write("\n")
        app.stdin.flush()
        seen = [int(app.stdout.readline()) for _ in range(3)]
        app.kill()
        seen += [int(line) for line in app.communicate()[0].split()]
        assert seen[0] > given
        given = seen[-1]
    assert TrustMemory(path).next_counter("duke") > given


def test_what_another_app_wrote_is_seen(tmp_path):
    one, other = (TrustMemory(tmp_path / "memory.json") for _ in range(2))
    one.install("duke", 3, b"d")
    one.hear(4, 40)
    assert other.installed("duke") == (3, b"d")
    assert other.newest == (4, 40)
