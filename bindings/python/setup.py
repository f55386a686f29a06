"""Builds the library with cargo and links it into the package's one extension module."""

from setuptools import setup

setup(cffi_modules=["build_library.py:ffibuilder"])
