"""Verification of simulators: statistics with a certified reference, and what they are worth."""

from fsp.verification.checking import verify
from fsp.verification.report import Detectable, Finding, Report
from fsp.verification.samples import Histograms, Runs, Summary

__all__ = ["Detectable", "Finding", "Histograms", "Report", "Runs", "Summary", "verify"]
