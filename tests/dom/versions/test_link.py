"""A folder of payloads loses what is damaged, and nothing else."""

import numpy as np
import pytest

from fedretina.dom import encode
from fedretina.dom.versions.link import LinkFolder, link_of
from fedretina.errors import BadArgument


def test_a_payload_of_a_newer_format_stays(tmp_path, caplog):
    payload = encode({"w": np.ones(9, np.float32)})
    newer, damaged = payload[:4] + b"\xfe" + payload[5:], payload[:-1]
    for number, data in enumerate((payload, newer, damaged)):
        (tmp_path / f"{number}.dom").write_bytes(data)
    assert LinkFolder(tmp_path).load() == [link_of(0, payload)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.dom", "1.dom"]
    assert f"{tmp_path / '1.dom'} is passed over: the payload has format 254" in caplog.text
    assert "upgrade fedretina" in caplog.text


def test_a_folder_in_place_of_a_payload_is_passed_over_and_told(tmp_path):
    payload = encode({"w": np.ones(9, np.float32)})
    (tmp_path / "00000001.dom").mkdir()
    folder = LinkFolder(tmp_path)
    assert folder.load() == []
    with pytest.raises(BadArgument, match=r"00000001\.dom cannot be written: Is a directory; free space, or give another"):
        folder.save(link_of(1, payload), oldest=1)
    folder.save(link_of(2, payload), oldest=1)
    assert folder.load() == [link_of(2, payload)]
