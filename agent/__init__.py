"""The shell around the domain packages: all I/O, clocks and tasks live here."""
