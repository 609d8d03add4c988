"""A city root lives for a year, a server's certificate for two. Both are renewed when the city is brought up."""

import time
from datetime import UTC, datetime

from cryptography import x509

from fedretina.city.certificates import make_server_certificate
from fedretina.city.enrolment import next_root
from fedretina.city.folders import CityFolder
from fedretina.city.processes import Show
from fedretina.errors import BadArgument

RENEW_DAYS = 60
"""What ends within so many days is renewed."""
_DAY_S = 86_400


def renew(city: CityFolder, show: Show) -> None:
    """Renew the root and the server's certificate, if they end soon; nodes learn the root with their next message.

    Without enough root keys in the folder, the operator is told to bring them back; the city goes on until the root ends.
    """
    root = city.identity.root()
    if root.expires - time.time() < RENEW_DAYS * _DAY_S:
        try:
            newer = next_root(city, dict(root.domains))
            show(f"# root {root.version} ends soon: root {newer.version} takes its place")
        except BadArgument as error:
            day = datetime.fromtimestamp(root.expires, UTC).date()
            show(f"# root {root.version} ends on {day}, and is not renewed: {error}; then `fedretina city up` again")
    certificate = x509.load_pem_x509_certificate((city.tls / "server.crt").read_bytes())
    if (certificate.not_valid_after_utc - datetime.now(UTC)).days < RENEW_DAYS:
        make_server_certificate(city.tls, city.name, city.hosts)
        show("# the server's certificate ended soon: there is a new one, by the same authority")
