#!/bin/sh
# The kernels were compiled with the image; numba wants to be able to write where it finds them.
set -eu
cp -R /opt/kernels/. "$NUMBA_CACHE_DIR"
exec tidegate "$@"
