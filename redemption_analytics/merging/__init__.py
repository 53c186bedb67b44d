"""What was seen more than once becomes one row.

Tables grow in a :mod:`~redemption_analytics.merging.stores` while files are read;
:mod:`~redemption_analytics.merging.merge` then goes through those keys that occur several times.
Before it, customers with several keys are united, and redemptions of old editions matched.
"""
