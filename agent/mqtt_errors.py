"""What can go wrong on the way to the broker, and what to do about it."""

from __future__ import annotations

import socket
import ssl

from agent.errors import InklingError


class BrokerRefusedError(InklingError):
    """The broker answered, and said no."""


class SilentBrokerError(ConnectionError):
    """Something took the connection, but didn't answer."""


def advice(failure: Exception | None) -> str:
    """Return what to do about a connection that failed.

    >>> advice(ConnectionRefusedError())
    'is it running, and are mqtt.host and mqtt.port right?'
    """
    match failure:
        case BrokerRefusedError(hint=str(hint)):
            return hint
        case ssl.SSLCertVerificationError():
            return "mqtt.ca_file must be the authority of the broker's certificate, and mqtt.host its name"
        case ssl.SSLError():
            return "does the broker speak TLS on mqtt.port, and does it accept mqtt.cert_file?"
        case SilentBrokerError():
            return (
                "does it speak MQTT on mqtt.port, and want TLS (mqtt.tls) or a certificate (mqtt.cert_file)?"
            )
        case socket.gaierror() | UnicodeError():
            return "is mqtt.host right?"
        case _:
            return "is it running, and are mqtt.host and mqtt.port right?"
