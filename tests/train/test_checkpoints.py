from fedretina.train import Checkpoints


def save(folder, *numbers):
    for number in numbers:
        Checkpoints(folder, number).file(number).touch()


def numbers(folder):
    return sorted(file.stem for file in folder.iterdir())


def test_a_round_goes_on_from_the_newest_state_before_it(tmp_path):
    save(tmp_path, 1, 2, 9, 10, 12)
    assert [Checkpoints(tmp_path, number).last for number in (1, 2, 3, 9, 11, 12)] == [0, 1, 2, 2, 10, 10]


def test_the_state_that_this_round_goes_on_from_is_never_removed(tmp_path):
    save(tmp_path, 1, 2)
    Checkpoints(tmp_path, 5).remove_old()
    assert numbers(tmp_path) == ["round-2"]
    save(tmp_path, 5)
    Checkpoints(tmp_path, 5).remove_old()
    assert numbers(tmp_path) == ["round-2", "round-5"]
    Checkpoints(tmp_path, 6).remove_old()
    assert numbers(tmp_path) == ["round-5"]


def test_other_files_are_no_states(tmp_path):
    save(tmp_path, 1)
    for name in ("round-x.pt", "round-.pt", "round-2.pt.tmp", "round--3.pt", f"round-{'9' * 99}.pt"):
        (tmp_path / name).touch()
    assert Checkpoints(tmp_path, 5).last == 1
