"""A source that is slow: the round goes on without its reply once the time is up, with its last version."""

from dataclasses import replace

from digits_run import TARGET, TOPOLOGY, TRAINING, client_app

from fedretina.flower import DomGrid
from fedretina.strategies import PeerReuse, ReuseConfig
from fedretina.testing import LocalGrid


class Slow(LocalGrid):
    """The replies of the source "left" do not come in some rounds."""

    def __init__(self, folder, rounds):
        super().__init__(client_app(folder), 3)
        self.rounds = rounds

    def pull_messages(self, message_ids):
        late = {
            message.metadata.message_id
            for message in self.sent
            if '"left": "source"' in str(message.content.config_records.get("job", {}).get("json", ""))
            and int(message.metadata.group_id) in self.rounds
        }
        return super().pull_messages([name for name in message_ids if name not in late])


def start(folder, rounds):
    training = replace(TRAINING, rounds=2, home_epochs=1, local_epochs=2)
    wire = DomGrid(Slow(folder, rounds), uplink="stream", store=folder / "references")
    strategy = PeerReuse(TOPOLOGY, training, ReuseConfig(), run="run", baselines=False)
    return strategy.start(wire, timeout=0.3), wire


def test_its_last_version_is_reused(tmp_path):
    result, wire = start(tmp_path, rounds={2})
    assert [set(entry.alpha) for entry in result.targets[TARGET].rounds] == [{"upright", "left"}] * 2
    versions = [row.version for row in wire.ledger.rows if row.direction == "up" and row.stream == "left"]
    assert versions == [1]
    assert len([row for row in wire.ledger.rows if row.error and row.round == 2]) == 1


def test_without_a_version_it_is_left_out(tmp_path):
    result, _ = start(tmp_path, rounds={1, 2})
    assert [set(entry.alpha) for entry in result.targets[TARGET].rounds] == [{"upright"}] * 2
