"""The folders of a deployment, as they are on disk."""

import json

import pytest

from fedretina.city import NodeFolder, make_request
from fedretina.city.processes import supernode_command
from fedretina.errors import BadArgument


def node_config(folder):
    command = supernode_command(NodeFolder.load(folder), 9999)
    return command[command.index("--node-config") + 1]


@pytest.mark.parametrize("share", [True, False])
def test_a_node_that_does_not_share_says_so_to_its_app(tmp_path, share):
    make_request(tmp_path / "node", ["duke"], role="edge", data=None, share=share)
    assert node_config(tmp_path / "node").endswith(" share=false") is not share


def test_a_folder_of_before_the_choice_shares(tmp_path):
    make_request(tmp_path, ["duke"], role="edge", data=None)
    file = tmp_path / NodeFolder.FILE
    described = json.loads(file.read_text())
    del described["share"]
    file.write_text(json.dumps(described))
    assert NodeFolder.load(tmp_path).share
    del described["role"]
    file.write_text(json.dumps(described))
    with pytest.raises(BadArgument, match="must have the fields"):
        NodeFolder.load(tmp_path)
