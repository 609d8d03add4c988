from fedretina.strategies.peer_reuse.kept import Kept


def keep(folder, *numbers):
    for number in numbers:
        Kept(folder, number).file(number).touch()


def numbers(folder):
    return sorted(file.stem for file in folder.iterdir())


def test_a_round_goes_on_from_the_newest_state_before_it(tmp_path):
    keep(tmp_path, 1, 2, 9, 10, 12)
    assert [Kept(tmp_path, number).last for number in (1, 2, 3, 9, 11, 12)] == [0, 1, 2, 2, 10, 10]


def test_what_this_round_goes_on_from_is_never_forgotten(tmp_path):
    keep(tmp_path, 1, 2)
    Kept(tmp_path, 5).forget()
    assert numbers(tmp_path) == ["round-2"]
    keep(tmp_path, 5)
    Kept(tmp_path, 5).forget()
    assert numbers(tmp_path) == ["round-2", "round-5"]
    Kept(tmp_path, 6).forget()
    assert numbers(tmp_path) == ["round-5"]
