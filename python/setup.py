# SPDX-License-Identifier: GPL-2.0-or-later
"""One wheel for every Python 3: libttlogarrow.so is loaded by ctypes and is no extension module."""

from setuptools import Distribution, setup

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:
    from wheel.bdist_wheel import bdist_wheel


class WithLibrary(Distribution):
    """Puts the shared library beside the package: without this, it lies where auditwheel refuses it."""

    def has_ext_modules(self):
        return True


class AnyPython(bdist_wheel):
    """The tag that glibc, and no version of Python, decides."""

    def get_tag(self):
        return "py3", "none", "manylinux_2_34_x86_64"


setup(distclass=WithLibrary, cmdclass={"bdist_wheel": AnyPython})
