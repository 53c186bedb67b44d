"""A synthetic organisation, and exports of it in every edition of the wire format.

Everything follows from a seed: the same seed writes the same bytes, and a customer is the same
however many others there are. Some customers are wrong on purpose, see ``ODDITIES``.
"""

from redemption_analytics.sample.damage import damaged
from redemption_analytics.sample.editions import Edition
from redemption_analytics.sample.exports import Style, write_export, write_sample
from redemption_analytics.sample.organisation import ODDITIES, Organisation

__all__ = [
    "ODDITIES",
    "Edition",
    "Organisation",
    "Style",
    "damaged",
    "write_export",
    "write_sample",
]
