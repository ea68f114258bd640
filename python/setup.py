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


def build_native(prefix):
    """Everything that `cmake --install` installs, below prefix."""
    build = os.environ.get("TQ_BUILD") or os.path.join(HERE, "build", "native")
    configure = ["cmake", "-S", ROOT, "-B", build, "-DTQ_TESTS=OFF", "-DTQ_BENCH=OFF", "-DCMAKE_INSTALL_LIBDIR=lib",
                 "-DCMAKE_C_FLAGS=-ffile-prefix-map=%s/=" % ROOT]  # no paths of this machine in assertions
    if shutil.which("ninja") and not os.path.exists(os.path.join(build, "CMakeCache.txt")):
        configure += ["-G", "Ninja"]
    subprocess.run(configure, check=True)
    subprocess.run(["cmake", "--build", build, "-j", str(os.cpu_count() or 1), "--target", "tq", "tqshell"], check=True)
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
