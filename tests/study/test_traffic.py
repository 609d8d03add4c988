import torch

from fedretina.study.traffic import Traffic


def noise(seed, scale=1.0):
    return {"w": scale * torch.randn(20_000, generator=torch.Generator().manual_seed(seed))}


def test_a_receiver_that_holds_a_version_gets_nothing():
    traffic, body = Traffic(), noise(0)
    traffic.send("joint", body, ["duke", "msmt17"])
    traffic.send("joint", body, ["duke"])
    assert traffic.transfers == 2


def test_a_difference_is_smaller_than_a_first_version():
    traffic, first = Traffic(), noise(0)
    traffic.send("joint", first, ["duke"])
    keyframe = traffic.bytes
    traffic.send("joint", {"w": first["w"] + noise(1, 0.01)["w"]}, ["duke"])
    assert traffic.bytes - keyframe < keyframe


def test_a_reply_builds_on_what_was_received():
    traffic = Traffic()
    traffic.send("joint", noise(0), ["duke"])
    before = traffic.bytes
    traffic.reply("joint", "duke", {"w": noise(0)["w"] + noise(1, 0.01)["w"]})
    assert (traffic.transfers, traffic.bytes - before < before) == (2, True)


def test_a_relayed_version_counts_on_both_ways():
    traffic = Traffic()
    traffic.publish(noise(0), receivers=2)
    assert traffic.transfers == 3
    assert traffic.metrics() == {"transfers": 3.0, "bytes": traffic.bytes, "megabytes": traffic.bytes / 1e6}


def test_counts_of_before_are_added():
    traffic = Traffic()
    traffic.add(4, 100)
    assert (traffic.transfers, traffic.bytes) == (4, 100)
