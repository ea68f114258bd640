#!/usr/bin/env python3
"""Run the SQL scripts on other versions of SQLite than the system's. By hand: it downloads, so it is no part of CI.

  versions.py BUILD_FOLDER [--keep FOLDER] [--show] [SCRIPT...]

The sqlite3 command of other Debian releases is unpacked with its C library and run from there. Versions between them
come inside Python packages, where stand_in.py stands in for the command. FOLDER keeps what was downloaded; --show
prints every line that differs. What may differ, and why, is in KNOWN. What cannot be had here is named and skipped.
"""
import argparse
import difflib
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

import run_sql
import stand_in

SUITES = ("bullseye", "trixie", "sid")
# 3.39: IN lists reach the search, but MATCH hides LIMIT from it. 3.41: LIMIT too. 3.43: the last without xIntegrity.
WHEELS = (("apsw", "==3.39.4.0"), ("apsw", "==3.41.2.0"), ("apsw", "==3.43.2.0"), ("apsw", ""), ("sqlean.py", ""),
          ("pysqlite3-binary", ""))
MODULES = {"apsw": "apsw", "sqlean.py": "sqlean", "pysqlite3-binary": "pysqlite3"}
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
RELATIVE = 1e-12


def before(*number):
    return lambda _label, version: version < number


def since(*number):
    return lambda _label, version: version >= number


def pep249(label, _version):
    return label.startswith(("sqlean", "pysqlite3"))


# (where, script, what a line that differs may look like, why that is right)
KNOWN = (
    (before(3, 35), "basics", r".*RETURNING|30\|\[1,2,3,4\]$|[78]\|[78]$", "RETURNING came with 3.35"),
    (before(3, 35), "queries", r".*MATERIALIZED|50$", "MATERIALIZED came with 3.35"),
    (before(3, 36), "queries", r"42$|error: no such column: rowid$",
     "a join's rowid was ambiguous while every subquery had one"),
    (before(3, 36), "plans", r".*(SCAN|SEARCH) ", "plans said SCAN TABLE"),
    (before(3, 35), "peer_wishes", r".*(MATERIALIZED|RETURNING)|title [123]\|[123]\.0$|3001\|ret\|\[0,0\]$",
     "MATERIALIZED and RETURNING came with 3.35"),
    (before(3, 38), "peer_knn", r"1[12]\|8[89]\.0$",
     "SQLite asks for one value of IN after another, and k counts for each"),
    (before(3, 38), "peer_wishes", r"710,720,730|$|10$", "likewise; and of IN (SELECT ..), k comes first"),
    (before(3, 38), "peer_partitions", r"51:21\.0,3:27\.0,1:29\.0|$", "likewise"),
    (before(3, 38), "filters", r"1000\|3503500|142\|71071|3$|error: tq: docs: k is compared", "likewise"),
    (since(3, 44), "check", r"ok$|(tq: )?docs: (slot 0|id [134]) ", "PRAGMA integrity_check asks tables since 3.44"),
    (pep249, "peer_wishes", r"\[5,0\]\|5$", "the module steps ahead, and an error hides the row before it"),
    (pep249, "errors", r"\[1,2,3\]\|1$", "the module steps ahead, and an error hides the row before it"),
)


def output(command, **options):
    """What a command prints, or None."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False, **options)
    return done.stdout if done.returncode == 0 else None


# ---- Where the versions come from ---------------------------------------------------------------------------

def debian_archive():
    """The archive this machine installs from."""
    wanted = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(LABEL)", "Created-By: Packages"]
    sites = re.findall(r"^(\S+) Debian$", output(wanted) or "", flags=re.M) if shutil.which("apt-get") else []
    return sites[0] if sites else None


def apt(folder, site):
    """An apt of our own: this machine's lists and settings stay as they are."""
    for name in ("lists/partial", "cache/archives/partial"):
        os.makedirs(os.path.join(folder, name), exist_ok=True)
    sources = os.path.join(folder, "sources.list")
    with open(sources, "w", encoding="utf-8") as handle:
        handle.writelines(f"deb [signed-by={KEYRING}] {site} {suite} main\n" for suite in SUITES)
    settings = {"Dir::State::lists": folder + "/lists", "Dir::Cache": folder + "/cache",
                "Dir::Etc::sourcelist": sources, "Dir::Etc::sourceparts": "/dev/null", "APT::Sandbox::User": "root"}
    return ["apt-get", "-q"] + [word for pair in settings.items() for word in ("-o", "=".join(pair))]


def unpack_suite(command, folder, suite):
    if not os.path.isdir(folder):
        os.makedirs(folder)
        names = [f"{name}/{suite}" for name in ("sqlite3", "libsqlite3-0", "libc6")]
        output(command + ["download"] + names, cwd=folder)
        for package in glob.glob(os.path.join(folder, "*.deb")):
            output(["dpkg-deb", "-x", package, folder])
    return glob.glob(os.path.join(folder, "usr/bin/sqlite3"))


def suite_command(folder, library):
    """Started by the machine's loader with only that SQLite; if it asks for a newer C library, by its own loader."""
    alone = os.path.join(folder, "alone")
    os.makedirs(alone, exist_ok=True)
    for file in glob.glob(folder + "/usr/lib/*/libsqlite3.so.0"):
        shutil.copy(file, alone)
    inside = os.path.dirname((glob.glob(folder + "/usr/lib/*/libc.so.6") + [alone])[0])
    machines = glob.glob("/lib64/ld-linux*") + glob.glob("/lib/ld-linux*")
    starts = [(loader, alone) for loader in machines]
    starts += [(loader, inside) for loader in glob.glob(folder + "/usr/lib*/ld-linux*")]
    for loader, path in starts:
        command = [loader, "--library-path", path, folder + "/usr/bin/sqlite3"]
        if output(command + [":memory:", "SELECT 1"]) == "1\n":
            return command + ["-batch", "-init", "/dev/null", "-cmd", ".load " + library]
    return None


