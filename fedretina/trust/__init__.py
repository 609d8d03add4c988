"""Who may speak for a domain, and who may read its models: city root, statements, sealing. Bytes in, bytes out.

A domain signs what it publishes (`Statement`), and may encrypt it for its recipients (`seal`). A receiver checks both with a
`Verifier` against the `CityRoot` that it pinned, its own `Policy`, and what it remembers (`TrustMemory`). The rules come
from The Update Framework and Uptane; signatures are DSSE, sealing is HPKE. No Flower, no tensors.
"""

from fedretina.trust.acknowledgement import Acknowledgement
from fedretina.trust.attacks import (
    ATTACKS,
    Endless,
    Expired,
    Forged,
    Frozen,
    MixAndMatch,
    Replayed,
    RolledBack,
    UnknownSigner,
    Unsealed,
)
from fedretina.trust.daily import DailyTraffic
from fedretina.trust.document import pack, read_list, unpack
from fedretina.trust.identity import Identity, IdentityFolder
from fedretina.trust.keys import Algorithm, SigningKey, VerifyKey, load_signing_keys, save_signing_keys
from fedretina.trust.memory import TrustMemory
from fedretina.trust.newest import Newest
from fedretina.trust.policy import Policy
from fedretina.trust.reports import read_reports, write_reports
from fedretina.trust.root import NODE_ROLES, CityRoot, Domain, Role, merge_keys
from fedretina.trust.root_chain import fingerprint, pin, update
from fedretina.trust.sealing import Sealed, is_sealed, open_sealed, seal, sealed_length
from fedretina.trust.sealing_keys import RecipientKey, SealingKey
from fedretina.trust.signed import Signed
from fedretina.trust.simulated import SimulatedCity
from fedretina.trust.statement import Statement
from fedretina.trust.verifier import SERVER, Verifier, owner_of

__all__ = [
    "ATTACKS",
    "NODE_ROLES",
    "SERVER",
    "Acknowledgement",
    "Algorithm",
    "CityRoot",
    "DailyTraffic",
    "Domain",
    "Endless",
    "Expired",
    "Forged",
    "Frozen",
    "Identity",
    "IdentityFolder",
    "MixAndMatch",
    "Newest",
    "Policy",
    "RecipientKey",
    "Replayed",
    "Role",
    "RolledBack",
    "Sealed",
    "SealingKey",
    "Signed",
    "SigningKey",
    "SimulatedCity",
    "Statement",
    "TrustMemory",
    "UnknownSigner",
    "Unsealed",
    "Verifier",
    "VerifyKey",
    "fingerprint",
    "is_sealed",
    "load_signing_keys",
    "merge_keys",
    "open_sealed",
    "owner_of",
    "pack",
    "pin",
    "read_list",
    "read_reports",
    "save_signing_keys",
    "seal",
    "sealed_length",
    "unpack",
    "update",
    "write_reports",
]
