#!/usr/bin/env bash
# Checks the wheel as a user meets it: builds it, installs it into a fresh virtual environment with the versions that the
# arguments ask for, and runs the first Python example of the README outside the clone.
#
#   tests/tools/wheel_check.sh numpy==2.3.5
#   tests/tools/wheel_check.sh tensorflow==2.20.0 keras==3.12.0 numpy==2.1.3
#
# PYTHON=python3.12 chooses the interpreter.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

git -C "$root" archive HEAD | tar -x -C "$(mkdir -p "$folder/source" && echo "$folder/source")"
"${PYTHON:-python3}" -m venv "$folder/venv"
python=$folder/venv/bin/python
"$python" -m pip install --quiet --upgrade pip
"$python" -m pip wheel --quiet --no-deps --wheel-dir "$folder/wheels" "$folder/source"
# The wheel holds the files of the package, py.typed included, and nothing else.
diff <(git -C "$root" ls-tree -r --name-only HEAD maml_tf | LC_ALL=C sort) <("$python" - "$folder"/wheels/*.whl <<'EOF'
import sys, zipfile
print(*sorted(name for name in zipfile.ZipFile(sys.argv[1]).namelist() if ".dist-info/" not in name), sep="\n")
EOF
)
"$python" -m pip install --quiet "$folder"/wheels/*.whl "$@"

# What the README promises, from the installed package only.
mkdir "$folder/elsewhere"
cd "$folder/elsewhere"
sed -n '/^```python$/,/^```$/{/^```/!p;/^```$/q}' "$root/README.md" > example.py
"$python" - <<'EOF'
import importlib.metadata, importlib.util, pathlib
package = pathlib.Path(importlib.util.find_spec("maml_tf").origin).parent
assert "site-packages" in package.parts, package
names = ("maml_tf", "tensorflow", "keras", "numpy", "gymnasium", "mujoco")
print(", ".join(f"{name} {importlib.metadata.version(name)}" for name in names))
EOF
TF_CPP_MIN_LOG_LEVEL=2 "$python" example.py
"$folder/venv/bin/maml_tf" --help > /dev/null
echo "wheel: the README's example runs outside the clone"
