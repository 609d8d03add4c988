import relay


def test_all_servers_relay_the_same_bytes():
    measured = relay.measure(megabytes=1, versions=3, nodes=2)
    sizes = [size for *_, size in measured.values()]
    assert set(measured) == set(relay.SERVERS)
    assert sizes[0] == sizes[1] == sizes[2] > 0
