"""The audit: what to know about the data before trusting its numbers.

:mod:`~redemption_analytics.audits.checks` has the checks, each of which finds cases: :func:`audit`
counts them, and :func:`audit_cases` lists them.
"""

from redemption_analytics.audits.audit import audit
from redemption_analytics.audits.cases import audit_cases
from redemption_analytics.audits.checks import CHECKS
from redemption_analytics.audits.notation import notation

__all__ = ["CHECKS", "audit", "audit_cases", "notation"]
