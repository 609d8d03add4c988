import relay


def test_both_servers_relay_the_same_bytes():
    measured = relay.measure(megabytes=1, versions=3, nodes=2)
    (_, by_stream), (_, by_log) = measured["Stream"], measured["PayloadLog"]
    assert by_stream == by_log > 0
