"""Kernels: functions of arrays that are compiled when the package is built."""
