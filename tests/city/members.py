"""How a node becomes a member, in two calls."""

from fedretina.city import NodeFolder, edge, first_fingerprint, make_request


def ask(tmp_path, *domains, role="edge"):
    folder = tmp_path / "-".join(domains)
    return make_request(folder, domains, role=role, data=tmp_path), NodeFolder.load(folder)


def join(city, node, answer):
    return edge.join(node, answer, lambda _: first_fingerprint(city))


def quiet(_):
    """Show no command."""
