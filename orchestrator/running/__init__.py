"""Makes a store match a sweep: missing trials run, finished trials do not run again."""
