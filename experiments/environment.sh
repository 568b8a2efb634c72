# Sourced by quickstart.sh, tests/run.sh, .ci/run and .ci/full: the folder `.venv` with everything installed.
# Sets $python. Does nothing where the requirements are installed already.

find_python() {
    for candidate in "${PYTHON:-}" python3.12 python3.11 python3.13 python3; do
        [ -n "$candidate" ] && "$candidate" -c \
            'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
            2>/dev/null && { echo "$candidate"; return; }
    done
    echo "no Python 3.11 to 3.13 with venv found; install one, or name it: PYTHON=/path/to/python" >&2
    exit 2
}

python="$PWD/.venv/bin/python"
installed=.venv/installed-requirements.txt
if ! { [ -x "$python" ] && cmp -s requirements.txt "$installed"; }; then
    echo "== installing into .venv (about 600 MB to download) =="
    if ! [ -x "$python" ]; then
        base=$(find_python) || exit 2
        "$base" -m venv --clear .venv
    fi
    "$python" -m pip install --quiet --disable-pip-version-check -r requirements.txt -e .
    cp requirements.txt "$installed"
fi

# The default images: a Debian package of 31 MB, where Keras has not downloaded them before.
install_fashion_mnist() {
    "$python" -c 'from dynmix_tf.data.fashion_mnist import find_fashion_mnist as find
import sys; sys.exit(find() is None)' && return
    command -v apt-get >/dev/null || return 0
    local root=""
    [ "$(id -u)" = 0 ] || { sudo -n true 2>/dev/null && root="sudo -n" || return 0; }
    echo "== installing the Debian package dataset-fashion-mnist =="
    local get="$root env DEBIAN_FRONTEND=noninteractive apt-get -qq"
    $get install -y --no-install-recommends dataset-fashion-mnist >/dev/null 2>&1 ||
        { $get update && $get install -y --no-install-recommends dataset-fashion-mnist; } \
            >/dev/null 2>&1 || echo "not installed; Keras will try its own download"
}
