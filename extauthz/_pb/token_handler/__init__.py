"""Generated from protos/ by `tox -e protos -- --write`; never edited by hand."""
