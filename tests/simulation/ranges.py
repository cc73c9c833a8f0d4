"""Which seeds are about what, beside what goes wrong in them."""

RULED_FROM = 500_000
"""Seeds from here on are about runs beside each other, too."""

REPORTING_FROM = 1_000_000
"""Seeds from here on have no target that answers with the outcome: all report back."""
