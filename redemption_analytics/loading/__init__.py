"""The jobs that take a source the whole way: load, convert, and open what was converted.

:mod:`~redemption_analytics.loading.loading` is what they share.
"""
