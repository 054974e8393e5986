"""Who signs the certificates of servers that imd connects to."""

import re
from typing import Any

from twisted.internet.ssl import Certificate, platformTrust, trustRootFromCertificates

from imd.errors import ConfigError

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def trust_root(authorities: bytes, purpose: str = "") -> Any:
    """Return Twisted's trust root of these authorities (PEM), that of the machine where there are none.

    ``purpose``, such as " for Redis", is told in the ConfigError that PEM without a certificate raises.
    """
    if not authorities:
        return platformTrust()
    try:
        found = [Certificate.loadPEM(text) for text in _CERTIFICATE.findall(authorities)]
    except Exception as error:
        raise ConfigError(f"an authority's certificate{purpose} can't be read: expected PEM") from error
    if not found:
        raise ConfigError(f"there is no certificate in what was named as authorities{purpose}: expected PEM")
    return trustRootFromCertificates(found)
