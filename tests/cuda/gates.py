"""Gates of the plugin that need no GPU: which devices its code is for, and what each kernel was compiled to.

    gates.py BUILD          BUILD/libtq_cuda.so, what ptxas said of each kernel, kept beside the objects, and, where
                            cuobjdump and nvdisasm are found, the instructions of sm_90a
    gates.py BUILD --all    the instructions of all architectures
"""

import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import sysconfig
import tempfile

FOLDER = pathlib.Path(__file__).resolve().parent
FATBIN_MAGIC, KIND_PTX, KIND_ELF = b"\x50\xed\x55\xba", 1, 2


def fail(message):
    fail.count += 1
    print("gates:", message)


fail.count = 0


def wanted_architectures(build):
    """{"90a": real, ...} and the virtual ones, of the configuration."""
    for line in (build / "CMakeCache.txt").read_text().splitlines():
        if line.startswith("TQ_CUDA_ARCHITECTURES:"):
            words = [word for word in line.split("=", 1)[1].split(";") if word]
            real = [word.removesuffix("-real") for word in words if not word.endswith("-virtual")]
            virtual = [re.sub("-.*", "", word) for word in words if not word.endswith("-real")]
            return real, virtual
    sys.exit("gates: no TQ_CUDA_ARCHITECTURES in CMakeCache.txt")


def fat_binaries(data):
    """Of each fat binary in the file, one an object: the set of (kind, architecture as a number)."""
    at = data.find(FATBIN_MAGIC)
    while at >= 0:
        version, header, size = struct.unpack_from("<HHQ", data, at + 4)
        if version != 1 or header != 16 or at + header + size > len(data):
            at = data.find(FATBIN_MAGIC, at + 4)
            continue
        entries, place = set(), at + header
        while place < at + header + size:
            kind, _, entry_header, payload = struct.unpack_from("<HHIQ", data, place)
            entries.add((kind, struct.unpack_from("<I", data, place + 28)[0]))
            place += entry_header + payload
        yield entries
        at = data.find(FATBIN_MAGIC, at + header + size)


def number(architecture):
    return int(re.match(r"\d+", architecture)[0])


def check_architectures(plugin, real, virtual):
    wanted = {(KIND_ELF, number(a)) for a in real} | {(KIND_PTX, number(a)) for a in virtual}
    binaries = list(fat_binaries(plugin.read_bytes()))
    if not binaries:
        fail(f"{plugin} holds no code for devices")
    for entries in binaries:
        for kind, architecture in sorted(wanted - entries):
            fail(f"an object lacks {'PTX' if kind == KIND_PTX else 'code'} for sm_{architecture}")
    print(f"architectures: {', '.join(real)}; PTX of {', '.join(virtual) or 'none'}; in {len(binaries)} objects")


