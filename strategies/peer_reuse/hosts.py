"""The assignment of domains to nodes."""

from collections.abc import Mapping, Sequence

from fedretina.errors import BadArgument


def assign_hosts(domains: Sequence[str], hosted: Mapping[int, Sequence[str]]) -> dict[str, int]:
    """Assign each domain to a node: to one that hosts it, or else to one that hosts any domain.

    Parameters
    ----------
    domains : sequence of str
        The domains of the run, targets first.
    hosted : mapping of int to sequence of str
        By node, in order: the domains that it hosts; empty if it hosts any, as in a simulation.

    Returns
    -------
    dict of str to int
        The node of each domain.

    Raises
    ------
    BadArgument
        If no node hosts a domain.

    Examples
    --------
    >>> assign_hosts(["duke", "cuhk03", "msmt17"], {7: [], 9: []})
    {'duke': 7, 'cuhk03': 9, 'msmt17': 7}
    >>> assign_hosts(["duke", "cuhk03"], {7: ["cuhk03"], 9: ["duke"]})
    {'duke': 9, 'cuhk03': 7}
    """
    fixed = {domain: node for node, names in hosted.items() for domain in names}
    free = [node for node, names in hosted.items() if not names]
    rest = [domain for domain in domains if domain not in fixed]
    if rest and not free:
        hosting = ", ".join(fixed) or "nothing"
        raise BadArgument(f"no node hosts {', '.join(rest)}: the nodes host {hosting}; start a node that hosts them")
    assigned = {domain: free[i % len(free)] for i, domain in enumerate(rest)}
    return {domain: fixed.get(domain, assigned.get(domain, -1)) for domain in domains}
