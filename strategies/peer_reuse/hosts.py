"""Which node hosts which domain."""

from collections.abc import Mapping, Sequence

from fedretina.errors import BadArgument


def assign_hosts(domains: Sequence[str], hosted: Mapping[int, Sequence[str]]) -> dict[str, int]:
    """Say which node hosts which domain.

    Parameters
    ----------
    domains : sequence of str
        The domains of the run, the target first.
    hosted : mapping of int to sequence of str
        Per node, in order, the domains that it says it hosts; empty where it hosts any (a simulation).

    Returns
    -------
    dict of str to int
        The node of each domain.

    Raises
    ------
    BadArgument
        If a domain has no node.

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
        raise BadArgument(f"no node hosts {', '.join(rest)}: the nodes host {', '.join(fixed) or 'nothing'}")
    assigned = {domain: free[i % len(free)] for i, domain in enumerate(rest)}
    return {domain: fixed.get(domain, assigned.get(domain, -1)) for domain in domains}
