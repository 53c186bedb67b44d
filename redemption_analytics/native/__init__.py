"""The native reader: blocks of JSON or XML to flat Arrow columns, by the contract, in C++.

It knows JSON, XML and kinds of value. What a redemption is, :mod:`~redemption_analytics.contract`
declares; :mod:`~redemption_analytics.native.declaration` hands that over.
"""

from redemption_analytics.native.reader import Read, Reader
from redemption_analytics.native.rejects import Reject

__all__ = ["Read", "Reader", "Reject"]
