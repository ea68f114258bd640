#!/usr/bin/env python3
"""translate.py FROM TO: kernels/cuda as C++ for cuda_runtime.h of this folder.

What the CPU's compiler cannot read is replaced: launches, memory that a launch asks for, PTX. device.cu, which asks the
driver, is left out: device.cc stands for it. Unknown PTX ends the translation: add it below."""
import pathlib
import re
import sys

# What an instruction does, by its beginning.
PTX = [
    ("griddepcontrol.wait", "simt_waited()"),
    ("griddepcontrol.launch_dependents", "(void)0"),
    ("mbarrier.init", "(void)0"),
    ("mbarrier.arrive.expect_tx", "(void)0"),
    ("fence.", "(void)0"),
    ("prefetch.", "(void)0"),
    ("{ .reg .pred p; mbarrier.try_wait.parity", "done = simt_arrived({0})"),
    ("cp.async.bulk.shared::cluster.global", "simt_copy_later({3}, {0}, {1}, {2})"),
    ("cp.async.cg.shared.global", "simt_copy_later(0, {0}, {1}, 16)"),
    ("cp.async.commit_group", "simt_commit()"),
    ("cp.async.wait_group 0", "simt_wait_groups(0)"),
    ("cp.async.wait_group 1", "simt_wait_groups(1)"),
    ("mma.sync.aligned.m16n8k256.row.col.s32.b1.b1.s32.and.popc", "simt_bit_product(c, a, b)"),
    ("ld.shared.v2.u32", "words = simt_shared_pair({0})"),
]


def closing(text, at):
    """The place behind the parenthesis that closes the one at `at`; strings have none that matter."""
    depth = 0
    while True:
        if text[at] == '"':
            at = text.index('"', at + 1)
        depth += (text[at] == "(") - (text[at] == ")")
        at += 1
        if depth == 0:
            return at


def operands(statement):
    found = []
    for match in re.finditer(r'"[rl]"(?=\()', statement):
        found.append(statement[match.end() + 1:closing(statement, match.end()) - 1])
    return found


def replace_ptx(text, name):
    made, at = [], 0
    for match in re.finditer(r"\basm(?: volatile)?(?=\()", text):
        end = closing(text, match.end())
        statement = text[match.end():end]
        first = re.search(r'"(.*?)"', statement).group(1)
        if re.search(r"#ifdef __CUDACC__(?:(?!#else|#endif).)*$", text[:match.start()], flags=re.S):
            continue  # not for this compiler
        for begins, becomes in PTX:
            if first.startswith(begins):
                made += [text[at:match.start()], becomes.format(*operands(statement))]
                at = end
                break
        else:
            sys.exit(f"{name}: what does this do? {first}")
    return "".join(made) + text[at:]


def translate(text, name):
    text = replace_ptx(text, name)
    text = re.sub(r"extern __shared__ (?:__align__\(\d+\) )?([\w ]+?) (\w+)\[\];",
                  r"static \1 *const \2 = (\1 *)(void *)simt_dynamic;", text)
    return re.sub(r"(\w+(?:<[^<>;]*>)?)<<<(.*?)>>>\(", r"simt_on(\2).run(\1, ", text, flags=re.S)


def main():
    source, target = map(pathlib.Path, sys.argv[1:])
    for path in sorted(source.iterdir()):
        if path.suffix not in (".cu", ".cuh", ".h") or path.name in ("plugin.h", "device.cu"):
            continue
        made = target / "kernels" / "cuda" / (path.stem + ".cc" if path.suffix == ".cu" else path.name)
        made.parent.mkdir(parents=True, exist_ok=True)
        text = f'#line 1 "{path}"\n' + translate(path.read_text(), path.name)
        made.write_text(text)


main()
