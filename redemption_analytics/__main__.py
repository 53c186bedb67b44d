"""Run the command line as ``python -m redemption_analytics``."""

from redemption_analytics.program import main

if __name__ == "__main__":
    main()