def debian_versions(folder, library):
    site = debian_archive()
    if site is None:
        print("skipped: Debian's releases (this machine does not install from Debian's archive)")
        return
    command = apt(os.path.join(folder, "apt"), site)
    if not glob.glob(os.path.join(folder, "apt", "lists", "*Packages*")) and output(command + ["update"]) is None:
        print("skipped: Debian's releases (apt-get update failed)")
        return
    for suite in SUITES:
        place = os.path.join(folder, suite)
        found = unpack_suite(command, place, suite) and suite_command(place, library)
        if found:
            yield "Debian " + suite, found, {}
        else:
            print(f"skipped: Debian {suite} (its sqlite3 cannot be had, or does not start here)")


def wheel_versions(folder, library):
    for name, version in WHEELS:
        place = os.path.join(folder, name + version)
        module = MODULES[name]
        if not os.path.isdir(os.path.join(place, module)):
            output([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--only-binary", ":all:",
                    "--target", place, name + version])
        if os.path.isdir(os.path.join(place, module)):
            yield name + version, [sys.executable, stand_in.__file__, module, library], {"PYTHONPATH": place}
        else:
            print(f"skipped: {name}{version} (pip finds no wheel of it for this Python)")


# ---- Running and comparing ----------------------------------------------------------------------------------

def run(command, env, script):
    with tempfile.TemporaryDirectory(prefix="tq-versions-") as folder:
        done = subprocess.run(command + ["test.db"], cwd=folder, input=script, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", env={**os.environ, **env},
                              timeout=600, check=False)
        return done.returncode, plain(run_sql.tidy(done.stdout, folder))


def plain(text):
    """Without what commands of other versions print about the place of an error."""
    text = re.sub(r"^error: near line \d+: ", "error: ", text, flags=re.M)
    return re.sub(r"\n  [^\n]*\n +\^--- error here", "", text).rstrip("\n").split("\n")


def same(expected, found):
    """Equal, or numbers written with more or fewer digits."""
    if expected == found:
        return True
    number = r"-?\d+\.\d+(?:e[-+]?\d+)?"
    if re.sub(number, "#", expected) != re.sub(number, "#", found):
        return False
    pairs = zip(re.findall(number, expected), re.findall(number, found))
    return all(abs(float(a) - float(b)) <= RELATIVE * abs(float(a)) for a, b in pairs)


def aligned(expected, found):
    """The found lines, each as expected writes it where the two are the same."""
    if len(expected) == len(found):
        return [a if same(a, b) else b for a, b in zip(expected, found)]
    return found


def differences(expected, found):
    lines = difflib.unified_diff(expected, aligned(expected, found), lineterm="", n=0)
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]


def is_known(label, version, name, line):
    return any(name == script and where(label, version) and re.match(pattern, line[1:])
               for where, script, pattern, _why in KNOWN)


def check(label, command, env, scripts, show):
    _code, lines = run(command, env, "SELECT sqlite_version();\n")
    if not re.fullmatch(r"[\d.]+", lines[0]):
        print(f"{label}: FAILED: does not load the extension: {lines[0]}")
        return 1
    version = tuple(int(part) for part in lines[0].split("."))
    failed = 0
    for path in scripts:
        name = os.path.basename(path)[:-len(".sql")]
        with open(path, encoding="utf-8") as handle:
            code, found = run(command, env, handle.read())
        if code == stand_in.UNKNOWN_COMMAND:
            print(f"{lines[0]} ({label}) {name}: skipped: {found[-1]}")
            continue
        with open(path[:-len(".sql")] + ".expected", encoding="utf-8") as handle:
            wrong = differences(plain(handle.read()), found)
        unknown = [line for line in wrong if not is_known(label, version, name, line)]
        known = f" ({len(wrong) - len(unknown)} known differences)" if len(wrong) > len(unknown) else ""
        print(f"{lines[0]} ({label}) {name}: {'FAILED: ' + unknown[0] if unknown else 'ok'}{known}")
        for line in wrong if show else ():
            print(("    ! " if line in unknown else "      ") + line)
        failed += bool(unknown)
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--keep", metavar="FOLDER")
    parser.add_argument("--show", action="store_true")
    parser.add_argument("scripts", nargs="*", metavar="SCRIPT")
    asked = parser.parse_intermixed_args()
    library = os.path.abspath(os.path.join(asked.build, "tq.so"))
    paths = sorted(glob.glob(os.path.join(os.path.dirname(os.path.abspath(__file__)), "*.sql")))
    paths = [path for path in paths if not asked.scripts or os.path.basename(path)[:-len(".sql")] in asked.scripts]
    failed = versions = 0
    with tempfile.TemporaryDirectory(prefix="tq-versions-") as temporary:
        folder = os.path.abspath(asked.keep or temporary)
        for source in (debian_versions, wheel_versions):
            for label, command, env in source(folder, library):
                versions += 1
                failed += check(label, command, env, paths, asked.show)
    print(f"{versions} versions of SQLite, {failed} scripts failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
