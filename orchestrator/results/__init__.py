"""What a store says of a sweep: selection, tables, figures, claims, reports."""
