"""Fuzzing: exports right and wrong, held against what is true of every export.

``test_fuzzing.py`` does some of it with every run of the tests, and so many times as much as
``REDEMPTION_ANALYTICS_TESTS_FUZZING`` says. At length, from the project's directory::

    PYTHONPATH=tests python -m fuzzing --seconds 600
    PYTHONPATH=tests python -m fuzzing --seconds 600 --guided    # needs atheris (libFuzzer)

What breaks an invariant is made small and saved into a folder that ``--save`` names. With its bug
gone, it goes to ``tests/fuzzing/corpus``, which the tests replay and mutations start from.
"""
