"""Builds libtq.so and tqshell with CMake and puts them into the wheel. docs: README.md.

TQ_BUILD names a folder for CMake to build in, or to use again; build/native by default.
"""
import os
import re
import shutil
import subprocess
import sysconfig

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:  # setuptools before 70.1
    from wheel.bdist_wheel import bdist_wheel

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)


def version():
    with open(os.path.join(ROOT, "src", "tq.h"), encoding="utf-8") as file:
        return re.search(r'^#define TQ_VERSION "([^"]+)"', file.read(), re.M).group(1)


def file_libraries():
    """What tqshell reads files with, such that the wheel needs no library that few machines have: CSV from the archive
    of libcsv, where there is one; no .npz and no HDF5, which NumPy and h5py read as well."""
    compiler = os.environ.get("CC", "cc").split()
    archive = subprocess.run(compiler + ["-print-file-name=libcsv.a"], check=True, capture_output=True,
                             text=True).stdout.strip()
    csv = "-DCSV_LIBRARY=" + archive if os.path.isabs(archive) else "-DTQ_CSV=OFF"
    return [csv, "-DTQ_ZIP=OFF", "-DTQ_HDF5=OFF"]


def build_native(prefix):
    """Everything that `cmake --install` installs, below prefix."""
    build = os.environ.get("TQ_BUILD") or os.path.join(HERE, "build", "native")
    configure = ["cmake", "-S", ROOT, "-B", build, "-DTQ_TESTS=OFF", "-DTQ_BENCH=OFF", "-DCMAKE_INSTALL_LIBDIR=lib",
                 "-DCMAKE_C_FLAGS=-ffile-prefix-map=%s/=" % ROOT]  # no paths of this machine in assertions
    configure += file_libraries()
    if shutil.which("ninja") and not os.path.exists(os.path.join(build, "CMakeCache.txt")):
        configure += ["-G", "Ninja"]
    subprocess.run(configure, check=True)
    subprocess.run(["cmake", "--build", build, "-j", str(os.cpu_count() or 1), "--target", "tq", "tq_files",
                    "tqshell"], check=True)
    shutil.rmtree(prefix, ignore_errors=True)
    subprocess.run(["cmake", "--install", build, "--prefix", prefix, "--strip"], check=True)


class Build(build_py):
    """The extension is found by its name: tq.so has the entry point sqlite3_tq_init."""

    def run(self):
        super().run()
        package = os.path.join(self.build_lib, "tqlite")
        prefix = os.path.join(HERE, "build", "prefix")
        build_native(prefix)
        for source, target in (("lib/libtq.so", "tq.so"), ("bin/tqshell", "tqshell")):
            shutil.copy(os.path.join(prefix, source), os.path.join(package, target))


class Wheel(bdist_wheel):
    """One for every Python 3 on this platform: what is native does not know Python."""

    def finalize_options(self):
        super().finalize_options()
        self.root_is_pure = False

    def get_tag(self):
        return "py3", "none", re.sub(r"[-.]", "_", sysconfig.get_platform())


class Native(Distribution):
    def has_ext_modules(self):
        return True


setup(version=version(), cmdclass={"build_py": Build, "bdist_wheel": Wheel}, distclass=Native)
