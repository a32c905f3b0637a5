#!/bin/sh
# Debian's Python has the modules that tools/setup installs.
exec /usr/bin/python3 tests/deploy/deploy_test.py "$@"
