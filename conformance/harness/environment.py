"""Where a run happens: the interpreter and the machine, for the report's head."""

from __future__ import annotations

import os
import platform
import sysconfig

from reports.model import PlatformInfo, PythonInfo


def python_info() -> PythonInfo:
    """The running interpreter."""
    try:
        # What `ssl` takes it from; the rest of that module is not needed here.
        from _ssl import OPENSSL_VERSION
    except ImportError:
        openssl = None
    else:
        openssl = OPENSSL_VERSION
    return PythonInfo(
        implementation=platform.python_implementation(),
        version=platform.python_version(),
        build=" ".join(platform.python_build()),
        free_threaded=bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
        openssl=openssl,
    )


def platform_info() -> PlatformInfo:
    """The running machine."""
    return PlatformInfo(
        system=platform.system(),
        release=platform.release(),
        machine=platform.machine(),
        libc=" ".join(part for part in platform.libc_ver() if part),
        cpus=os.cpu_count() or 1,
    )
