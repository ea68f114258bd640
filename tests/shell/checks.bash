# What the scripts of this folder check with: they read it with `. checks.bash` after `shell` and `here` are set, and are
# in an empty folder then, with tests/data linked as data, and the small files of make_npy.py.

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
ln -s "$here/../data" "$tmp/data"
cd "$tmp"
python3 "$here/make_npy.py" "$tmp"
passed=0
failed=0

note() { # <what> <0 if it went well>
    if [ "$2" -eq 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $1" >&2
    fi
}

# What differs from run to run: seconds, rates, the instruction set, the temporary folder.
constant() {
    sed -E "s/[0-9.]+ s \([0-9,]+\/s(, [0-9]+ MB\/s)?\)$/* s/; s/^time: .*/time: */; s#$tmp#TMP#g; s/^isa,.*/isa,*/"
}

fails() { # <status> <part of the message> <argument of tqshell>...
    local want=$1 text=$2 status=0
    shift 2
    "$shell" "$@" >fails.out 2>fails.err </dev/null || status=$?
    if [ "$status" -eq "$want" ] && grep -qF -- "$text" fails.err; then
        note "$*" 0
    else
        note "tqshell $*: status $status, not $want, or not \"$text\" but: $(cat fails.err)" 1
    fi
}

prints() { # <output> <argument of tqshell>...
    local want=$1 got status=0
    shift
    got=$("$shell" "$@" 2>&1 </dev/null | constant; exit "${PIPESTATUS[0]}") || status=$?
    if [ "$status" -eq 0 ] && [ "$got" = "$want" ]; then
        note "$*" 0
    else
        note "tqshell $*: status $status, $(printf 'wanted:\n%s\ngot:\n%s' "$want" "$got")" 1
    fi
}

done_with() { # <name>: the last line
    echo "$1: $passed passed, $failed failed"
    test "$failed" -eq 0
}
