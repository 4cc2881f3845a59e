"""Structured logs on stderr: readable on a terminal, JSON lines for collectors."""

from __future__ import annotations

import logging
import os
import sys

import structlog

from agent.settings import LogSettings


def configure_logging(settings: LogSettings) -> None:
    """Set up structlog, and the standard library's loggers of the libraries we use at WARNING."""
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(asctime)s [%(levelname)s] %(name)s: %(message)s"
    )
    coloured = sys.stderr.isatty() and not os.environ.get("NO_COLOR")  # else a journal is full of escapes
    renderer = (
        structlog.processors.JSONRenderer()
        if settings.json_lines
        else structlog.dev.ConsoleRenderer(colors=coloured)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info
            if settings.json_lines
            else structlog.processors.StackInfoRenderer(),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
