def test_help_from_a_peer_and_from_labels_shows(accuracy):
    alone, tuned, all_labels = (accuracy(name) for name in ("alone", "finetune", "all-labels"))
    assert all_labels > alone + 3
    assert tuned > alone
    assert accuracy("direct") > 20  # of ten classes, by a source that saw more ink


def test_equal_settings_give_equal_results(accuracy):
    for name in ("alone", "all-labels"):
        assert accuracy(name) == accuracy(name) != accuracy(name, seed=1)
