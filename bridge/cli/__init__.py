"""The command line."""

import signal
import sys

if "run" in sys.argv[1:] and hasattr(signal, "SIGHUP"):
    # By default it ends the process. Until the settings are read it asks for nothing: what is written now will be read.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
