"""The native reader: blocks of JSON or XML to flat Arrow columns, by the contract, in C++.

It knows JSON, XML and kinds of value. What a redemption is, :mod:`~redemption_analytics.contract`
declares; :mod:`~redemption_analytics.parsing.declaration` hands that over.
"""

from redemption_analytics.parsing.reader import Read, Reader
from redemption_analytics.parsing.rejects import Reject

__all__ = ["Read", "Reader", "Reject"]