def read_rules():
    limits, code = [], []
    for number_of_line, line in enumerate((FOLDER / "gates.txt").read_text().splitlines(), 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        kind, architectures, pattern, *rest = words
        where = None if architectures == "*" else architectures.split(",")
        if kind == "limits" and len(rest) == 3:
            limits.append((where, re.compile(pattern), [int(word) for word in rest], number_of_line))
        elif kind == "code" and len(rest) == 2 and rest[0] in ("has", "lacks"):
            code.append((where, re.compile(pattern), rest[0] == "has", re.compile(rest[1]), number_of_line))
        else:
            sys.exit(f"gates: tests/cuda/gates.txt:{number_of_line}: not a rule: {line}")
    return limits, code


def kernels_of(text):
    """(name, architecture, registers, stack, spills) of each kernel in what ptxas says. Functions that are called from
    kernels have lines of their own without registers; their stack is in the kernel's."""
    name = architecture = stack = spills = None
    for line in text.splitlines():
        if match := re.search(r"Compiling entry function '(\S+)' for 'sm_(\w+)'", line):
            name, architecture = match.groups()
            stack = spills = None
        elif (match := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", line)):
            if name and stack is None:
                stack, spills = int(match[1]), int(match[2]) + int(match[3])
        elif name and (match := re.search(r"Used (\d+) registers", line)):
            # Of stack it says more, here, where a function is called.
            total = re.search(r"(\d+) bytes cumulative stack size", line)
            yield name, architecture, int(match[1]), max(stack or 0, int(total[1]) if total else 0), spills or 0
            name = None


def check_limits(build, real, rules):
    folder = build / "CMakeFiles" / "tq_cuda_objects.dir" / "kernels" / "cuda"
    seen, used = set(), set()
    for path in sorted(folder.glob("*.o.ptxas")):
        source = path.name.removesuffix(".o.ptxas")
        if not (FOLDER.parents[1] / "kernels" / "cuda" / source).exists():
            continue # of a file that is no more
        for name, architecture, *values in kernels_of(path.read_text()):
            seen.add((name, architecture))
            rule = next((r for r in rules if (r[0] is None or architecture in r[0]) and r[1].search(name)), None)
            if rule is None:
                fail(f"{source}: {name} for sm_{architecture} has no row in tests/cuda/gates.txt: {values}")
                continue
            used.add(rule[3])
            for what, value, most in zip(("registers", "bytes of stack", "bytes of spills"), values, rule[2]):
                if value > most:
                    fail(f"{source}: {name} for sm_{architecture}: {value} {what}, {most} are allowed")
    for name in {name for name, _ in seen}:
        for architecture in real:
            if (name, architecture) not in seen:
                fail(f"{name} was not compiled for sm_{architecture}")
    for rule in rules:
        if rule[3] not in used and (rule[0] is None or set(rule[0]) & set(real)):
            fail(f"tests/cuda/gates.txt:{rule[3]}: no kernel fits this row")
    print(f"limits: {len({name for name, _ in seen})} kernels, {len(seen)} with all architectures")
    if not seen:
        fail("ptxas said nothing of any kernel")


def find_tool(name):
    """Beside nvcc, in PATH, in TQ_CUDA_TOOLS, or as a Python package of NVIDIA's has it."""
    folders = [os.environ.get("TQ_CUDA_TOOLS", ""), *os.environ["PATH"].split(":"), "/usr/local/cuda/bin"]
    packages = pathlib.Path(sysconfig.get_path("purelib")) / "nvidia"
    folders += [str(path) for path in packages.glob("*/bin")]
    folders += [str(path) for path in pathlib.Path(sysconfig.get_path("purelib")).glob("triton/backends/nvidia/bin")]
    return shutil.which(name, path=":".join(folder for folder in folders if folder))


def instructions(plugin, architecture, tools, wanted, work):
    """{kernel: its instructions as text} for one architecture, of the objects that have a kernel that is wanted."""
    cuobjdump, nvdisasm = tools
    folder = pathlib.Path(work) / architecture
    folder.mkdir()
    subprocess.run([cuobjdump, "-xelf", "all", "-arch", f"sm_{architecture}", str(plugin)], check=True, cwd=folder,
                   stdout=subprocess.DEVNULL)
    kernels = {}
    for path in sorted(folder.glob("*.cubin")):
        names = {name.decode() for name in re.findall(rb"\.text\.(\w+)", path.read_bytes())}
        if not any(pattern.search(name) for pattern in wanted for name in names):
            continue
        done = subprocess.run([nvdisasm, "-c", "-ndf", str(path)], check=True, text=True, stdout=subprocess.PIPE)
        parts = re.split(r"(?m)^\.text\.(\w+):", done.stdout)
        kernels.update(zip(parts[1::2], parts[2::2]))
    return kernels


def check_code(plugin, real, rules):
    tools = find_tool("cuobjdump"), find_tool("nvdisasm")
    if None in tools:
        print("instructions: not looked at, there is no cuobjdump and nvdisasm "
              "(pip install nvidia-cuda-cuobjdump nvidia-cuda-nvdisasm, or TQ_CUDA_TOOLS=their folder)")
        return
    checked = 0
    with tempfile.TemporaryDirectory(prefix="tq_gates_") as work:
        for architecture in real:
            mine = [rule for rule in rules if rule[0] is None or architecture in rule[0]]
            kernels = instructions(plugin, architecture, tools, [rule[1] for rule in mine], work) if mine else {}
            for _, pattern, has, instruction, line in mine:
                fitting = {name: text for name, text in kernels.items() if pattern.search(name)}
                if not fitting:
                    fail(f"tests/cuda/gates.txt:{line}: no kernel for sm_{architecture} fits this row")
                for name, text in fitting.items():
                    checked += 1
                    found = instruction.search(text)
                    if has and not found:
                        fail(f"{name} for sm_{architecture} has no {instruction.pattern}")
                    elif not has and found:
                        fail(f"{name} for sm_{architecture} has {found[0]}")
    print(f"instructions: {checked} questions to kernels for {', '.join(real)} answered")


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    plugin = build / "libtq_cuda.so"
    real, virtual = wanted_architectures(build)
    limits, code = read_rules()
    check_architectures(plugin, real, virtual)
    check_limits(build, real, limits)
    check_code(plugin, real if "--all" in sys.argv[2:] or "90a" not in real else ["90a"], code)
    sys.exit(1 if fail.count else 0)


main()
