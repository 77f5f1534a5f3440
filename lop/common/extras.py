"""Optional packages: which extra of `pip install 'lop[...]'` installs what a part of lop needs.

`sources` ignores calls of `require`, since they only decide whether a module can be imported.
"""

import sys
from importlib.util import find_spec

from lop.common import is_program

WORKFLOW = (
    *("filelock", "jinja2", "matplotlib", "pandas", "PIL", "pyarrow", "pydantic", "rocrate", "seaborn", "snakemake"),
    *("threadpoolctl", "yaml"),
)
EXTRAS = {"rl": ("gymnasium", "mujoco"), "workflow": WORKFLOW}


def require(extra: str) -> None:
    """Check that the packages of an extra are installed; modules call this before they import them.

    A program of lop prints one line and exits with status 2.

    Raises:
        ImportError: a package is missing; the message names the extra.
    """
    missing = [name for name in EXTRAS[extra] if find_spec(name) is None]
    if not missing:
        return
    message = f"lop needs {', '.join(missing)}: pip install 'lop[{extra}]'"
    if is_program():
        print(f"error: {message}", file=sys.stderr)
        raise SystemExit(2)
    raise ImportError(message, name=missing[0])
