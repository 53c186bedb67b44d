"""Which files hold exports, what is in an archive, and when each export was made.

:mod:`~redemption_analytics.sources.find` makes a list of exports of whatever a user gives; an
:mod:`~redemption_analytics.sources.export` is one file that can be opened as a stream of bytes.
"""
